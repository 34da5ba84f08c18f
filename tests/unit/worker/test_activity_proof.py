from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from correlation.closing import Closing
from routing.ownership import Basis, Namespaces, Ownership, Voucher
from routing.waits import FOREIGN, Registration, Wait
from worker.activities import WaitActivities

WAIT: Final = {"tenant": "acme", "wait_id": "w", "event_name": "A", "correlation_key": "7"}


@dataclass
class Book:
    """Notes what is asked for."""

    waits: list[Wait] = field(default_factory=list)
    closings: list[Closing] = field(default_factory=list)
    status: str = "closed"

    async def register(self, waits: Sequence[Wait]) -> list[Registration]:
        self.waits.extend(waits)
        return [Registration(wait.wait_id, "waiting", 0) for wait in waits]

    async def close(self, closings: Sequence[Closing]) -> list[str]:
        self.closings.extend(closings)
        return [self.status for _ in closings]


def argument(**fields: Any) -> RawValue:
    return RawValue(Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(fields).encode()))


def called_by(**info: Any) -> ActivityEnvironment:
    environment = ActivityEnvironment()
    named = {"workflow_namespace": "prod", "workflow_id": "order", "workflow_run_id": "run-1"}
    environment.info = replace(environment.info, **{**named, **info})
    return environment


@pytest.mark.parametrize(
    ("named", "run_id", "vouched_by"),
    [
        ({}, "run-1", Voucher.ACTIVITY),
        ({"run_id": "run-1"}, "run-1", Voucher.ACTIVITY),
        ({"run_id": ""}, "run-1", Voucher.ACTIVITY),
        ({"namespace": "prod"}, "run-1", Voucher.ACTIVITY),
        ({"run_id": "run-0"}, "run-0", None),
        ({"workflow_id": "order-of-beta"}, None, None),
        ({"workflow_id": "order-of-beta", "run_id": "run-1"}, "run-1", None),
        ({"namespace": "other"}, None, None),
    ],
)
async def test_a_workflow_vouches_for_itself_alone(
    named: dict[str, str], run_id: str | None, vouched_by: Voucher | None
) -> None:
    book = Book()
    request = argument(**{**WAIT, "workflow_id": "order", **named})

    await called_by().run(WaitActivities(book, lambda: None).register_wait, request)

    [wait] = book.waits
    assert (wait.run_id, wait.vouched_by) == (run_id, vouched_by)


async def test_a_blank_run_of_another_workflow_is_refused_for_good() -> None:
    request = argument(**WAIT, workflow_id="order-of-beta", run_id="")

    with pytest.raises(ApplicationError, match="run_id is blank") as refused:
        await called_by().run(WaitActivities(Book(), lambda: None).register_wait, request)

    assert refused.value.non_retryable


@pytest.mark.parametrize(
    ("namespace", "named", "taken"),
    [("prod", {}, True), ("beta", {}, False), ("beta", {"namespace": "prod"}, False)],
)
async def test_a_tenants_events_are_awaited_in_its_own_namespace_alone(
    namespace: str, named: dict[str, str], *, taken: bool
) -> None:
    book = Book()
    ownership = Ownership(Basis.NAMESPACE, Namespaces({"acme": "prod", "beta": "beta"}))
    activities = WaitActivities(book, lambda: None, ownership=ownership)
    asker = called_by(workflow_namespace=namespace)
    request = argument(**WAIT, workflow_id="order", **named)

    if taken:
        await asker.run(activities.register_wait, request)
    else:
        with pytest.raises(ApplicationError, match="another namespace"):
            await asker.run(activities.register_wait, request)

    assert len(book.waits) == taken


async def test_an_activity_of_no_workflow_proves_nothing() -> None:
    book = Book()
    nobody = called_by(workflow_namespace=None, workflow_id=None, workflow_run_id=None)

    await nobody.run(
        WaitActivities(book, lambda: None).register_wait, argument(**WAIT, workflow_id="order")
    )

    assert book.waits[0].vouched_by is None


async def test_a_closing_says_which_workflow_asks_for_it() -> None:
    book = Book()
    request = argument(tenant="acme", wait_id="w", disposition="cancelled")

    await called_by().run(WaitActivities(book, lambda: None).close_wait, request)

    assert book.closings[0].asked_by == ("prod", "order")


async def test_closing_the_wait_of_another_workflow_is_refused_for_good() -> None:
    activities = WaitActivities(Book(status=FOREIGN), lambda: None)
    closing = {"tenant": "acme", "wait_id": "w", "disposition": "cancelled"}

    with pytest.raises(ApplicationError, match="another workflow") as refused:
        await called_by().run(activities.close_wait, argument(**closing))
    several = await called_by().run(activities.close_waits, argument(closings=[closing]))

    assert refused.value.non_retryable
    assert several == {"waits": [{"wait_id": "w", "status": "refused"}]}
