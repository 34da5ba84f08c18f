"""What one request was granted: a body of full size, and a turn among its tenant's requests."""

from __future__ import annotations

from http import HTTPStatus

from worker.api.gates.body import Body
from worker.api.gates.shares import Busy, Shares
from worker.api.principal import Principal
from worker.api.problems import Problem


class Admission:
    """Begins with nothing; `leave` gives everything back."""

    def __init__(self, body: Body, shares: Shares) -> None:
        self._body = body
        self._shares = shares
        self._taken: str | None = None

    async def enter(self, principal: Principal) -> None:
        """It is known who asks: wait for their turn. Raises Problem (429, 503)."""
        if self._taken is not None:
            return
        tenant = principal.only_tenant
        caller = principal.identity if tenant is None else f"tenant:{tenant}"
        try:
            await self._shares.take(caller)
        except Busy as busy:
            raise _busy(own=busy.own) from None
        self._taken = caller
        self._body.admit()

    def leave(self) -> None:
        """The request is answered."""
        if self._taken is not None:
            self._shares.give_back(self._taken)
            self._taken = None


def _busy(*, own: bool) -> Problem:
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS if own else HTTPStatus.SERVICE_UNAVAILABLE,
        "too many requests of this tenant are worked on at once"
        if own
        else "too many requests are worked on at once",
        fix="send fewer requests at the same time; post events in batches",
        headers={"Retry-After": "1"},
    )
