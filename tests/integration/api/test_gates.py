"""What a request passes before anything of it is worked on: on a real socket, from outside."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Final

import httpx
import pytest
from structlog.testing import capture_logs

from routing.database import Database, DatabaseLimits, open_database
from routing.tokens import Scope, new_token, revoke_token
from tests.builders import a_wait
from tests.integration.api.caller import Counting, FakeDeadLetters, open_api
from tests.integration.api.sockets import Spoken, request, spoken_to
from tests.waiting import wait_until
from worker.api.gates.callers import Callers

WAIT: Final = json.dumps(
    {
        "tenant": "acme",
        "wait_id": "new",
        "event_name": "A",
        "correlation_key": 7,
        "workflow_id": "w",
    }
).encode()
SOON: Final = timedelta(milliseconds=200)
MEBIBYTES: Final = 7 * 2**20


async def token_of(spoken: Spoken, *scopes: Scope, tenant: str = "acme") -> str:
    client = await spoken.api.caller(*scopes, tenants=[tenant])
    return str(client.headers["authorization"])


@pytest.mark.parametrize(
    "path", ["/v1/waits", "/v1/events", "/v1/rules/shadow", "/v1/dlq/1/requeue"]
)
@pytest.mark.parametrize(
    "token",
    [None, "Bearer pmt_nobody", f"Bearer {new_token().text}"],
    ids=["no token", "no token of ours", "an unknown token"],
)
async def test_nothing_is_read_of_whoever_has_no_token(
    database: Database, path: str, token: str | None
) -> None:
    async with spoken_to(database) as spoken:
        line = await spoken.line()

        line.say(request("POST", path, token=token, body=b"{", length=MEBIBYTES))
        answered = await line.answer()

    assert answered.status == 401


async def test_nothing_is_read_that_the_caller_may_not_send(database: Database) -> None:
    async with spoken_to(database) as spoken:
        token = await token_of(spoken, Scope.READ)
        line = await spoken.line()

        line.say(request("POST", "/v1/waits", token=token, body=b"{", length=MEBIBYTES))
        answered = await line.answer()

    assert answered.status == 403


async def test_after_an_early_answer_the_rest_is_passed_over_and_the_connection_goes_on(
    database: Database,
) -> None:
    async with spoken_to(database) as spoken:
        line = await spoken.line()

        line.say(request("POST", "/v1/waits", body=b"{", length=100_000))
        refused = await line.answer()
        line.say(b" " * 99_999 + request("GET", "/openapi.json"))
        document = await line.answer()

    assert (refused.status, document.status) == (401, 200)


async def test_a_rest_that_never_comes_ends_the_connection(database: Database) -> None:
    async with spoken_to(database, http_body_timeout=SOON) as spoken:
        line = await spoken.line()

        line.say(request("POST", "/v1/waits", body=b"{", length=100_000))
        await line.answer()

        assert await line.end() == b""


async def test_an_unfinished_head_is_answered_and_ended(database: Database) -> None:
    async with spoken_to(database, http_head_timeout=SOON) as spoken:
        line, silent = await spoken.line(), await spoken.line()

        line.say(b"GET /v1/events HTTP/1.1\r\nhost: ")
        answered = await line.answer()

        assert (answered.status, answered.headers["connection"]) == (408, "close")
        assert await line.end() == b""
        assert await silent.end() == b""


async def test_a_second_head_has_a_deadline_too(database: Database) -> None:
    async with spoken_to(database, http_head_timeout=SOON) as spoken:
        line = await spoken.line()

        line.say(request("GET", "/openapi.json") + b"GET /openapi.json HTT")
        first, second = await line.answer(), await line.end()

    assert first.status == 200
    # Nothing more came with it: it counts as idle, and is closed without a word.
    assert second == b""


async def test_an_unfinished_body_is_answered(database: Database) -> None:
    async with spoken_to(database, http_body_timeout=SOON) as spoken:
        token = await token_of(spoken, Scope.OPERATE)
        line = await spoken.line()

        line.say(request("POST", "/v1/waits", token=token, body=WAIT[:9], length=len(WAIT)))
        answered = await line.answer()

    assert (answered.status, answered.problem["errors"][0]["field"]) == (408, "body")


async def test_a_body_that_comes_in_time_is_taken(database: Database) -> None:
    async with spoken_to(database) as spoken:
        await spoken.api.register(a_wait(workflow_id="w", run_id="run"))
        token = await token_of(spoken, Scope.OPERATE)
        line = await spoken.line()

        line.say(request("POST", "/v1/waits", token=token, body=WAIT[:9], length=len(WAIT)))
        await line.writer.drain()
        line.say(WAIT[9:])
        answered = await line.answer()

    assert answered.status == 200


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"GET /" + b"a" * 100_000, 431),
        (b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 10_000, 431),
        (b"\x16\x03\x01 this is TLS\r\n\r\n", 400),
        (b"POST /v1/waits HTTP/1.1\r\nhost: a\r\ncontent-length: many\r\n\r\n", 400),
    ],
    ids=["long address", "many headers", "no HTTP", "no length"],
)
async def test_what_is_no_head_is_refused_as_a_problem(
    database: Database, said: bytes, status: int
) -> None:
    async with spoken_to(database) as spoken:
        line = await spoken.line()

        line.say(said)
        answered = await line.answer()

    assert answered.status == answered.problem["status"] == status
    assert answered.headers["content-type"] == "application/problem+json"


async def test_a_body_that_is_cut_off_leaves_no_traceback(database: Database) -> None:
    async with spoken_to(database) as spoken:
        token = await token_of(spoken, Scope.OPERATE)
        line = await spoken.line()

        with capture_logs() as logs:
            line.say(request("POST", "/v1/waits", token=token, body=b"{", length=100))
            await wait_until(lambda: spoken.api.parts.shares.running, description="it is read")
            line.writer.close()
            await wait_until(
                lambda: "request.abandoned" in [entry["event"] for entry in logs],
                description="it is given up",
            )

        assert "request.failed" not in [entry["event"] for entry in logs]
        assert spoken.api.parts.shares.running == 0


async def test_half_requests_in_any_number_shut_nobody_out(database: Database) -> None:
    async with spoken_to(database, http_connections=40, http_connections_per_address=30) as spoken:
        for _ in range(200):
            (await spoken.line()).say(b"GET /v1/events HTTP/1.1\r\nhost: ")

        async def served() -> bool:
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{spoken.port}") as client:
                try:
                    return (await client.get("/openapi.json")).status_code == 200
                except httpx.TransportError:
                    return False

        with capture_logs() as logs:
            await wait_until(served, description="one who is in earnest is served")
        refused = await spoken.lines[199].answer()

    assert (refused.status, refused.headers["retry-after"]) == (503, "2")
    assert not [entry for entry in logs if entry["log_level"] in ("error", "critical")]


async def test_whoever_does_not_read_is_disconnected(database: Database) -> None:
    async with spoken_to(database, http_reader_timeout=SOON) as spoken:
        line = await spoken.line()

        with capture_logs() as logs:
            line.say(request("GET", "/openapi.json") * 200)
            await wait_until(
                lambda: "connection.unread" in [entry["event"] for entry in logs],
                description="the buffers are full and the client is given up",
            )
        read = await line.end()

    assert read.count(b"HTTP/1.1 200 OK") < 200


async def test_bad_tokens_cost_the_matching_nothing(database_url: str, database: Database) -> None:
    matching = Counting(database._pool, DatabaseLimits())
    async with open_database(database_url, DatabaseLimits(connections=2)) as separate:
        tokens = Counting(separate._pool, DatabaseLimits())
        async with open_api(
            matching,
            FakeDeadLetters(),
            lambda parts: replace(parts, callers=Callers(tokens, 5.0)),
            http_unknown_rate=1,
        ) as api:
            good = await api.caller(Scope.READ)
            before = (await good.get("/v1/events")).status_code
            matching.transactions = 0

            codes = [
                (await api.with_token(new_token().text).get("/v1/events")).status_code
                for _ in range(20)
            ]
            bad = matching.transactions
            after = (await good.get("/v1/events")).status_code

    assert (before, after) == (200, 200)
    # The bucket fills by itself meanwhile, at one a second.
    assert codes.count(401) < len(codes)
    assert set(codes) == {401, 429}
    assert tokens.transactions == 1 + codes.count(401)
    assert bad == 0


async def test_a_bad_token_is_looked_up_once_and_a_revoked_one_ends(database: Database) -> None:
    counting = Counting(database._pool, DatabaseLimits())
    async with open_api(database, FakeDeadLetters()) as api:
        good = await api.caller(Scope.READ)
        text = good.headers["authorization"].removeprefix("Bearer ")
        now = [0.0]
        callers = Callers(counting, 5.0, lambda: now[0])
        bad = new_token().text

        for _ in range(3):
            assert await callers.of_token(bad, _nothing) is None
            assert await callers.of_token(text, _nothing) is not None
        looked_up = counting.transactions
        async with database.transaction() as connection:
            await revoke_token(connection, text.split("_")[1])
        remembered = await callers.of_token(text, _nothing)
        now[0] = 5.0
        asked_again = await callers.of_token(text, _nothing)

    assert looked_up == 2
    assert remembered is not None
    assert asked_again is None


async def test_one_tenants_requests_leave_room_for_others(database: Database) -> None:
    async with spoken_to(database, http_requests=4, http_requests_per_tenant=1) as spoken:
        await spoken.api.register(a_wait(workflow_id="w", run_id="run"))
        acme = await token_of(spoken, Scope.OPERATE)
        globex = await token_of(spoken, Scope.OPERATE, tenant="globex")
        shares = spoken.api.parts.shares
        slow = [await spoken.line() for _ in range(6)]
        half = request("POST", "/v1/waits", token=acme, body=WAIT[:9], length=len(WAIT))

        for line in slow[:5]:
            line.say(half)
        await wait_until(lambda: shares.waiting == 4, description="one is read, four wait")
        slow[5].say(half)
        refused = await slow[5].answer()
        other = await spoken.line()
        other.say(request("GET", "/v1/events", token=globex))
        served = await other.answer()
        for line in slow[:5]:
            line.say(WAIT[9:])
        answers = [(await line.answer()).status for line in slow[:5]]

    assert (refused.status, refused.headers["retry-after"]) == (429, "1")
    assert served.status == 200
    assert answers == [200] * 5


async def test_a_stop_ends_half_requests_at_once_and_answers_whole_ones(database: Database) -> None:
    async with spoken_to(database) as spoken:
        token = await token_of(spoken, Scope.OPERATE)
        head, body = await spoken.line(), await spoken.line()
        head.say(b"GET /v1/events HTTP/1.1\r\nhost: ")
        body.say(request("POST", "/v1/waits", token=token, body=WAIT[:9], length=len(WAIT)))
        await wait_until(lambda: spoken.api.parts.shares.running, description="it is read")

        spoken.stopping.set()
        refused = await body.answer()

        assert refused.status == 503
        assert await head.end() == b""
        await spoken.serving


async def test_a_stranger_s_form_is_small(database: Database) -> None:
    async with open_api(database, FakeDeadLetters()) as api:
        answered = await api.with_token(None).post(
            "/console/login", content=b"token=" + b"a" * 100_000
        )

    assert answered.status_code == 413


def _nothing() -> None:
    """Nobody is a stranger."""
