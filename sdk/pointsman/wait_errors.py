"""How a wait can fail. Each error fails a workflow that does not catch it."""

from __future__ import annotations

from collections.abc import Sequence

from temporalio.exceptions import ApplicationError

from pointsman.received_event import ReceivedEvent


class EventWaitTimeout(ApplicationError):
    """No event that passed the filter came in time. The wait has been withdrawn.

    A failure in Temporal's sense: a workflow that does not catch it fails with the error type
    `EventWaitTimeout`, instead of trying its workflow task again for ever. A retry policy of the
    workflow does not run it again, unless the wait was asked to `retry_on_timeout`.
    """

    def __init__(
        self, waited_for: str, received: Sequence[ReceivedEvent] = (), *, retryable: bool = False
    ) -> None:
        super().__init__(
            f"no event in time: {waited_for}",
            type="EventWaitTimeout",
            non_retryable=not retryable,
        )
        self.received = tuple(received)
        """Of `all_of`: the events that came, and are accepted, before the time was over."""


class EventWaitRefused(ApplicationError):
    """The wait itself is wrong (an unusable key, a blank tenant, …); trying again cannot help."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, type="EventWaitRefused", non_retryable=True)


class HumanTaskTimeout(ApplicationError):
    """Nobody completed the task in time. It has been withdrawn: who answers now is told so.

    As `EventWaitTimeout`, it is not retried unless that was asked for.
    """

    def __init__(self, title: str, *, retryable: bool = False) -> None:
        super().__init__(
            f"no answer in time: {title}", type="HumanTaskTimeout", non_retryable=not retryable
        )


class HumanTaskRefused(ApplicationError):
    """The task itself is wrong (no usable form, a blank tenant, …); trying again cannot help."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason, type="HumanTaskRefused", non_retryable=True)
