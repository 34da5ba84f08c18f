"""Who looks at the console: a session in a strict cookie, checked anew with every request."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Annotated, Final
from urllib.parse import parse_qsl, urlsplit

from fastapi import Depends, Request, Response
from fastapi.security import HTTPAuthorizationCredentials

from routing.sessions import (
    LONGEST,
    SessionOwner,
    end_session,
    start_session,
)
from routing.tokens import EVERY_TENANT, Scope
from worker.api.authentication import (
    PartsOf,
    admit,
    admit_stranger,
    authenticate,
    check_stranger,
    enter,
    parts_of,
)
from worker.api.parts import Parts
from worker.api.principal import Principal
from worker.api.problems import Problem

COOKIE: Final = "pointsman_console"
COOKIE_PATH: Final = "/console"
FORM_TOKEN: Final = "form_token"  # noqa: S105  the name of a field
MOST_FIELDS: Final = 50

# Where no token is asked for there is no session to derive a form's from.
_WITHOUT_SESSION: Final = secrets.token_hex(32)


class NotLoggedIn(Exception):
    """Nobody has proved who they are: show the page that asks for a token."""


@dataclass(frozen=True, slots=True)
class Visit:
    """One request of a person who may read."""

    request: Request
    parts: Parts
    principal: Principal
    form_token: str
    tenant: str | None
    """The tenant that the person looks at; None for all of theirs."""

    @property
    def tenants(self) -> Sequence[str] | None:
        """The tenants that lists look into; None for every one."""
        return self.principal.reach(self.tenant)

    @property
    def may_operate(self) -> bool:
        """Whether the person may change something by hand."""
        return self.principal.may(Scope.OPERATE)

    @property
    def may_administer(self) -> bool:
        """Whether the person may end runs at once, and send them signals."""
        return self.principal.may(Scope.ADMIN)

    def owner(self, tenant: str | None) -> Sequence[str] | None:
        """Where an object is looked for; `tenant` is what its link says."""
        return self.principal.reach_of_object(tenant or None)


async def visit(request: Request, parts: PartsOf) -> Visit:
    """A dependency: the visit of somebody who may read. Raises NotLoggedIn or Problem."""
    principal, session = await _principal(request, parts)
    admit(parts, principal.identity)
    _check_scope(principal, Scope.READ)
    await enter(request, principal)
    tenant = request.query_params.get("tenant") or None
    if tenant is not None:
        principal.check_tenant(tenant)
    return Visit(request, parts, principal, form_token_of(session), tenant)


async def operator_visit(request: Request, parts: PartsOf) -> Visit:
    """A dependency: a form sent from a page of ours by somebody who may operate."""
    return await _acting(request, parts, Scope.OPERATE)


async def administrator_visit(request: Request, parts: PartsOf) -> Visit:
    """A dependency: the same of an administrator."""
    return await _acting(request, parts, Scope.ADMIN)


async def _acting(request: Request, parts: Parts, scope: Scope) -> Visit:
    found = await visit(request, parts)
    _check_scope(found.principal, scope)
    await check_form(found)
    return found


async def asking_visit(request: Request, parts: PartsOf) -> Visit:
    """A dependency: a form that changes nothing, such as a dry run."""
    found = await visit(request, parts)
    await check_form(found)
    return found


async def check_form(found: Visit) -> None:
    """Raise Problem (403) unless the form comes from a page that we gave to this visitor."""
    check_origin(found.request)
    given = (await form_fields(found.request)).get(FORM_TOKEN, "")
    if not hmac.compare_digest(given.encode(), found.form_token.encode()):
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "the form was not made for this session",
            fix="go back, load the page anew and send the form again",
        )


def check_origin(request: Request) -> None:
    """Raise Problem (403) for a form that a page of another site sends."""
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    foreign = site is not None and site != "same-origin"
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        foreign = True
    if foreign:
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "the form was sent by a page of another site",
            fix="open the console itself and send the form from there",
        )


async def form_fields(request: Request) -> dict[str, str]:
    """The fields of a plain form; of a repeated name the last one counts."""
    body = (await request.body()).decode("utf-8", "replace")
    try:
        pairs = parse_qsl(body, keep_blank_values=True, max_num_fields=MOST_FIELDS)
    except ValueError:
        pairs = []
    # A browser sends line ends as CR LF, whatever was typed.
    return {name: value.replace("\r\n", "\n") for name, value in pairs}


def form_token_of(session: str | None) -> str:
    """What a form carries to show whose page it stood on; says nothing of the session itself."""
    key = (session or _WITHOUT_SESSION).encode()
    return hmac.new(key, b"pointsman console form", hashlib.sha256).hexdigest()


async def authenticated(request: Request, parts: Parts, token: str) -> Principal:
    """Who has this token; raises Problem (401)."""
    return await authenticate(
        parts, request, HTTPAuthorizationCredentials(scheme="Bearer", credentials=token)
    )


async def begin_session(
    response: Response, request: Request, parts: Parts, principal: Principal
) -> None:
    """Open a session, where scripts cannot read it and other sites' pages cannot use it."""
    owner = SessionOwner(
        actor=principal.actor,
        identity=principal.identity,
        token_id=principal.token_id,
        scopes=principal.scopes,
        tenants=principal.tenants,
    )
    async with parts.database.transaction() as connection:
        text = await start_session(connection, owner, principal.valid_until)
    response.set_cookie(
        COOKIE,
        text,
        max_age=int(LONGEST.total_seconds()),
        path=COOKIE_PATH,
        secure="https" in (request.url.scheme, request.headers.get("x-forwarded-proto")),
        httponly=True,
        samesite="strict",
    )


async def finish_session(response: Response, request: Request, parts: Parts) -> None:
    """End the session for good, also for whoever has copied the cookie."""
    if session := request.cookies.get(COOKIE):
        async with parts.database.transaction() as connection:
            await end_session(connection, session)
    response.delete_cookie(COOKIE, path=COOKIE_PATH, httponly=True, samesite="strict")


def bound_tenants(principal: Principal) -> Sequence[str]:
    """The tenants that the token names; empty when it is bound to none in particular."""
    return sorted(principal.tenants - {EVERY_TENANT})


async def _principal(request: Request, parts: Parts) -> tuple[Principal, str | None]:
    if parts.settings.insecure_dev:
        return await authenticate(parts, request, None), None
    session = request.cookies.get(COOKIE)
    if not session:
        raise NotLoggedIn
    owner = await parts.callers.of_session(session, partial(check_stranger, parts, request))
    if owner is None:
        admit_stranger(parts, request)
        raise NotLoggedIn
    return Principal(owner.actor, owner.identity, owner.scopes, owner.tenants), session


def _check_scope(principal: Principal, scope: Scope) -> None:
    if not principal.may(scope):
        raise Problem(
            HTTPStatus.FORBIDDEN,
            f"this token lacks the scope {scope.value}",
            fix=f"log in with a token that has the scope {scope.value}",
        )


def parts_from(request: Request) -> Parts:
    """The parts of the application; for what answers before anybody is known."""
    return parts_of(request)


Visiting = Annotated[Visit, Depends(visit)]
Operating = Annotated[Visit, Depends(operator_visit)]
Administering = Annotated[Visit, Depends(administrator_visit)]
Asking = Annotated[Visit, Depends(asking_visit)]
