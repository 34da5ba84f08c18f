"""Postgres arrays in binary form, written a column at a time.

psycopg writes an array element by element, through a dumper for each. A batch is hundreds of rows
of a few kinds of columns, and most columns hold few different values: here each kind is written in
a few calls, and each value that repeats is written once. What comes out is a parameter like any
other, to be named `%(name)b` in a statement; to write it needs no connection, so that it can be
done before the batch's turn comes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from struct import Struct
from typing import Final

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

# The types of Postgres' own catalogue: pg_type.dat of every version.
_BYTEA, _INT8, _TEXT, _TIMESTAMPTZ = 17, 20, 25, 1184
_BYTEA_ARRAY, _INT8_ARRAY, _TEXT_ARRAY, _TIMESTAMPTZ_ARRAY = 1001, 1016, 1009, 1185

_HEADER: Final = Struct("!iiIii")
"""Dimensions, whether there are nulls, the elements' type, their number, the first one's index."""
_EMPTY: Final = Struct("!iiI")
_LENGTH: Final = Struct("!i")
_INTEGER: Final = Struct("!iq")
_NULL: Final = _LENGTH.pack(-1)
_SHORT: Final = tuple(map(_LENGTH.pack, range(1024)))
"""The lengths of most elements, as they are written."""

_FIRST_MOMENT: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class TextArray(bytes):
    """text[], as Postgres reads it."""


class ByteaArray(bytes):
    """bytea[], as Postgres reads it."""


class BigintArray(bytes):
    """bigint[], as Postgres reads it."""


class TimestamptzArray(bytes):
    """timestamptz[], as Postgres reads it."""


def text_array(values: Sequence[str | None]) -> TextArray:
    """Texts of which most differ."""
    return TextArray(_array(_TEXT, len(values), _elements([_encoded(value) for value in values])))


def repeating_text_array(values: Sequence[str | None]) -> TextArray:
    """Texts of which few differ."""
    written = {value: b"".join(_elements([_encoded(value)])) for value in set(values)}
    return TextArray(_array(_TEXT, len(values), map(written.__getitem__, values)))


def bytea_array(values: Sequence[bytes]) -> ByteaArray:
    """Strings of bytes."""
    return ByteaArray(_array(_BYTEA, len(values), _elements(values)))


def bigint_array(values: Sequence[int]) -> BigintArray:
    """Signed integers of 64 bits."""
    return BigintArray(_array(_INT8, len(values), map(_INTEGER.pack, repeat(8), values)))


def timestamptz_array(values: Sequence[datetime | None]) -> TimestamptzArray:
    """Moments; aware ones."""
    return TimestamptzArray(_array(_TIMESTAMPTZ, len(values), map(_moment, values)))


def _array(element: int, count: int, elements: Iterable[bytes]) -> bytes:
    if not count:
        return _EMPTY.pack(0, 0, element)
    # Postgres looks at each element for itself: to say that there may be nulls costs nothing.
    return b"".join(chain((_HEADER.pack(1, 1, element, count, 1),), elements))


def _elements(values: Sequence[bytes | None]) -> list[bytes]:
    """Each with its length before it."""
    written = [b""] * (2 * len(values))
    written[0::2] = [_NULL if value is None else _length(len(value)) for value in values]
    written[1::2] = [value or b"" for value in values]
    return written


def _length(length: int) -> bytes:
    return _SHORT[length] if length < len(_SHORT) else _LENGTH.pack(length)


def _encoded(value: str | None) -> bytes | None:
    return None if value is None else value.encode()


def _moment(value: datetime | None) -> bytes:
    return _NULL if value is None else _INTEGER.pack(8, (value - _FIRST_MOMENT) // _MICROSECOND)


class _ReadyMade(Dumper):
    """Hands on what is written already."""

    format = Format.BINARY

    def dump(self, obj: bytes) -> bytes:
        return obj


class _TextArrayDumper(_ReadyMade):
    oid = _TEXT_ARRAY


class _ByteaArrayDumper(_ReadyMade):
    oid = _BYTEA_ARRAY


class _BigintArrayDumper(_ReadyMade):
    oid = _INT8_ARRAY


class _TimestamptzArrayDumper(_ReadyMade):
    oid = _TIMESTAMPTZ_ARRAY


# Types of ours alone: to register them for every connection changes nothing for anyone else.
for _array_type, _dumper in (
    (TextArray, _TextArrayDumper),
    (ByteaArray, _ByteaArrayDumper),
    (BigintArray, _BigintArrayDumper),
    (TimestamptzArray, _TimestamptzArrayDumper),
):
    psycopg.adapters.register_dumper(_array_type, _dumper)
