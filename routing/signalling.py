"""The port to Temporal: sending one signal, and the ways in which that can end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from correlation.reason import Reason
from routing.chains import Lives
from routing.incoming import Delivery


@dataclass(frozen=True, slots=True)
class Delivered:
    """Temporal has the signal (now, or from an earlier attempt of the same delivery)."""

    to: Lives | None = None
    """The run that took it, where the wait did not say whose it is."""


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Nothing is known to be wrong with the delivery itself."""

    reason: Reason
    detail: str
    outage: bool
    """True when every delivery would fail alike now: then none should be tried for a while."""


@dataclass(frozen=True, slots=True)
class Refused:
    """This delivery can never succeed."""

    reason: Reason
    detail: str


SignalResult: TypeAlias = Delivered | TryAgain | Refused


class Signaller(Protocol):
    """Sends signals. Never raises for anything that Temporal answers or fails to answer."""

    async def signal(self, delivery: Delivery) -> SignalResult:
        """Send the delivery's signal, once, within a bounded time.

        Sending the same delivery again is harmless while the run's history remembers it.
        """
        ...
