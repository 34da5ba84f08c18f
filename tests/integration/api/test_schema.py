"""The OpenAPI document against the API itself: generated requests by callers of every kind."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final, Self

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from routing.database import DatabaseLimits, open_database
from routing.tokens import Scope
from tests.builders import a_wait
from tests.integration.api.caller import FakeDeadLetters, open_api
from worker.api.app import bare_app
from worker.api.serving import listen_on

CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
DOCUMENT: Final = bare_app().openapi()
CANARY: Final = "canary-of-globex"
CALLERS: Final = {
    "nobody": None,
    "publisher": ((Scope.PUBLISH,), ["acme"]),
    "reader": ((Scope.READ,), ["acme"]),
    "operator": ((Scope.OPERATE,), ["acme", "initech"]),
    "administrator": ((Scope.ADMIN,), ["acme"]),
}


class Served:
    """The API in a thread of its own, behind a real socket."""

    def __init__(self, database_url: str) -> None:
        self._database_url = database_url
        self._ready = threading.Event()
        self._server: uvicorn.Server | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self.tokens: dict[str, str | None] = {}
        self.address = ""

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(30), "the API was to be served within 30 s"
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.should_exit = True
        self._thread.join(30)

    async def _serve(self) -> None:
        async with (
            open_database(self._database_url, DatabaseLimits()) as database,
            open_api(database, FakeDeadLetters()) as api,
        ):
            await api.record(tenant="globex", name=CANARY, event_id=CANARY, key=CANARY)
            await api.record(tenant="acme", name="A", event_id="known", key=1)
            await api.register(
                a_wait(tenant="globex", wait_id=CANARY, workflow_id=CANARY),
                a_wait(tenant="acme", wait_id="known", workflow_id="known"),
            )
            for name, grant in CALLERS.items():
                client = None if grant is None else await api.caller(*grant[0], tenants=grant[1])
                self.tokens[name] = client.headers["authorization"] if client else None
            listener = listen_on("127.0.0.1", 0)
            self.address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            config = uvicorn.Config(
                api.transport.app, lifespan="off", log_config=None, access_log=False
            )
            self._server = uvicorn.Server(config)
            self._ready.set()
            with listener:
                await self._server.serve(sockets=[listener])


@pytest.fixture
def served(database_url: str) -> Iterator[Served]:
    with Served(database_url) as served:
        yield served


def operations() -> list[tuple[str, str]]:
    return [(method, path) for path, item in DOCUMENT["paths"].items() for method in item]


@pytest.mark.parametrize("caller", CALLERS)
def test_no_generated_request_fails_or_shows_another_tenant(served: Served, caller: str) -> None:
    schema = schemathesis.openapi.from_dict(DOCUMENT)
    token = served.tokens[caller]
    headers = {} if token is None else {"Authorization": token}
    seen: Counter[int] = Counter()

    for method, path in operations():
        case_of = schema[path][method].as_strategy()

        @seed(7)
        @settings(
            max_examples=8,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=case_of, known=st.sampled_from(["", "known", CANARY]))
        def one_request(case: Any, known: str) -> None:
            if known and case.path_parameters:
                case.path_parameters = dict.fromkeys(case.path_parameters, known)
            case.headers = {**dict(case.headers or {}), **headers}
            if not headers:
                case.headers.pop("Authorization", None)
            answered = case.call(base_url=served.address)
            seen[answered.status_code] += 1
            case.validate_response(answered, checks=CHECKS)
            assert CANARY not in answered.text.replace(f'"{known}"', "")

        one_request()
    assert set(seen) == {401} if token is None else seen[200] + seen[207] > 0
