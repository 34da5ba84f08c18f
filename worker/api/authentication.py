"""From a request to a principal: a bearer token of ours, or a JWT of the trusted issuer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from routing.tokens import EVERY_TENANT, PREFIX, Scope, TokenRecord, verified_token
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


def needs(scope: Scope) -> Callable[..., Awaitable[Principal]]:
    """A dependency: the caller, who has this scope. Raises Problem with 401, 403 or 429."""

    async def caller(request: Request, credentials: Credentials) -> Principal:
        parts = parts_of(request)
        principal = await authenticate(parts, request, credentials)
        admit(parts, principal.identity)
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
        return principal

    return caller


async def authenticate(
    parts: Parts, request: Request, credentials: HTTPAuthorizationCredentials | None
) -> Principal:
    """Who the caller is; raises Problem (401) when that is not proved."""
    if parts.settings.insecure_dev:
        return NOBODY_ASKED
    principal = None
    if credentials is not None and len(credentials.credentials) <= LONGEST_TOKEN:
        principal = await _principal(parts, credentials.credentials)
    if principal is None:
        admit_stranger(parts, request)
        raise _unauthorized(given=credentials is not None)
    return principal


def admit_stranger(parts: Parts, request: Request) -> None:
    """Raise Problem (429) when an address offers wrong proofs too fast: guessing is slow."""
    admit(parts, f"address:{request.client.host if request.client else ''}")


async def _principal(parts: Parts, text: str) -> Principal | None:
    if text.startswith(PREFIX):
        async with parts.database.transaction() as connection:
            token = await verified_token(connection, text)
        return None if token is None else _of_token(token)
    return None if parts.jwt is None else await parts.jwt.principal(text)


def _of_token(token: TokenRecord) -> Principal:
    return Principal(
        f"token:{token.name}",
        f"token:{token.token_id}",
        frozenset(token.scopes),
        frozenset(token.tenants),
        token_id=token.token_id,
        valid_until=token.expires_at,
    )


def admit(parts: Parts, identity: str) -> None:
    """Raise Problem (429) when a caller has sent more requests than its share."""
    seconds = parts.rate_limit.admit(identity)
    if seconds is not None:
        raise Problem(
            HTTPStatus.TOO_MANY_REQUESTS,
            f"more than {parts.settings.http_rate} requests per second",
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
