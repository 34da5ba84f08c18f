"""Over HTTP, too, an event that provokes an exception is answered alone, and never with 500."""

from __future__ import annotations

import pytest

from routing.tokens import Scope
from routing.triggers import apply_triggers
from tests.builders import a_wait
from tests.integration.api.caller import Api
from tests.integration.entry_faults import PLANTED, RECORDING, Provoked, comes_again, plant
from tests.integration.launches import a_trigger
from tests.rows import one_row

DECIDING = (
    "worker.api.intake.with_defaults",
    "worker.api.intake.decode",
    "worker.api.intake.resolve",
    "worker.api.intake.checked",
)


def event(event_id: str, key: str = "7") -> dict[str, object]:
    return {
        "event_id": event_id,
        "event_type": "INVOICE_PAID",
        "workflow_correlation_key": key,
        "user_id": event_id,
        "payload": {"a": event_id},
    }


@pytest.mark.parametrize("step", [*DECIDING, *RECORDING])
async def test_an_exception_is_answered_for_that_event_alone(
    api: Api, step: str, monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    publisher = await api.caller(Scope.PUBLISH)
    await api.register(a_wait(key=PLANTED), a_wait(key=7))
    await apply_triggers(api.database, [a_trigger(event="INVOICE_PAID")], actor="test")
    planted = event(PLANTED, PLANTED)
    if comes_again(step):
        await publisher.post("/v1/events", json={**planted, "payload": {"a": PLANTED, "b": 1}})
    plant(monkeypatch, step)

    batch = await publisher.post("/v1/events", json={"events": [event("a"), planted, event("b")]})
    single = await publisher.post("/v1/events", json=planted)

    results = batch.json()["results"]
    assert [result["status"] for result in results] == [200, 422, 200]
    assert (results[1]["reason"], single.json()["reason"]) == ("poison", "poison")
    assert single.status_code == 422
    row = one_row(database_url, "SELECT min(detail), count(*) FROM workflow_rejected_entries")
    assert Provoked.__name__ in str(row[0])
    assert "quotes" not in str(row[0])
    assert row[1] == 2
