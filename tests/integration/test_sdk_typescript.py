"""The example in TypeScript waits, gives up and is cancelled through the contract alone."""

from __future__ import annotations

import pytest

from tests.conftest import TemporalTarget
from tests.integration.awaited_invoice import assert_it_is_paid_expired_and_cancelled
from tests.integration.fake_service import fake_service_alone
from tests.typescript_example import (
    BUILD_TIMEOUT_SECONDS,
    TASK_QUEUE,
    build_typescript_example,
    typescript_worker,
)


@pytest.mark.timeout(BUILD_TIMEOUT_SECONDS)
async def test_a_workflow_in_typescript_waits_through_the_activities_and_the_signal_alone(
    temporal: TemporalTarget,
) -> None:
    folder = await build_typescript_example()

    async with fake_service_alone(temporal) as service, typescript_worker(folder, service.client):
        await assert_it_is_paid_expired_and_cancelled(service, TASK_QUEUE)
