"""Temporal's visibility by its list of executions (`ListWorkflowExecutions`)."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import ListWorkflowExecutionsRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from routing.run_records import RunStatus
from routing.temporal_status import run_status
from routing.visibility.records import ClosedPage, ClosedRun, VisibilityUnusable

MOST_ON_A_PAGE: Final = 1_000
"""As many as Temporal's frontend gives by default (`frontend.visibilityMaxPageSize`)."""
LEAST_ON_A_PAGE: Final = 10
MOST_IDS: Final = 500
MOST_ID_CHARACTERS: Final = 30_000
OUTAGES: Final = frozenset(
    {RPCStatusCode.UNAVAILABLE, RPCStatusCode.CANCELLED, RPCStatusCode.DEADLINE_EXCEEDED}
)
# With some stores a run that is open has a close time in the far future.
CLOSED: Final = "ExecutionStatus != 'Running'"
# How quotes and backslashes are escaped differs between the stores.
_PLAIN: Final = re.compile(r"[^'\"\\\x00-\x1f%]+")


class TemporalVisibility:
    """The visibility of one namespace; counts its calls."""

    def __init__(
        self,
        client: Client,
        timeout: timedelta = timedelta(seconds=5),
        namespace: str | None = None,
        page: int = MOST_ON_A_PAGE,
    ) -> None:
        self._service = client.workflow_service
        self._namespace = client.namespace if namespace is None else namespace
        self._timeout = timeout
        self._page = page
        self.calls = 0

    async def closed(
        self, since: datetime | None, until: datetime | None = None, token: bytes = b""
    ) -> ClosedPage:
        """See `Visibility.closed`."""
        query = CLOSED
        if since is not None:
            query += f" AND CloseTime >= '{_text(since)}'"
        if until is not None:
            query += f" AND CloseTime <= '{_text(until)}'"
        answer = await self._list(query, token, only_newest=since is None)
        return ClosedPage(list(_closed(answer.executions)), bytes(answer.next_page_token))

    async def open_among(self, workflow_ids: Sequence[str]) -> Collection[str]:
        """See `Visibility.open_among`."""
        plain = [each for each in dict.fromkeys(workflow_ids) if _PLAIN.fullmatch(each)]
        found = set(workflow_ids) - set(plain)
        for some in _portions(plain):
            ids = ", ".join(f"'{each}'" for each in some)
            token, query = b"", f"WorkflowId IN ({ids}) AND ExecutionStatus = 'Running'"
            while True:
                answer = await self._list(query, token)
                found |= {each.execution.workflow_id for each in answer.executions}
                if not (token := bytes(answer.next_page_token)):
                    break
        return found

    async def _list(self, query: str, token: bytes, *, only_newest: bool = False) -> Any:
        while True:
            request = ListWorkflowExecutionsRequest(
                namespace=self._namespace,
                query=query,
                page_size=1 if only_newest else self._page,
                next_page_token=token,
            )
            self.calls += 1
            try:
                return await self._service.list_workflow_executions(
                    request, retry=False, timeout=self._timeout
                )
            except RPCError as error:
                # Memos and search attributes come with each run: a page may be too large.
                if "larger than max" in error.message and self._page > LEAST_ON_A_PAGE:
                    self._page = max(LEAST_ON_A_PAGE, self._page // 4)
                    continue
                said = f"{error.status.name}: {error.message}"
                raise VisibilityUnusable(said, refuses=error.status not in OUTAGES) from error
            except RuntimeError as error:
                # The lazy client's first connection: any failure of it is a bare RuntimeError.
                raise VisibilityUnusable(str(error), refuses=False) from error


def _portions(workflow_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    portion: list[str] = []
    characters = 0
    for each in workflow_ids:
        if portion and (len(portion) == MOST_IDS or characters + len(each) > MOST_ID_CHARACTERS):
            yield portion
            portion, characters = [], 0
        portion.append(each)
        characters += len(each)
    if portion:
        yield portion


def _closed(executions: Sequence[WorkflowExecutionInfo]) -> Iterator[ClosedRun]:
    for info in executions:
        status = run_status(info.status)
        # Of a paused run, and of a status that says nothing, nothing is concluded.
        if status is None or status is RunStatus.RUNNING or not info.HasField("close_time"):
            continue
        yield ClosedRun(
            workflow_id=info.execution.workflow_id,
            run_id=info.execution.run_id,
            status=status,
            closed_at=_moment(info.close_time),
            started_at=_moment(info.start_time) if info.HasField("start_time") else None,
            workflow_type=info.type.name or None,
            task_queue=info.task_queue or None,
            parent_workflow_id=info.parent_execution.workflow_id or None,
            parent_run_id=info.parent_execution.run_id or None,
        )


def _moment(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
