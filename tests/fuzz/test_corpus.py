"""The corpus of hostile entries, and what hypothesis makes of it; the fuzzer goes on from there."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlation.reason import Reason
from ingress.entry import Malformed
from ingress.envelope import decode
from tests.fuzz.decoding import NAME_ENDS, NEXT_FIELD, check, fields_of

CORPUS = sorted((Path(__file__).parent / "corpus").iterdir())
HOSTILE = [
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"\0",
    b"\x1b[2J",
    b'{"id": 1e400}',
    b'{"id": NaN}',
    b'{"id": 123456789012345678901234567890}',
    b'{"id": 1, "id": 2}',
    b'{"id": "\\ud800"}',
    b'{"id": "\\u0000"}',
    b'{"a": ' * 300 + b"{}" + b"}" * 300,
    b"{}",
    b"",
    b"acme",
    b"2026-01-01T00:00:00Z",
    b"9999-99-99",
]
NAMES = [
    b"tenant",
    b"event_id",
    b"event_type",
    b"event_name",
    b"timestamp",
    b"payload_json",
    b"workflow_correlation_key",
    b"traceparent",
    b"cloudevent",
    b"data",
    b"ce_id",
    b"ce_source",
    b"ce_specversion",
    b"ce_type",
    b"ce_tenantid",
    b"na\x07me",
    b"\xff",
]
values = st.sampled_from(HOSTILE) | st.binary(max_size=50)
entries = st.dictionaries(st.sampled_from(NAMES) | st.binary(max_size=8), values, max_size=10)


@pytest.mark.parametrize("seed", CORPUS, ids=lambda path: path.name)
def test_every_entry_of_the_corpus_is_decoded_or_refused(seed: Path) -> None:
    check(seed.read_bytes())


@given(entries)
def test_any_mixture_of_hostile_fields_is_decoded_or_refused(fields: dict[bytes, bytes]) -> None:
    check(NEXT_FIELD.join(name + NAME_ENDS + value for name, value in fields.items()))


@given(st.sampled_from(CORPUS), st.data())
def test_a_spoiled_entry_of_the_corpus_is_decoded_or_refused(
    seed: Path, data: st.DataObject
) -> None:
    whole = seed.read_bytes()
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 20)))

    check(whole[:start] + data.draw(values) + whole[end:])


def test_a_value_of_a_hundred_megabytes_is_refused_unread() -> None:
    vast = bytes(100 * 1024 * 1024)

    decoded = decode({b"tenant": b"acme", b"event_id": b"e-1", b"payload_json": vast})

    assert isinstance(decoded, Malformed)
    assert decoded.reason is Reason.ENTRY_TOO_LARGE
    assert (decoded.tenant, decoded.event_id) == ("acme", "e-1")
    assert len(decoded.detail) < 200


def test_the_corpus_is_read_as_fields() -> None:
    assert fields_of(b"tenant\x1facme\x1ea\x1f\x1f\x1e") == {b"tenant": b"acme", b"a": b"\x1f"}
