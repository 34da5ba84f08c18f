"""Chains: the runs of one workflow that go on from one another, and whether a wait's lives on.

A wait is registered by a run. Temporal lets a run go on in another one under the same workflow id:
continued as new and reset, the new run knows the waits of the old one; retried, or started again
by cron, it begins from nothing. All of these keep the first run's id (measured on server 1.29, see
docs/guarantees.md), while a workflow that is started anew under the id gets another. So a wait is
alive if its run is, or if that run went on, knowing its waits, in a chain whose newest run is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, assert_never

from correlation.reason import Reason
from routing.run_records import RunStatus


@dataclass(frozen=True, slots=True)
class Chain:
    """Whose a wait is, as far as that is known."""

    namespace: str
    workflow_id: str
    run_id: str | None = None
    """The run that registered it."""
    first_run_id: str | None = None
    """The first run of that run's chain."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What Temporal says of one run."""

    run_id: str
    first_run_id: str
    status: RunStatus | None
    """None: it says nothing that anything could be concluded from."""
    was_reset: bool = False
    """True when it was reset: another run repeats its history up to some point."""


@dataclass(frozen=True, slots=True)
class Lives:
    """The chain goes on; signals are for this run of it."""

    run_id: str
    first_run_id: str


@dataclass(frozen=True, slots=True)
class Gone:
    """Nobody will ever take a signal for the wait."""

    reason: Reason
    detail: str


Standing: TypeAlias = Lives | Gone


def standing_of(chain: Chain, newest: RunFacts, own: RunFacts | None) -> Standing | None:
    """How a chain stands; None where nothing may be concluded (ask again).

    `newest` is the newest run of the workflow id, `own` the run that registered the wait: None when
    it is unknown here, or to Temporal (which forgets closed runs after the namespace's retention).
    """
    first = chain.first_run_id or (own.first_run_id if own is not None else None)
    if first is not None and newest.first_run_id and first != newest.first_run_id:
        return Gone(
            Reason.RUN_CLOSED,
            f"the chain of the run {first} has ended; the workflow id is in use by another one, "
            f"which began with the run {newest.first_run_id}",
        )
    match newest.status:
        case None | RunStatus.CONTINUED_AS_NEW:
            return None  # about to be followed by the next
        case RunStatus.RUNNING:
            lives = Lives(newest.run_id, newest.first_run_id)
        case RunStatus.NOT_FOUND:
            return Gone(Reason.RUN_NOT_FOUND, "Temporal does not know the workflow")
        case (
            RunStatus.COMPLETED
            | RunStatus.FAILED
            | RunStatus.CANCELED
            | RunStatus.TERMINATED
            | RunStatus.TIMED_OUT
        ):
            return Gone(Reason.RUN_CLOSED, f"the workflow has ended: {newest.status.value}")
        case _:
            assert_never(newest.status)
    if own is None or own.run_id == newest.run_id or passed_on(own):
        return lives
    if own.status is None or own.status is RunStatus.RUNNING:
        return None
    return Gone(
        Reason.RUN_CLOSED,
        f"the run {own.run_id} has ended ({own.status.value}); the run that was started in its "
        "place, by a retry policy or cron, does not know its waits",
    )


def passed_on(run: RunFacts) -> bool:
    """Whether the run's waits are known to a run that went on from it.

    A terminated run is followed within its chain by a reset alone, which servers before 1.27 do
    not say of it.
    """
    return run.was_reset or run.status in {RunStatus.CONTINUED_AS_NEW, RunStatus.TERMINATED}
