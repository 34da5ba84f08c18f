"""What must hold when all is quiet, seen from outside: in Redis, Postgres, histories and logs."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from redis.exceptions import RedisError
from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHandle

from pointsman.contract import EVENT_SIGNAL
from tests.chaos.launches import check_launches, pending_launches
from tests.chaos.load import Load
from tests.chaos.plan import CANARY, Kind, Waiter
from tests.chaos.site import Scene
from tests.waiting import wait_until

BUFFERED_BESIDE_WAIT = """
SELECT count(*) FROM workflow_run_waits AS w JOIN workflow_runtime_events AS e
    ON e.tenant_id = w.tenant_id AND e.event_name = w.event_name
   AND (e.correlation_key = w.correlation_key OR w.correlation_key = ANY (e.correlation_keys))
WHERE w.status = 'waiting' AND e.available_until > now()
  AND e.received_at >= w.registered_at - w.lookback
  AND NOT EXISTS (SELECT FROM workflow_event_deliveries AS d WHERE d.tenant_id = w.tenant_id
                  AND d.event_id = e.event_id AND d.wait_id = w.wait_id)
"""


@dataclass
class Findings:
    """Every breach of an invariant in words, and how much was looked at."""

    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    crossed: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    """Secrets and payloads in logs."""
    entries: int = 0
    signals: int = 0
    workflows: int = 0
    launches: int = 0
    lost_by_redis: int = 0

    @property
    def clean(self) -> bool:
        return not (self.lost or self.doubled or self.crossed or self.stuck or self.told)

    def __str__(self) -> str:
        kinds = ("lost", "doubled", "crossed", "stuck", "told")
        first = ", ".join(f"{len(getattr(self, kind))} {kind}" for kind in kinds)
        seen = (
            f"{self.entries} entries, {self.signals} signals in {self.workflows} workflows,"
            f" {self.launches} launches;"
            f" {self.lost_by_redis} entries lost by Redis itself before anyone had them"
        )
        breaches = [f"  {kind}: {text}" for kind in kinds for text in getattr(self, kind)[:10]]
        return "\n".join([f"{first}  ({seen})", *breaches])


async def quiet(load: Load, *, within: float) -> None:
    """Wait until nothing is under way any more; raises AssertionError saying what still is."""
    remaining: dict[str, Any] = {"published": False}

    async def is_quiet() -> bool:
        remaining.clear()
        remaining.update(await _under_way(load))
        return not any(remaining.values())

    try:
        await wait_until(is_quiet, description="all is quiet", timeout=within)
    except AssertionError as error:
        raise AssertionError(f"still under way after {within:g} s: {remaining}") from error


async def check(load: Load) -> Findings:
    """Look at everything once; to be called when all is quiet."""
    findings = Findings(entries=len(load.ledger.entries))
    findings.lost_by_redis = len(load.ledger.never_delivered)
    _check_audit(load, findings)
    await _check_histories(load, findings)
    await check_launches(load, findings)
    await _check_rest(load.scene, findings)
    _check_logs(load.scene, findings)
    return findings


async def _under_way(load: Load) -> dict[str, Any]:
    scene = load.scene
    waits = sum(len(waiter.keys) for waiter in load.plan.waiters)
    [(registered, pending, open_once)] = scene.query(
        "SELECT (SELECT count(*) FROM workflow_run_waits),"
        " (SELECT count(*) FROM workflow_event_deliveries WHERE status = 'pending'),"
        " (SELECT count(*) FROM workflow_run_waits"
        "  WHERE kind = 'event' AND status = 'waiting' AND correlation_key <> ALL (%s))",
        ([_lost_keys(load)]),
    )
    try:
        [group] = await scene.redis.xinfo_groups(scene.stream)
        about = await scene.redis.xinfo_stream(scene.stream)
    except (RedisError, OSError, ValueError):
        return {"stream": "gone"}
    return {
        "unpublished": not load.is_published,
        "unread": group["last-delivered-id"] != about["last-generated-id"],
        "pending entries": group["pending"],
        "unregistered waits": waits - registered,
        "pending deliveries": pending,
        "pending launches": pending_launches(scene),
        "open one-shot waits": open_once,
    }


def _lost_keys(load: Load) -> list[str]:
    """Keys of one-shot waits whose only event Redis lost before anybody had it."""
    ledger = load.ledger
    gone = {
        ledger.entries[entry_id].key
        for entry_id in ledger.never_delivered
        if entry_id in ledger.entries
    }
    return sorted(gone)


def _check_audit(load: Load, findings: Findings) -> None:
    """I3: each event id has one row, each other entry one row of its own; no entry has two."""
    scene, ledger = load.scene, load.ledger
    events = {
        (tenant, event_id): entry_id
        for tenant, event_id, entry_id in scene.query(
            "SELECT tenant_id, event_id, entry_id FROM workflow_runtime_events"
        )
    }
    rejected: dict[str, list[str]] = {}
    for entry_id, reason in scene.query("SELECT entry_id, reason FROM workflow_rejected_entries"):
        rejected.setdefault(entry_id, []).append(reason)
    audited = set(events.values())
    for entry_id, planned in ledger.entries.items():
        if entry_id in ledger.never_delivered | ledger.given_up:
            continue
        rows = len(rejected.get(entry_id, ()))
        if planned.is_event:
            known = (planned.tenant, planned.event_id) in events
            trimmed = rejected.get(entry_id) == ["trimmed"]
            if not known and not trimmed and entry_id not in rejected:
                findings.lost.append(f"{planned.kind} {planned.event_id} ({entry_id}): no row")
            if entry_id in audited and rows:
                findings.doubled.append(f"{entry_id}: event and {rejected[entry_id]}")
        elif rows + (entry_id in audited) != 1:
            kind = findings.lost if rows == 0 else findings.doubled
            kind.append(f"{planned.kind} {entry_id}: {rows} rows")


async def _check_histories(load: Load, findings: Findings) -> None:
    """I1 and I4: what each workflow was signalled with, from its history."""
    client = await load.scene.temporal()
    expected: dict[tuple[str, str], set[str]] = {}
    audited = {
        (tenant, event_id)
        for tenant, event_id in load.scene.query(
            "SELECT tenant_id, event_id FROM workflow_runtime_events"
        )
    }
    for planned in load.ledger.entries.values():
        # An event that Redis lost has no row; that it should have one is _check_audit's business.
        if planned.is_event and (planned.tenant, planned.event_id) in audited:
            expected.setdefault((planned.tenant, planned.key), set()).add(planned.event_id)
    limit = asyncio.Semaphore(8)

    async def look(waiter: Waiter) -> None:
        async with limit:
            signals, result = await _history(client.get_workflow_handle(waiter.workflow_id))
        _judge(waiter, signals, result, expected, findings)

    await asyncio.gather(*(look(waiter) for waiter in load.plan.waiters))


def _judge(
    waiter: Waiter,
    signals: list[dict[str, Any]],
    result: str | None,
    expected: dict[tuple[str, str], set[str]],
    findings: Findings,
) -> None:
    findings.workflows += 1
    findings.signals += len(signals)
    counts = Counter((signal["correlationKey"], signal["eventId"]) for signal in signals)
    for (key, event_id), times in counts.items():
        if times > 1:
            findings.doubled.append(f"{waiter.workflow_id} got {event_id} {times} times")
        if key not in waiter.keys or event_id not in expected.get((waiter.tenant, key), ()):
            findings.crossed.append(f"{waiter.workflow_id} got {event_id} of key {key}")
    for signal in signals:
        if signal["payload"].get("tenant", waiter.tenant) != waiter.tenant:
            findings.crossed.append(f"{waiter.workflow_id}: {signal['eventId']} of another tenant")
    for key in waiter.keys:
        wanted = expected.get((waiter.tenant, key), set())
        for event_id in sorted(wanted - {e for k, e in counts if k == key}):
            findings.lost.append(f"{waiter.workflow_id} never got {event_id} of key {key}")
        if waiter.workflow == "OneShot" and wanted and result not in wanted:
            findings.stuck.append(f"{waiter.workflow_id} ended with {result}, not {wanted}")


async def _history(
    handle: WorkflowHandle[Any, Any],
) -> tuple[list[dict[str, Any]], str | None]:
    """The event signals in a run's history, and its result once it has one."""
    signals: list[dict[str, Any]] = []
    result: str | None = None
    async for event in handle.fetch_history_events(page_size=1000):
        if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED:
            attributes = event.workflow_execution_signaled_event_attributes
            if attributes.signal_name == EVENT_SIGNAL:
                signals.append(json.loads(attributes.input.payloads[0].data))
        elif event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED:
            completed = event.workflow_execution_completed_event_attributes
            result = json.loads(completed.result.payloads[0].data)
    return signals, result


async def _check_rest(scene: Scene, findings: Findings) -> None:
    """I2 and I5, and that no delivery ended but as it should."""
    [(beside,)] = scene.query(BUFFERED_BESIDE_WAIT)
    if beside:
        findings.stuck.append(f"{beside} open waits beside an event of their key")
    [group] = await scene.redis.xinfo_groups(scene.stream)
    if group["pending"]:
        findings.stuck.append(f"{group['pending']} entries pending")
    for status, reason, count in scene.query(
        "SELECT status, reason, count(*) FROM workflow_event_deliveries"
        " WHERE status <> 'delivered' GROUP BY 1, 2"
    ):
        findings.stuck.append(f"{count} deliveries {status} ({reason})")
    letters = await scene.redis.xlen(scene.dead_letters)
    if letters:
        findings.lost.append(f"{letters} dead letters")


def _check_logs(scene: Scene, findings: Findings) -> None:
    """I6."""
    password = urlsplit(scene.database_url).password or "no password"
    for name, text in scene.logs():
        for secret, what in ((CANARY, "a payload"), (password, "the database's password")):
            if secret in text:
                findings.told.append(f"{what} in the log of {name}")


def kinds_of(load: Load) -> Counter[Kind]:
    """How many entries of each kind there were."""
    return Counter(planned.kind for planned in load.ledger.entries.values())
