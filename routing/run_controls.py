"""Controls over runs: requested of Temporal, and done when Temporal says so.

Every attempt is written into the operators' audit with its actor, its reason and how it ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol, TypeAlias, assert_never

from correlation.closing import Closing
from correlation.reason import Reason
from routing.database import Database
from routing.operator_actions import OperatorAction, record_action
from routing.run_reconcile import RunKey
from routing.run_records import TEMPORAL, RunLine, RunStatus
from routing.run_statements import FOLLOW_END, NOTE_REQUESTED_CONTROL, OPEN_WAITS_OF_RUN
from routing.statements import PLAN_ANEW
from routing.waits import Waits


class Control(StrEnum):
    """What an operator may ask of a run."""

    CANCEL = "cancel"
    TERMINATE = "terminate"
    SIGNAL = "signal"
    RESUME = "resume"
    RETRY = "retry"
    REQUEUE_EVENT_WAIT = "requeue_event_wait"


UNSUPPORTED: Final = frozenset({Control.RESUME, Control.RETRY, Control.REQUEUE_EVENT_WAIT})
"""What other engines know and Temporal does not: asking for it changes nothing."""

HINTS: Final = {
    Control.RESUME: "A Temporal run goes on by itself when what it waits for comes: publish the "
    "event, replay it or bind it to the run's wait, or send a signal.",
    Control.RETRY: "Temporal retries activities by their own policy; to run a workflow again from "
    "an earlier point, reset it with `temporal workflow reset`.",
    Control.REQUEUE_EVENT_WAIT: "A wait of a Temporal run stays open until its workflow closes it: "
    "replay the event, or bind it to the wait with `pointsman waits bind`.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlOrder:
    """Who asks for what, and why."""

    control: Control
    actor: str
    reason: str
    signal_name: str | None = None
    signal_input: str | None = None
    """JSON text of the signal's one argument; None: without any."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Temporal took the request. What came of it is what Temporal says of the run afterwards."""

    status: RunStatus | None = None
    """How the run stands now, where Temporal said so."""
    closed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NotTaken:
    """Temporal refused, or did not answer."""

    reason: Reason
    detail: str


class RunPort(Protocol):
    """Passes requests about one run on to Temporal; never raises for anything it answers."""

    async def ask(self, run: RunKey, order: ControlOrder, request_id: str) -> Taken | NotTaken:
        """Cancel, terminate or signal exactly this run, once, within a bounded time."""
        ...


class NoTemporal:
    """The port of a process that has no connection to Temporal."""

    async def ask(self, run: RunKey, order: ControlOrder, request_id: str) -> NotTaken:
        """Refuse."""
        del run, order, request_id
        detail = "this process has no connection to Temporal"
        return NotTaken(Reason.TEMPORAL_UNAVAILABLE, detail)


@dataclass(frozen=True, slots=True)
class Done:
    """Temporal took the request; `status` tells whether anything has come of it yet."""

    run: RunLine
    action_id: str
    closed_waits: int
    status: str
    """`requested` until Temporal says that the run has ended, and how; of a signal: `taken`."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nothing was changed; the fields are those of the answer's body."""

    code: str
    action: str
    engine: str
    run_id: str
    reason: str
    detail: str
    hint: str


ControlEnd: TypeAlias = Done | Refusal


class RunControls:
    """Carries out controls. Raises DatabaseUnavailable; a control may be asked for again."""

    def __init__(self, database: Database, port: RunPort) -> None:
        self._database = database
        self._waits = Waits(database)
        self._port = port

    async def carry_out(self, run: RunLine, order: ControlOrder) -> ControlEnd:
        """Do what is asked of a run that the caller has found among their tenants' own."""
        refusal = _unsupported(run, order.control)
        if refusal is not None:
            await self._note(run, order, {"refused": refusal.code})
            return refusal
        action_id = await self._note(run, order, {"asked": True})
        key = RunKey(run.tenant, run.workflow_id, run.run_id, run.namespace)
        answer = await self._port.ask(key, order, action_id)
        match answer:
            case NotTaken(reason, detail):
                await self._note(run, order, {"refused": reason.value, "of": action_id})
                return _refused(run, order.control, reason, detail)
            case Taken():
                await self._note(run, order, {"taken": True, "of": action_id})
                if order.control is Control.SIGNAL:
                    return Done(run, action_id, 0, "taken")
                closed = await self._follow(run, order.control, answer)
                ended = _has_ended(answer.status)
                status = answer.status.value if answer.status and ended else "requested"
                return Done(run, action_id, closed, status)
            case _:
                assert_never(answer)

    async def _follow(self, run: RunLine, control: Control, answer: Taken) -> int:
        """Write down what was requested and, when the run has ended, that it has.

        The waits of a run that goes on are its own: it may take its time over a cancellation, or
        ignore it. Returns how many waits were closed.
        """
        target = {
            "tenant": run.tenant,
            "workflow_id": run.workflow_id,
            "run_id": run.run_id,
            "control": control.value,
            "namespace": run.namespace,
            "first_run_id": run.first_run_id or run.run_id,
        }
        open_waits: list[str] = []
        async with self._database.transaction(tenant=run.tenant) as connection:
            await connection.execute(PLAN_ANEW)
            await connection.execute(NOTE_REQUESTED_CONTROL, target)
            if answer.status is not None and _has_ended(answer.status):
                end = {"status": answer.status.value, "closed_at": answer.closed_at}
                await connection.execute(FOLLOW_END, target | end)
                if answer.status is not RunStatus.CONTINUED_AS_NEW:
                    cursor = await connection.execute(OPEN_WAITS_OF_RUN, target)
                    open_waits = [row[0] for row in await cursor.fetchall()]
        detail = None if answer.status is None else f"the run is {answer.status.value}"
        closings = [
            Closing(run.tenant, wait_id, reason=Reason.RUN_CLOSED, detail=detail)
            for wait_id in open_waits
        ]
        if closings:
            await self._waits.close(closings)
        return len(closings)

    async def _note(self, run: RunLine, order: ControlOrder, detail: dict[str, Any]) -> str:
        action = OperatorAction(
            tenant=run.tenant,
            actor=order.actor,
            action=f"{order.control.value}_run",
            target_kind="run",
            target_id=run.run_id,
            reason=order.reason,
            detail={"workflow_id": run.workflow_id, "signal": order.signal_name, **detail},
        )
        async with self._database.transaction(tenant=run.tenant) as connection:
            return await record_action(connection, action)


def _has_ended(status: RunStatus | None) -> bool:
    return status not in {None, RunStatus.RUNNING, RunStatus.NOT_FOUND}


_ADVICE: Final = {
    Reason.RUN_CLOSED: "The run has ended; if it was continued as new, ask for its newest run.",
    Reason.RUN_NOT_FOUND: "Temporal does not know the run (any more): check the namespace.",
    Reason.NAMESPACE_NOT_FOUND: "Create the namespace or correct TEMPORAL_NAMESPACE.",
    Reason.NAMESPACE_NOT_SERVED: "Add it to TEMPORAL_NAMESPACE, or ask a process that serves it.",
    Reason.PERMISSION_DENIED: "Give Pointsman's credentials the right to do so.",
    Reason.INVALID_TARGET: "Correct what the reason names.",
    Reason.PAYLOAD_TOO_LARGE: "Send less, or a reference to it.",
    Reason.SIGNAL_LIMIT: "Let the workflow continue as new: it has taken too many signals.",
}
_LATER: Final = "Try again once Temporal answers; nothing was changed."


def _unsupported(run: RunLine, control: Control) -> Refusal | None:
    """The refusal of what cannot be asked of this run, whatever Temporal says."""
    if run.engine != TEMPORAL:
        detail = f"the run belongs to the engine {run.engine}, which Pointsman does not control"
        return Refusal(
            "WORKFLOW_ENGINE_UNSUPPORTED",
            control.value,
            run.engine,
            run.run_id,
            detail,
            detail,
            "Use that engine's own controls.",
        )
    if control not in UNSUPPORTED:
        return None
    detail = f"a Temporal run cannot be asked to {control.value}"
    return Refusal(
        "WORKFLOW_TEMPORAL_ACTION_UNSUPPORTED",
        control.value,
        TEMPORAL,
        run.run_id,
        detail,
        detail,
        HINTS[control],
    )


def _refused(run: RunLine, control: Control, reason: Reason, detail: str) -> Refusal:
    return Refusal(
        f"WORKFLOW_TEMPORAL_{control.value.upper()}_FAILED",
        control.value,
        TEMPORAL,
        run.run_id,
        reason.value,
        detail,
        _ADVICE.get(reason, _LATER),
    )
