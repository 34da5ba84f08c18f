"""Values that nobody foresees, in every parameter of every route: answered, never a failure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

import httpx
import pytest
from fastapi.dependencies.utils import get_flat_params
from fastapi.routing import APIRoute

from routing.database import Database
from tests.builders import a_wait
from tests.integration.api.caller import FakeDeadLetters, open_api

MOST_CHARACTERS: Final = 60_000
"""Longer addresses httpx itself refuses."""
VALUES: Final = {
    "lone surrogate": "%ED%A0%80",
    "no UTF-8": "%FF%FE",
    "NUL": "a%00b",
    "last moment": "9999-12-31T23:59:59.999999-23:59",
    "many digits": "9" * 4400,
    "infinite": "1e999",
    "cursor of times": "WyI5OTk5LTEyLTMxVDIzOjU5OjU5LTIzOjU5IiwiYSIsImIiXQ",
}


def parameters_of(route: APIRoute) -> Iterator[str]:
    """The names of what a route takes in its query; models are taken apart."""
    for each in get_flat_params(route.dependant):
        model: Any = each.field_info.annotation
        if hasattr(model, "model_fields"):
            yield from model.model_fields
        elif each not in route.dependant.path_params:
            yield each.alias


def routes_of(app: Any) -> Iterator[tuple[str, APIRoute]]:
    """Every route of the API and of the console, with its prefix; streams never end."""
    for included in app.routes:
        prefix = getattr(getattr(included, "include_context", None), "prefix", "")
        router = getattr(included, "original_router", None)
        for route in router.routes if router is not None else [included]:
            if isinstance(route, APIRoute) and "stream" not in route.path:
                yield prefix, route


def requests_of(
    prefix: str, route: APIRoute, value: str, form_token: str
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Requests with the value in one place each, then with it in all of them."""
    path = re.sub(r"\{[^}]*\}", lambda _: value or "x", prefix + route.path)
    plain = re.sub(r"\{[^}]*\}", "x", prefix + route.path)
    names = list(dict.fromkeys(parameters_of(route)))
    for method in route.methods or ():
        yield method, path, {}
        for name in names:
            yield method, f"{plain}?{quote(name)}={value}", {}
        several = "&".join(f"{quote(name)}={value}" for name in names)
        yield method, f"{plain}?{several}"[:MOST_CHARACTERS], {}
        if method not in {"GET", "HEAD"}:
            text = f'"{value}"'.encode()
            json = {"content-type": "application/json"}
            yield method, plain, {"content": text, "headers": json}
            members = ("reason", "event_id", "answer", "input", "tenant", "workflow_id", "payload")
            body = b"{" + b",".join(b'"%s": %s' % (m.encode(), text) for m in members) + b"}"
            yield method, plain, {"content": body, "headers": json}
            form = "&".join(f"{name}={value}" for name in ("id", "of", "reason", "event", "toml"))
            form += f"&form_token={form_token}"
            as_form = {"content-type": "application/x-www-form-urlencoded"}
            yield method, plain, {"content": form.encode(), "headers": as_form}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
async def test_no_value_in_any_place_is_a_failure(database: Database, value: str) -> None:
    failures: list[tuple[str, str, int]] = []
    async with open_api(database, FakeDeadLetters([])) as api:
        await api.register(a_wait(key="7", workflow_id="x"))
        await api.record(key="7", event_id="x")
        app: Any = api.transport.app
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        token = (await api.admin()).headers["authorization"]
        async with httpx.AsyncClient(
            transport=transport, base_url="http://127.0.0.1", headers={"authorization": token}
        ) as client:
            await client.post("/console/login", data={"token": token.removeprefix("Bearer ")})
            shown = await client.get("/console/explain")
            [form_token] = set(re.findall(r'name="form_token" value="([0-9a-f]{64})"', shown.text))
            for prefix, route in routes_of(app):
                for method, target, more in requests_of(prefix, route, value, form_token):
                    answer = await client.request(method, target, **more)
                    if answer.status_code >= 500:
                        failures.append((method, target[:120], answer.status_code))

    assert failures == []
