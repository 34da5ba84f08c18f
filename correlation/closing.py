"""What is said of a wait, and whether the wait ends with it."""

from __future__ import annotations

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

    @property
    def closes(self) -> bool:
        """Whether the wait ends with it (one of kind `stream`: see `closes_streams`)."""
        return self.disposition not in (Disposition.FILTERED, Disposition.LATE)

    @property
    def closes_streams(self) -> bool:
        """Whether it ends a stream, too: accepting one event of it does not."""
        return self.closes and not (
            self.disposition is Disposition.ACCEPTED and self.event_id is not None
        )
