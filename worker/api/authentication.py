"""From a request to a principal: a bearer token of ours, or a JWT of the trusted issuer."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from routing.tokens import EVERY_TENANT, PREFIX, Scope
from worker.api.gates.admission import Admission
from worker.api.gates.connections import network_of
from worker.api.parts import Parts
from worker.api.principal import Principal
from worker.api.problems import Problem

BEARER: Final = HTTPBearer(
    auto_error=False,
    scheme_name="token",
    description="A token made by `pointsman tokens create`, or a JWT of the trusted issuer.",
)
NOBODY_ASKED: Final = Principal(
    "insecure-development",
    "insecure-development",
    frozenset({Scope.ADMIN}),
    frozenset({EVERY_TENANT}),
)
LONGEST_TOKEN: Final = 16 * 1024

Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]


def parts_of(request: Request) -> Parts:
    """The parts of the application that answers this request."""
    parts: Parts = request.app.state.parts
    return parts


class Needs:
    """A dependency: the caller, who has this scope. Raises Problem with 401, 403, 429 or 503."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    async def __call__(self, request: Request, credentials: Credentials) -> Principal:
        """Who asks; found before the body is read, where the route reads one."""
        return await admitted(request, self.scope, credentials)


def needs(scope: Scope) -> Needs:
    """The dependency on a caller who has this scope."""
    return Needs(scope)


async def admitted(
    request: Request, scope: Scope, credentials: HTTPAuthorizationCredentials | None
) -> Principal:
    """The caller of a request, who has this scope and a turn. Raises Problem.

    The gates are passed once, in this order: token, rate, scope, turn.
    """
    parts = parts_of(request)
    principal: Principal | None = getattr(request.state, "principal", None)
    if principal is None:
        principal = await authenticate(parts, request, credentials)
        admit(parts, principal.identity)
        request.state.principal = principal
    if not principal.may(scope):
        raise Problem(
            HTTPStatus.FORBIDDEN,
            f"this token lacks the scope {scope.value}",
            field="Authorization",
            fix=f"use a token with the scope {scope.value}",
            headers={
                "WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope.value}"'
            },
        )
    await enter(request, principal)
    return principal


async def enter(request: Request, principal: Principal) -> None:
    """Wait for the caller's turn, and let the body be as large as any. Raises Problem."""
    admission: Admission = request.state.admission
    await admission.enter(principal)


async def authenticate(
    parts: Parts, request: Request, credentials: HTTPAuthorizationCredentials | None
) -> Principal:
    """Who the caller is; raises Problem (401) when that is not proved."""
    if parts.settings.insecure_dev:
        return NOBODY_ASKED
    principal = None
    if credentials is not None and len(credentials.credentials) <= LONGEST_TOKEN:
        principal = await _principal(parts, request, credentials.credentials)
    if principal is None:
        admit_stranger(parts, request)
        raise _unauthorized(given=credentials is not None)
    return principal


def admit_stranger(parts: Parts, request: Request) -> None:
    """Raise Problem (429) when an address offers wrong proofs too fast: guessing is slow."""
    _check_rate(parts.strangers.admit(_address(request)), parts.settings.http_unknown_rate)


def check_stranger(parts: Parts, request: Request) -> None:
    """Raise Problem (429) when an address has offered too many wrong proofs already."""
    _check_rate(parts.strangers.look(_address(request)), parts.settings.http_unknown_rate)


def _address(request: Request) -> str:
    return network_of(request.client.host if request.client else "")


async def _principal(parts: Parts, request: Request, text: str) -> Principal | None:
    check = partial(check_stranger, parts, request)
    if text.startswith(PREFIX):
        return await parts.callers.of_token(text, check)
    if parts.jwt is None:
        return None
    check()
    return await parts.jwt.principal(text)


def admit(parts: Parts, identity: str) -> None:
    """Raise Problem (429) when a caller has sent more requests than its share."""
    _check_rate(parts.rate_limit.admit(identity), parts.settings.http_rate)


def _check_rate(seconds: int | None, rate: int) -> None:
    if seconds is not None:
        raise Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"more than {rate} requests per second",
            fix=f"wait {seconds} s, then go on more slowly; post events in batches",
            headers={"Retry-After": str(seconds)},
        )


def _unauthorized(*, given: bool) -> Problem:
    detail = "the token is unknown, revoked or expired" if given else "the request carries no token"
    challenge = 'Bearer realm="pointsman"' + (', error="invalid_token"' if given else "")
    return Problem(
        HTTPStatus.UNAUTHORIZED,
        detail,
        field="Authorization",
        fix="send `Authorization: Bearer <token>`; `pointsman tokens create` makes one",
        headers={"WWW-Authenticate": challenge},
    )


Reader = Annotated[Principal, Depends(needs(Scope.READ))]
Publisher = Annotated[Principal, Depends(needs(Scope.PUBLISH))]
Operator = Annotated[Principal, Depends(needs(Scope.OPERATE))]
Administrator = Annotated[Principal, Depends(needs(Scope.ADMIN))]
PartsOf = Annotated[Parts, Depends(parts_of)]
