"""The inbox of the run that is executing: how it is found, and what it owns from the first moment.

It is found through its signal handler: a module variable would be shared by the runs of a worker
without a sandbox.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from temporalio import workflow

from pointsman.inbox import Inbox, OpenWait
from pointsman.reports import Reports, in_batches

with workflow.unsafe.imports_passed_through():
    from pointsman.contract import EVENT_SIGNAL, HUMAN_TASK_SIGNAL

EARLY_SIGNALS: Final = "pointsman-early-signals"
"""The patch: a run whose dynamic handler took its first events stays without them."""


class RunInbox(Inbox):
    """The inbox of a run, with the reports that leave it."""

    def __init__(self) -> None:
        self.reports = Reports()
        self.owns_signals = False
        """Whether it had them before any other handler could."""
        self._warned = False
        super().__init__(self.reports, _decoded)

    def carried_state(self) -> dict[str, Any]:
        """Everything the next run must know, as plain JSON."""
        refuse_dynamic_handler(self)
        return {**self.state(), "outstanding": self.reports.outstanding()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what the previous run carried. Raises ValueError on a foreign state."""
        if self.fresh and self.has_early and not workflow.patched(EARLY_SIGNALS):
            self.keep_early()
        self.load(state)
        self.reports.load(state.get("outstanding", ()))

    def warn_of_gap(self, request: Mapping[str, Any]) -> None:
        """Say once that the run loses events between its waits."""
        if self._warned:
            return
        self._warned = True
        workflow.logger.warning(
            "the run waits again for %s, key %r, without a look-back: events that came since its "
            "last such wait ended are lost to it; use event_stream, or a lookback",
            request["event_name"],
            request["correlation_key"],
        )


def inbox_of_this_run() -> RunInbox:
    """The run's inbox, made where there is none."""
    return _found() or new_inbox()


def restored_inbox(state: Mapping[str, Any]) -> RunInbox:
    """The run's inbox with what the previous run carried."""
    inbox = _found()
    if inbox is None:
        # Signals that came before are handed to a handler as soon as it is set.
        inbox = RunInbox()
        inbox.restore(state)
        _listen(inbox)
        refuse_dynamic_handler(inbox)
        return inbox
    if not inbox.fresh:
        raise RuntimeError("restore() must be called before the run waits for anything")
    inbox.restore(state)
    return inbox


def new_inbox(*, early: bool = False) -> RunInbox:
    """Give the run its inbox. Signals that came before are handed to it at once."""
    inbox = RunInbox()
    if early:
        inbox.keep_early()
        inbox.owns_signals = True
    _listen(inbox)
    return inbox


def check_hears_tasks(inbox: Inbox) -> None:
    """Raise TypeError where the workflow itself handles the signals of human tasks."""
    handler = workflow.get_signal_handler(HUMAN_TASK_SIGNAL)
    if getattr(handler, "__self__", None) is not inbox:
        raise TypeError(
            f"the workflow handles the signal {HUMAN_TASK_SIGNAL!r}; Pointsman needs it"
        )


def refuse_dynamic_handler(inbox: RunInbox) -> None:
    """Raise RuntimeError where a dynamic handler would take events before `restore()` is called."""
    if inbox.owns_signals or workflow.get_dynamic_signal_handler() is None:
        return
    if workflow.unsafe.is_replaying():
        return
    raise RuntimeError(
        "the workflow has a dynamic signal handler: it takes the events that reach a run before "
        "restore() is called. Let Pointsman own its signals from the first moment: call "
        "pointsman.workflow.own_signals() in the workflow's __init__"
    )


def _found() -> RunInbox | None:
    handler = workflow.get_signal_handler(EVENT_SIGNAL)
    if handler is None:
        return None
    owner = getattr(handler, "__self__", None)
    if not isinstance(owner, RunInbox):
        raise TypeError(f"the workflow handles the signal {EVENT_SIGNAL!r}; Pointsman needs it")
    return owner


def _listen(inbox: RunInbox) -> None:
    _guard_continuing(inbox)
    workflow.set_signal_handler(EVENT_SIGNAL, inbox.receive)
    # Waits of human tasks that the previous run carried may be signalled before code asks again.
    if workflow.get_signal_handler(HUMAN_TASK_SIGNAL) is None:
        workflow.set_signal_handler(HUMAN_TASK_SIGNAL, inbox.receive)


def _decoded(raw: Any) -> Any:
    """The first argument of a signal that Temporal decoded for a dynamic handler: not at all."""
    if not isinstance(raw, Sequence) or not raw:
        return None
    try:
        return workflow.payload_converter().from_payload(raw[0].payload)
    except Exception:  # noqa: BLE001 - as Temporal drops a signal that it cannot decode
        workflow.logger.exception("a signal of Pointsman cannot be decoded")
        return None


def _guard_continuing(inbox: RunInbox) -> None:
    """Look at the inbox when the run continues as new, wherever its code does so.

    The event loop of a run is its runtime; `workflow.continue_as_new` ends in a method of it. Where
    that should not be so one day, the blocks of the waits still see the run continue.
    """
    runtime: Any = asyncio.get_running_loop()
    continue_as_new = getattr(runtime, "workflow_continue_as_new", None)
    if continue_as_new is None:
        return

    def guarded(*args: Any, **options: Any) -> None:
        refuse_to_forget(inbox)
        continue_as_new(*args, **options)

    runtime.workflow_continue_as_new = guarded


def refuse_to_forget(inbox: RunInbox) -> None:
    """Raise RuntimeError where continue-as-new would lose events. That fails the workflow task:
    the run waits, and loses nothing, until its code is corrected.
    """
    open_waits = inbox.what_would_be_lost()
    if not open_waits or not in_batches():
        return
    late = "carry() was called before the last event came" if inbox.carried else "without carry()"
    raise RuntimeError(
        f"continue_as_new {late} loses the events of {_named(open_waits)}: write "
        "workflow.continue_as_new(args=[…, carry()]), and restore(state) at the beginning of the "
        "run; or leave the blocks of these waits before"
    )


def _named(waits: Sequence[OpenWait]) -> str:
    names = sorted({str(wait.request["event_name"]) for wait in waits})
    return f"{len(waits)} open wait{'s' if len(waits) > 1 else ''} ({', '.join(names[:5])})"
