"""Canaries: what is secret in a payload, an address or a token shows up nowhere it is not asked."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from redis.asyncio import Redis
from typer.main import get_command

from correlation.reason import Reason
from ingress.dead_letters import RedisDeadLetters
from ingress.entry import EntryId, StreamName, entry_of
from tests.acceptance.site import CANARY, Site, addresses, logged
from tests.waiting import wait_until
from worker.cli.application import everything

SECRETS: Final = {
    "apiKey": CANARY,
    "card": {"access_token": [CANARY, {"n": CANARY}]},
    "Authorization": f"Bearer {CANARY}",
    "invoice": {"id": "INV-1"},
}
PAYLOAD: Final = json.dumps(SECRETS)
BROKEN: Final = PAYLOAD[:-1]
FIELDS: Final = {"tenant": "acme", "event_id": "known", "event_type": "INVOICE_PAID"}
TOKEN: Final = "pmt_" + CANARY
UNREACHABLE: Final = {
    "POINTSMAN_REDIS_URL": f"redis://ada:{CANARY}@127.0.0.1:1/0",
    "POINTSMAN_DATABASE_URL": f"postgresql://ada:{CANARY}@127.0.0.1:1/x?sslpassword={CANARY}",
    "TEMPORAL_ADDRESS": "127.0.0.1:1",
}
RUNNING: Final = {"run", "dev", "demo"}
"""Commands that go on until they are told to stop."""


async def take_in(site: Site) -> None:
    """Secrets on the stream, whole, broken and set aside."""
    redis = Redis.from_url(site.redis_url)
    entries: list[dict[Any, Any]] = [
        {**FIELDS, "payload_json": PAYLOAD},
        {**FIELDS, "event_id": "broken", "payload_json": BROKEN},
        {**FIELDS, "event_id": "of-field", "password": CANARY, "timestamp": "x"},
    ]
    for fields_of_one in entries:
        await redis.xadd(site.stream, fields_of_one)
    await redis.aclose()
    letters = RedisDeadLetters(lambda: Redis.from_url(site.redis_url))
    fields = {**FIELDS, "event_id": "poison", "payload_json": PAYLOAD}
    entry = entry_of(
        StreamName(site.stream),
        EntryId("1-0"),
        {name.encode(): value.encode() for name, value in fields.items()},
    )
    await letters.set_aside(entry, Reason.POISON, "refused")
    await letters.aclose()


def commands() -> Iterator[tuple[str, ...]]:
    """Every command that ends by itself, as it is typed."""

    def below(group: Any, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        for name, found in sorted(group.commands.items()):
            if hasattr(found, "commands"):
                yield from below(found, (*path, name))
            elif name not in RUNNING:
                yield (*path, name)

    yield from below(get_command(everything()), ())


def arguments(tmp_path: Path) -> dict[tuple[str, ...], Sequence[Sequence[str]]]:
    """What each command is asked; one that is not named here is asked nothing, and fails."""
    entry, payload = tmp_path / "entry.json", tmp_path / "payload.json"
    entry.write_text(json.dumps({**FIELDS, "event_id": "not-yet", "payload_json": PAYLOAD}))
    payload.write_text(PAYLOAD)
    rules = str(tmp_path / "rules.toml")
    return {
        ("events", "list"): [[], ["--json"]],
        ("events", "show"): [["known"], ["known", "--json"], ["broken"], ["of-field", "--json"]],
        ("events", "count"): [["--json"]],
        ("events", "replay"): [["known", "--why", "test", "--execute"]],
        ("events", "export"): [["--payload"], ["--payload", "--format", "csv"]],
        ("explain", "event"): [
            ["known"],
            ["known", "--json"],
            ["broken", "--json"],
            ["--entry", str(entry)],
            ["--entry", str(entry), "--json"],
        ],
        ("explain", "run"): [["nobody"]],
        ("waits", "list"): [["--all", "--json"]],
        ("waits", "bind"): [["known", "none", "--tenant", "acme", "--why", "test"]],
        ("rules", "check"): [[rules]],
        ("rules", "shadow"): [[rules], [rules, "--json"]],
        ("resolve",): [["--event-name", "INVOICE_PAID", "--payload", str(payload)]],
        ("publish",): [["INVOICE_PAID", "--tenant", "acme", "--payload", PAYLOAD]],
        ("tail",): [["--once", "--since", "1h", "--json"]],
        ("dlq", "list"): [[], ["--json"]],
        ("settings",): [[], ["--markdown"]],
        ("contracts",): [[str(tmp_path / "contracts")]],
        ("tokens", "list"): [["--json"]],
        ("tokens", "revoke"): [[TOKEN]],
    }


@pytest.mark.timeout(300)
async def test_no_command_says_a_secret(
    site: Site, command: Callable[..., str], tmp_path: Path
) -> None:
    await take_in(site)
    asked = arguments(tmp_path)
    with site.pointsman.running("run", "--roles", "consumer,delivery", log=site.log):
        await wait_until(
            lambda: "of-field" in command("events", "list"),
            description="it is recorded",
            timeout=90,
        )

    said = {
        (*name, *terms): command(*name, *terms)
        for name in commands()
        for terms in asked.get(name, [[]])
    }
    letter = json.loads(command("dlq", "list", "--json"))["letter"]
    said["dlq", "show"] = command("dlq", "show", letter)
    said["dlq", "show", "--json"] = command("dlq", "show", letter, "--json")
    away = {name: command(*name, *asked.get(name, [[]])[0], **UNREACHABLE) for name in commands()}

    # The test would see nothing if nothing were shown.
    assert "***" in said["events", "show", "known"]
    assert "***" in said["dlq", "show"]
    assert all("127.0.0.1:1" in away[name] for name in [("events", "list"), ("dlq", "list")])
    assert {name: site.leaks(text) for name, text in said.items() if site.leaks(text)} == {}
    assert {name: site.leaks(text) for name, text in away.items() if site.leaks(text)} == {}
    assert site.leaks(site.log.read_text()) == []


@pytest.mark.timeout(300)
async def test_no_answer_page_metric_or_log_line_says_a_secret(
    site: Site, command: Callable[..., str]
) -> None:
    await take_in(site)
    made = command("tokens", "create", "ada", "--scope", "admin", "--tenant", "*", "--json")
    token = json.loads(made)["token"]

    with site.pointsman.running("run", log=site.log):
        api, shown = await addresses(site.log)
        async with httpx.AsyncClient(timeout=60) as client:
            said = await _posted(client, api, token)
            await wait_until(
                lambda: logged(site.log, "request.answered"), description="answers", timeout=60
            )
            said |= await _read(client, api, token)
            said |= await _read(client, api, TOKEN, only="/v1/events")
            pages = await _pages(client, api, token)
            metrics = {
                path: (await client.get(f"{shown}{path}")).text
                for path in ("/metrics", "/healthz", "/readyz")
            }
    log = site.log.read_text()

    for found in (said, pages, metrics, {"log": log}):
        leaks = {name: site.leaks(text, token) for name, text in found.items()}
        assert {name: words for name, words in leaks.items() if words} == {}
    assert "***" in said["GET /v1/events/known"]
    assert "***" in pages["/event?id=known&of=acme"]
    assert "pointsman_events_total" in metrics["/metrics"]


async def _posted(client: httpx.AsyncClient, api: str, token: str) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {token}"}
    good = {**FIELDS, "event_id": "posted", "payload": SECRETS}
    bodies: dict[str, Any] = {
        "good": good,
        "again, otherwise": {**good, "payload": {**SECRETS, "n": 1}},
        "no tenant": {**good, "tenant": {"password": CANARY}},
        "no object": {**good, "payload": [SECRETS]},
        "unknown": {**good, "password": CANARY},
    }
    said = {
        f"POST {name}": await client.post(f"{api}/v1/events", headers=headers, json=body)
        for name, body in bodies.items()
    }
    said["POST broken"] = await client.post(
        f"{api}/v1/events",
        headers={**headers, "Content-Type": "application/json"},
        content=BROKEN,
    )
    said["explain"] = await client.post(
        f"{api}/v1/explain/event", headers=headers, json={"event": good}
    )
    said["query"] = await client.get(f"{api}/v1/events?secret={CANARY}&limit=x", headers=headers)
    assert said["POST good"].status_code == 200
    return {name: _whole(answer) for name, answer in said.items()}


async def _read(client: httpx.AsyncClient, api: str, token: str, only: str = "") -> dict[str, str]:
    """Every route that is read by GET, the export in both forms; what is within braces is known."""
    headers = {"Authorization": f"Bearer {token}"}
    document = (await client.get(f"{api}/openapi.json")).json()
    paths = [path for path, methods in document["paths"].items() if "get" in methods]
    paths = [re.sub(r"\{[^}]*\}", "known", path) for path in paths]
    paths += ["/v1/events/broken", "/v1/events/of-field", "/v1/dlq"]
    paths += [f"/v1/events/export?payload=true&format={form}" for form in ("csv", "jsonl")]
    return {
        f"GET {path}{'' if not only else ' refused'}": _whole(
            await client.get(f"{api}{path}", headers=headers)
        )
        for path in paths
        if not only or path == only
    }


async def _pages(client: httpx.AsyncClient, api: str, token: str) -> dict[str, str]:
    logged_in = await client.post(f"{api}/console/login", data={"token": token})
    refused = await client.post(f"{api}/console/login", data={"token": TOKEN})
    cookies = {"Cookie": logged_in.headers["set-cookie"].partition(";")[0]}
    paths = ["", "/events", "/event?id=known&of=acme", "/event?id=broken&of=acme", "/waits"]
    paths += ["/dead-letters", "/rules", "/explain", "/replay?id=known&of=acme", "/run?id=none"]
    found = {path: await client.get(f"{api}/console{path}", headers=cookies) for path in paths}
    return {path: _whole(answer) for path, answer in found.items()} | {"refused": refused.text}


def _whole(answer: httpx.Response) -> str:
    return f"{answer.status_code} {dict(answer.headers)} {answer.text}"
