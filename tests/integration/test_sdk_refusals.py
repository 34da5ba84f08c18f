"""Waits that can never be registered: refused in the workflow, before anything is sent."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from pointsman.contract import MAX_LOOKBACK_SECONDS
from routing.database import Database
from routing.waits import Waits
from tests.builders import a_wait
from tests.conftest import TemporalTarget
from tests.integration.fake_service import FakeService
from tests.integration.sdk_workflows import OneEvent
from worker.activities import EARLIEST, LATEST, WaitActivities
from worker.activity_arguments import OneArgument
from worker.codecs import Codecs
from worker.settings import Settings


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        ({"lookback_seconds": timedelta.max.total_seconds() - 1}, "lookback_seconds: "),
        ({"lookback_seconds": -1.0}, "lookback_seconds: "),
        ({"tenant": " "}, "tenant: "),
        ({"key": " "}, "key is blank"),
        ({"key": "a\x07b"}, "key holds the control character"),
    ],
)
async def test_a_wait_that_cannot_be_registered_is_refused_unsent(
    service: FakeService, terms: dict[str, Any], said: str
) -> None:
    handle = await service.start(OneEvent.run, **terms)

    with pytest.raises(WorkflowFailureError) as failure:
        await handle.result()

    cause = failure.value.cause
    assert isinstance(cause, ApplicationError)
    assert (cause.type, cause.non_retryable) == ("EventWaitRefused", True)
    assert said in cause.message
    assert service.attempts == 0


@workflow.defn(name="CallsWith")
class CallsWith:
    """Calls the service's activity with whatever it is given, and says how that ended."""

    @workflow.run
    async def run(self, arguments: list[Any]) -> str:
        try:
            await workflow.execute_activity(
                "pointsman.register_wait",
                args=arguments,
                schedule_to_close_timeout=timedelta(seconds=30),
                retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=10)),
            )
        except ActivityError as error:
            cause = error.cause
            assert isinstance(cause, ApplicationError)
            return f"{cause.type} {cause.non_retryable}: {cause.message}"
        return "taken"


@pytest.mark.parametrize("arguments", [[], [{}, {}], [None], ["text"], [[]]])
async def test_another_argument_than_one_object_is_refused_at_once(
    temporal: TemporalTarget, database: Database, arguments: list[Any]
) -> None:
    codecs = Codecs(Settings())
    client = await Client.connect(
        temporal.address,
        namespace=temporal.namespace,
        data_converter=codecs.converter(temporal.namespace, serving=True),
    )
    activities = WaitActivities(Waits(database), lambda: None)
    async with Worker(
        client,
        task_queue=temporal.task_queue,
        workflows=[CallsWith],
        activities=[activities.register_wait, activities.close_wait],
        interceptors=[OneArgument()],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        said = await client.execute_workflow(
            CallsWith.run, arguments, id=f"calls-{uuid4().hex}", task_queue=temporal.task_queue
        )

    assert said.startswith("InvalidWait True: ")


@pytest.mark.parametrize("moment", [EARLIEST, LATEST])
async def test_the_longest_look_back_and_the_last_moment_can_be_kept(
    waits: Waits, moment: datetime
) -> None:
    longest = timedelta(seconds=MAX_LOOKBACK_SECONDS)

    [registration] = await waits.register([a_wait(lookback=longest, expires_at=moment)])

    assert registration.status == "waiting"
