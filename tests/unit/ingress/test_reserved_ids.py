"""Ids that only the service gives, refused from everybody else."""

from __future__ import annotations

import pytest

from correlation.event import Event
from correlation.reason import Reason
from ingress.entry import Malformed
from ingress.envelope import decode
from tests.unit.ingress.builders import native_fields


@pytest.mark.parametrize("decorated", ["{}", "  {} ", '"{}"'])
def test_an_id_that_the_service_gives_itself_is_refused(decorated: str) -> None:
    reserved = "human-task-0a5dd6b2-2f6e-4c0f-8f0b-2b5c8f0d7e43"
    quoted = {"tenant": '"acme"'} if '"' in decorated else {}

    decoded = decode(native_fields(event_id=decorated.format(reserved), **quoted))

    assert isinstance(decoded, Malformed)
    assert decoded.reason is Reason.FIELD_INVALID
    assert "Pointsman gives itself" in decoded.detail
    for near in (f"{reserved}-1", "human-task-7", f"x{reserved}"):
        assert isinstance(decode(native_fields(event_id=near)), Event)
