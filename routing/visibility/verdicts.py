"""What Temporal says of the waits that visibility leaves in doubt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from correlation.reason import Reason
from routing.incoming import WorkflowId
from routing.reconcile import Runs, RunState
from routing.visibility.feed import Outlook, Verdict, WaitInDoubt


class NewestRuns:
    """Judges a wait by the newest run of its workflow id."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs

    async def verdicts(self, waits: Sequence[WaitInDoubt]) -> Sequence[Verdict]:
        """See `routing.visibility.feed.Chains`."""
        states = await self._runs.states([WorkflowId(wait.workflow_id) for wait in waits])
        return [_verdict(state) for state in states]


def _verdict(state: RunState) -> Verdict:
    match state:
        case RunState.CLOSED:
            return Reason.RUN_CLOSED
        case RunState.NOT_FOUND:
            return Reason.RUN_NOT_FOUND
        case RunState.RUNNING:
            return Outlook.GOES_ON
        case RunState.UNKNOWN:
            return Outlook.UNKNOWN
        case _:
            assert_never(state)
