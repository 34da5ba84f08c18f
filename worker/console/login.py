"""Logging in with a token, out again, and the files that the pages load."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import Request, Response

from routing.tokens import Scope
from worker.api.authentication import PartsOf
from worker.api.parts import Parts
from worker.api.principal import Principal
from worker.api.problems import Problem
from worker.console.rendering import HEADERS, bare_page, static_files
from worker.console.routes import console_router, go_to
from worker.console.visits import (
    Visiting,
    authenticated,
    begin_session,
    check_form,
    check_origin,
    finish_session,
    form_fields,
)

router = console_router()

A_YEAR = 365 * 24 * 60 * 60


@router.get("/static/{name}")
async def static_file(name: str, v: str = "") -> Response:
    """A file of ours; kept by browsers for as long as its content stays the same."""
    found = static_files().get(name)
    if found is None:
        raise Problem(HTTPStatus.NOT_FOUND, "there is no such file", fix="load the page anew")
    content, digest, kind = found
    lasting = f"public, max-age={A_YEAR}, immutable" if v == digest else "no-cache"
    headers = HEADERS | {"Cache-Control": lasting, "ETag": f'"{digest}"'}
    return Response(content, media_type=kind, headers=headers)


@router.get("/login")
async def ask_for_token(parts: PartsOf, after: str = "") -> Response:
    """The page with the form; of no use where no token is asked for."""
    if parts.settings.insecure_dev:
        return go_to("")
    return bare_page("login.html", after=_safe(after), problem=None)


@router.post("/login")
async def log_in(request: Request, parts: PartsOf) -> Response:
    """Check the token, then open a session; the token itself is kept nowhere."""
    check_origin(request)
    given = await form_fields(request)
    token, after = given.get("token", "").strip(), _safe(given.get("after", ""))
    principal = await _visitor(request, parts, token)
    if isinstance(principal, str):
        status = HTTPStatus.UNAUTHORIZED
        return bare_page("login.html", status=status, after=after, problem=principal)
    response = go_to(after)
    await begin_session(response, request, parts, principal)
    return response


@router.post("/logout")
async def log_out(visit: Visiting) -> Response:
    """End the session; the token stays valid elsewhere until it is revoked."""
    await check_form(visit)
    response = go_to("/login")
    await finish_session(response, visit.request, visit.parts)
    return response


async def _visitor(request: Request, parts: Parts, token: str) -> Principal | str:
    """Who has this token, or why it opens nothing."""
    if not token:
        return "Paste a token first."
    if not token.isascii() or not token.isprintable():
        return "This is not a token: take one of `pointsman tokens create`."
    try:
        principal = await authenticated(request, parts, token)
    except Problem as refused:
        if refused.status != HTTPStatus.UNAUTHORIZED:
            raise
        return "This token is unknown, revoked or expired."
    if not principal.may(Scope.READ):
        return "This token may not read: take one with the scope read."
    return principal


def _safe(after: str) -> str:
    """Where to go after the login: a page of the console and nowhere else."""
    inside = after.startswith("/") and not after.startswith("//") and "\\" not in after
    return after if inside and after.isprintable() else ""
