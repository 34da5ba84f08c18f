"""What Temporal says of the waits that visibility leaves in doubt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from routing.chains import Chain, Gone, Lives, Standing
from routing.reconcile import Chains
from routing.visibility.feed import Outlook, Verdict, WaitInDoubt


class ChainVerdicts:
    """Judges a wait by how its chain stands, in one namespace."""

    def __init__(self, chains: Chains, namespace: str) -> None:
        self._chains = chains
        self._namespace = namespace

    async def verdicts(self, waits: Sequence[WaitInDoubt]) -> Sequence[Verdict]:
        """See `routing.visibility.feed.Chains`."""
        standings = await self._chains.standings(
            [
                Chain(self._namespace, wait.workflow_id, wait.run_id, wait.first_run_id)
                for wait in waits
            ]
        )
        return [_verdict(standing) for standing in standings]


def _verdict(standing: Standing | None) -> Verdict:
    match standing:
        case Gone(reason=reason):
            return reason
        case Lives():
            return Outlook.GOES_ON
        case None:
            return Outlook.UNKNOWN
        case _:
            assert_never(standing)
