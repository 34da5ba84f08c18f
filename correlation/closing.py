"""What is said of a wait, and whether the wait ends with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pointsman.contract import Disposition

from .reason import Reason


@dataclass(frozen=True, slots=True)
class Closing:
    """What is said of a wait, by its workflow (a disposition) or by us (a reason)."""

    tenant: str
    wait_id: str
    disposition: Disposition | None = None
    event_id: str | None = None
    reason: Reason | None = None
    detail: str | None = None
    first_run_id: str | None = None
    """Said of the wait of this chain only: its id may have been registered by another since."""
    asked_by: tuple[str, str] | None = None
    """Namespace and id of the workflow that says so, where Temporal vouches for it."""

    @property
    def closes(self) -> bool:
        """Whether the wait ends with it (one of kind `stream`: see `closes_streams`)."""
        return self.disposition not in (
            Disposition.FILTERED,
            Disposition.LATE,
            Disposition.RETURNED,
        )

    @property
    def closes_streams(self) -> bool:
        """Whether it ends a stream, too: accepting one event of it does not."""
        return self.closes and not (
            self.disposition is Disposition.ACCEPTED and self.event_id is not None
        )

    @property
    def returns(self) -> bool:
        """Whether it takes the acceptance of an event back."""
        return self.disposition is Disposition.RETURNED


def without_taken_back(closings: Sequence[Closing]) -> list[Closing]:
    """The same without acceptances that a later one of them takes back: only the end counts."""
    returned: set[tuple[str, str, str | None]] = set()
    kept: list[Closing] = []
    for closing in reversed(closings):
        event = (closing.tenant, closing.wait_id, closing.event_id)
        if closing.returns:
            returned.add(event)
        elif closing.disposition is Disposition.ACCEPTED and event in returned:
            continue
        kept.append(closing)
    return kept[::-1]
