"""Judging a value by a schema within bounds: what is cheap here, what is costly in a worker.

The library's validator says whether a value fits without any memory, and stops at the first fault.
Naming the faults takes a thousand times longer for each, and collects every one of them first.
Therefore a value is only searched for faults when it does not fit, and only when there can be few.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import jsonschema_rs

from .exact_reading import read_stored
from .json_schema import Misfit, compiled_schema, first_fault, fits, schema_faults
from .schema_weight import weight_of

INLINE: Final = 400_000
"""Bytes of the value times the schema's weight that are judged where the value is: some
milliseconds at most."""
FAULTS_INLINE: Final = 1_000
"""Values within the value times the schema's weight that are searched for faults there."""
FAULTS_SEARCHED: Final = 20_000
"""The same in a worker; beyond it only the first fault is named."""
CACHED_BYTES: Final = 4 * 1024 * 1024
"""Text of the schemas that stay compiled, at most."""

TOO_LARGE_TO_SAY: Final = Misfit((), "the value does not fit, and is too large to say where")


@dataclass(frozen=True, slots=True)
class Schema:
    """A compiled schema with the text that a worker compiles again."""

    text: str
    formats: bool | None
    weight: int | None
    """None: what it costs depends on the value."""
    validator: jsonschema_rs.Validator = field(compare=False, repr=False)

    @classmethod
    def compiled(cls, text: str, *, formats: bool | None = None) -> Schema:
        """Compile it; raises SchemaUnusable."""
        schema = read_stored(text)
        return cls(text, formats, weight_of(schema), compiled_schema(schema, formats=formats))

    def judges_cheaply(self, size: int) -> bool:
        """Whether a value of so many bytes is judged in some milliseconds."""
        return self.weight is not None and size * self.weight <= INLINE


@dataclass(frozen=True, slots=True)
class TooCostly:
    """Judging the value took more than it may; not a word about whether it fits."""

    budget: str
    """The name of the budget that ran out."""

    @property
    def detail(self) -> str:
        """What to say of it."""
        return f"judging the value takes more than the budget {self.budget} allows"


@dataclass(frozen=True, slots=True)
class Costly:
    """The value is to be judged in a worker."""

    schema: Schema


def judged_here(
    schema: Schema, value: Any, size: int, most: int, *, searched: int = FAULTS_INLINE
) -> Sequence[Misfit] | Costly:
    """Up to `most` faults of a value whose text has `size` bytes; Costly when a worker has to look.

    The usual case, a small value that fits, costs one call.
    """
    if not schema.judges_cheaply(size):
        return Costly(schema)
    if fits(schema.validator, value):
        return []
    if values_within(value, searched) * (schema.weight or 1) > searched:
        return Costly(schema)
    return list(islice(schema_faults(schema.validator, value), most))


def values_within(value: Any, most: int) -> int:
    """How many values there are in a value, itself included; counts little beyond `most`."""
    counted, open_parts = 0, [value]
    while open_parts and counted <= most:
        part = open_parts.pop()
        counted += 1
        if isinstance(part, Mapping):
            open_parts += islice(part.values(), most)
        elif isinstance(part, list | tuple):
            open_parts += islice(part, most)
    return counted


def size_within(value: Any, most: int) -> int:
    """About the bytes of a value's JSON text; counts little beyond `most`."""
    size, open_parts = 0, [value]
    while open_parts and size <= most:
        part = open_parts.pop()
        size += 2
        match part:
            case str():
                size += len(part)
            case Mapping():
                kept = dict(islice(part.items(), most + 1))
                size += sum(map(len, kept)) + 2 * len(kept)
                open_parts += kept.values()
            case list() | tuple():
                open_parts += islice(part, most + 1)
            case _:  # numbers, booleans and null are counted already
                pass
    return size


class CompiledSchemas:
    """Schemas by their text, the last used ones within a bound of bytes."""

    def __init__(
        self,
        compile_one: Callable[..., Schema] = Schema.compiled,
        *,
        most_bytes: int = CACHED_BYTES,
    ) -> None:
        self._compile = compile_one
        self._most_bytes = most_bytes
        self._kept: OrderedDict[tuple[str, bool | None], Schema] = OrderedDict()
        self._bytes = 0

    def of(self, text: str, *, formats: bool | None = None) -> Schema:
        """The schema of a text, compiled once; raises SchemaUnusable."""
        key = text, formats
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        schema = self._kept[key] = self._compile(text, formats=formats)
        self._bytes += len(text)
        while self._bytes > self._most_bytes and len(self._kept) > 1:
            (dropped, _), _ = self._kept.popitem(last=False)
            self._bytes -= len(dropped)
        return schema

    @property
    def bytes_kept(self) -> int:
        """The length of the texts whose schemas are kept."""
        return self._bytes


_IN_WORKER: Final = CompiledSchemas()


def fits_in_worker(schema_text: str, formats: bool | None, value_text: str) -> bool:  # noqa: FBT001
    """Whether a value fits. Runs in a worker, whose limits end it."""
    return fits(_IN_WORKER.of(schema_text, formats=formats).validator, read_stored(value_text))


def faults_in_worker(
    schema_text: str,
    formats: bool | None,  # noqa: FBT001
    value_text: str,
    most: int,
) -> Sequence[Misfit]:
    """The faults of a value that does not fit; of a large one the first. Runs in a worker."""
    schema, value = _IN_WORKER.of(schema_text, formats=formats), read_stored(value_text)
    weight = FAULTS_SEARCHED if schema.weight is None else schema.weight
    if values_within(value, FAULTS_SEARCHED) * weight <= FAULTS_SEARCHED:
        return list(islice(schema_faults(schema.validator, value), most))
    found = first_fault(schema.validator, value)
    return [] if found is None else [found]
