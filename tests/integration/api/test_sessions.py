"""Sessions of the console: apart from the token, ended by the logout, and never longer than it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import httpx

from routing.database import Database
from routing.sessions import MOST_OF_ONE_CALLER, SessionOwner, session_owner, start_session
from routing.tokens import Scope, revoke_token
from tests.integration.api.caller import Api
from worker.console.visits import COOKIE

OWNER = SessionOwner(
    actor="jwt:ada",
    identity="jwt:issuer:ada",
    token_id=None,
    scopes=frozenset({Scope.READ}),
    tenants=frozenset({"acme"}),
)


async def logged_in(api: Api) -> tuple[httpx.AsyncClient, str]:
    client = await api.caller(Scope.READ)
    token = client.headers.pop("authorization").removeprefix("Bearer ")
    answered = await client.post("/console/login", data={"token": token})
    assert answered.status_code == 303
    return client, token


async def test_the_cookie_is_not_the_token_and_is_no_use_for_the_api(api: Api) -> None:
    client, token = await logged_in(api)

    session = client.cookies[COOKIE]
    by_session = await api.with_token(session).get("/v1/events")
    token_as_cookie = await api.with_token(None).get(
        "/console/events", headers={"Cookie": f"{COOKIE}={token}"}
    )

    assert token not in session
    assert by_session.status_code == 401
    assert token_as_cookie.headers["location"].startswith("/console/login")


async def test_logging_out_ends_a_session_that_somebody_has_copied(api: Api) -> None:
    client, _ = await logged_in(api)
    copied = {"Cookie": f"{COOKIE}={client.cookies[COOKIE]}"}
    stranger = api.with_token(None)
    before = await stranger.get("/console/events", headers=copied)

    page = await client.get("/console/events")
    [form_token] = set(re.findall(r'name="form_token" value="([0-9a-f]{64})"', page.text))
    await client.post("/console/logout", data={"form_token": form_token})
    after = await stranger.get("/console/events", headers=copied)

    assert before.status_code == 200
    assert after.status_code == 303
    assert after.headers["location"].startswith("/console/login")


async def test_a_session_ends_with_its_token(api: Api) -> None:
    client, token = await logged_in(api)
    async with api.database.transaction() as connection:
        await revoke_token(connection, token.split("_")[1])

    answered = await client.get("/console/events")

    assert answered.status_code == 303


async def test_a_session_of_a_jwt_ends_with_it(database: Database) -> None:
    now = datetime.now(UTC)
    async with database.transaction() as connection:
        ended = await start_session(connection, OWNER, now - timedelta(seconds=1))
        lasting = await start_session(connection, OWNER, now + timedelta(hours=1))

        assert await session_owner(connection, ended) is None
        assert await session_owner(connection, lasting) == OWNER


async def test_of_very_many_sessions_of_a_caller_the_latest_last(database: Database) -> None:
    texts = []
    for _ in range(MOST_OF_ONE_CALLER + 2):
        async with database.transaction() as connection:
            texts.append(await start_session(connection, OWNER, None))

    async with database.transaction() as connection:
        owners = [await session_owner(connection, text) for text in texts]

    assert owners == [None, None] + [OWNER] * MOST_OF_ONE_CALLER
