"""Arrays as Postgres reads them: psycopg's own reader is asked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.adapt import Transformer
from psycopg.postgres import types
from psycopg.pq import Format

from routing.arrays import (
    bigint_array,
    bytea_array,
    repeating_text_array,
    text_array,
    timestamptz_array,
)

ENCODABLE = st.text(st.characters(exclude_categories=["Cs"]))
TEXTS = st.lists(st.none() | ENCODABLE | st.just("long" * 500))


def read_back(element: str, written: bytes) -> object:
    loader = Transformer().get_loader(types[element].array_oid, Format.BINARY)
    return loader.load(written)


@pytest.mark.parametrize("write", [text_array, repeating_text_array])
@given(texts=TEXTS)
def test_texts_come_back_as_they_went(
    write: Callable[[list[str | None]], bytes], texts: list[str | None]
) -> None:
    assert read_back("text", write(texts)) == texts


@given(st.lists(st.binary()))
def test_bytes_come_back_as_they_went(values: list[bytes]) -> None:
    assert read_back("bytea", bytea_array(values)) == values


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_integers_come_back_as_they_went(values: list[int]) -> None:
    assert read_back("int8", bigint_array(values)) == values


@given(
    st.lists(
        st.none() | st.datetimes(datetime(2, 1, 2), datetime(9998, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
    )
)
def test_moments_come_back_as_they_went(values: list[datetime | None]) -> None:
    assert read_back("timestamptz", timestamptz_array(values)) == values
