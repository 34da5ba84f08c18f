from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from correlation.event import Event
from ingress.entry import Malformed
from ingress.envelope import decode
from ingress.intake import Form, Unreadable, form_of, read_posted, with_defaults

TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def native(body: Any) -> Any:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_posted(Form.NATIVE, {}, text)


@pytest.mark.parametrize(
    ("content_type", "headers", "form"),
    [
        ("application/json", {}, Form.NATIVE),
        ("Application/JSON; charset=utf-8", {}, Form.NATIVE),
        ("application/cloudevents+json", {}, Form.STRUCTURED),
        ("application/cloudevents-batch+json", {}, Form.STRUCTURED_BATCH),
        ("application/json", {b"ce-id": b"1"}, Form.BINARY),
        ("", {b"ce-type": b"A"}, Form.BINARY),
        ("application/cloudevents+json", {b"ce-id": b"1"}, Form.STRUCTURED),
        ("text/plain", {}, None),
        ("", {}, None),
        ("multipart/form-data", {}, None),
    ],
)
def test_the_form_is_told_by_content_type_and_headers(
    content_type: str, headers: Mapping[bytes, bytes], form: Form | None
) -> None:
    assert form_of(content_type, headers) is form


@given(payload=st.dictionaries(TEXTS, VALUES, max_size=4))
def test_a_posted_event_decodes_as_the_entry_with_the_same_fields(payload: dict[str, Any]) -> None:
    fields = {"tenant": "acme", "event_id": "e", "event_type": "A"}
    entry = {**fields, "payload_json": json.dumps(payload)}

    [as_object] = native({**fields, "payload": payload}).items
    [as_text] = native(entry).items

    wanted = decode({name.encode(): text.encode() for name, text in entry.items()})
    assert decode(as_object) == decode(as_text) == wanted


@given(body=st.binary(max_size=60), form=st.sampled_from(Form))
def test_no_body_makes_it_raise(body: bytes, form: Form) -> None:
    posted = read_posted(form, {b"ce-id": b"%ff"}, body)

    for item in posted.items:
        if not isinstance(item, Unreadable):
            completed = with_defaults(item, tenant="acme", event_id="e", traceparent=None)
            assert isinstance(decode(completed), Event | Malformed)


def test_fields_of_other_forms_within_a_native_event_are_ignored() -> None:
    body = {"tenant": "acme", "event_id": "e", "event_type": "A", "cloudevent": "{}", "ce_id": "1"}

    [item] = native(body).items

    assert isinstance(decode(item), Event)


@pytest.mark.parametrize("own", [None, "", "globex"])
def test_a_default_tenant_stands_only_where_the_event_names_none(own: str | None) -> None:
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "A", "tenantid": own}
    forms = [
        read_posted(Form.STRUCTURED, {}, json.dumps(event).encode()),
        native({"event_id": "e", "event_type": "A", "tenant": own}),
        read_posted(
            Form.BINARY,
            {f"ce-{name}".encode(): (text or "").encode() for name, text in event.items()},
            b"{}",
        ),
    ]

    decoded = [
        decode(with_defaults(posted.items[0], tenant="acme", event_id=None, traceparent=None))
        for posted in forms
        if not isinstance(posted.items[0], Unreadable)
    ]

    assert [event.tenant for event in decoded] == [own or "acme"] * 3
