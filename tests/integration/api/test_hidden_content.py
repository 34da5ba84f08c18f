"""What a reader is not shown: secret constants of triggers, and bytes that are no event."""

from __future__ import annotations

from typing import Any

import pytest

from correlation.reason import Outcome
from routing.tokens import Scope
from tests.integration.api.caller import Api

SECRET = "s3cr3t-constant"
TRIGGER: dict[str, Any] = {
    "event": "CLIENT_CREATED",
    "workflow": "Onboarding",
    "task_queue": "onboarding",
    "input": {
        "clientId": {"path": "client.id"},
        "auth.apiKey": {"value": SECRET},
        "password": {"path": "client.password", "default": SECRET},
        "options": {"value": {"token": SECRET, "colour": "green"}},
    },
    "where": {"client.secret": SECRET, "client.plan": "gold"},
}


async def test_secret_constants_of_triggers_are_shown_to_nobody(api: Api) -> None:
    admin = await api.caller(Scope.ADMIN, tenants=["acme"])
    await admin.put("/v1/triggers/onboarding", json=TRIGGER)

    one = await admin.get("/v1/triggers/onboarding")
    several = await admin.get("/v1/triggers")
    sent_back = await admin.put(
        "/v1/triggers/onboarding",
        json={name: one.json()[name] for name in (*TRIGGER, "enabled")},
    )
    disabled = await admin.post("/v1/triggers/onboarding/disable", json={"reason": "a test"})

    assert all(SECRET not in answer.text for answer in (one, several, disabled))
    assert (sent_back.status_code, disabled.json()["version"]) == (422, 2)
    assert one.json()["input"] == {
        "clientId": {"path": "client.id"},
        "auth.apiKey": {"value": "***"},
        "password": {"path": "client.password", "default": "***"},
        "options": {"value": {"token": "***", "colour": "green"}},
    }
    assert one.json()["where"] == {"client.secret": ["***"], "client.plan": ["gold"]}


@pytest.mark.parametrize(("scope", "shown"), [(Scope.READ, False), (Scope.ADMIN, True)])
async def test_bytes_that_are_no_event_are_shown_to_administrators_only(
    api: Api, scope: Scope, shown: bool
) -> None:
    publisher = await api.caller(Scope.PUBLISH)
    body = {"event_type": "PAID", "tenant": "acme", "event_id": "broken", "payload_json": "{spoken"}
    await publisher.post("/v1/events", json=body)
    reader = await api.caller(scope, tenants=["acme"])

    story = await reader.get("/v1/events/broken")
    explained = await reader.post("/v1/explain/event", json={"event_id": "broken"})

    for answer in (story, explained):
        [rejected] = answer.json()["rejected"]
        assert ("spoken" in str(rejected["raw"]), rejected["raw"] is None) == (shown, not shown)
        assert rejected["raw_bytes"] > len("spoken")
        assert (rejected["outcome"], rejected["reason"]) == (Outcome.MALFORMED, "invalid_json")
