"""Half a minute without a server, a namespace that comes later, a rolling restart; `make chaos`."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import subprocess
import sys
import uuid
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest

from tests.acceptance.program import environment
from tests.chaos.course import started
from tests.chaos.invariants import check, quiet
from tests.chaos.load import Load
from tests.chaos.plan import make_plan
from tests.chaos.site import ROOT, Scene, Site, open_scene
from tests.waiting import wait_until

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(400)]

HALF_A_MINUTE: Final = 30.0
EXPANSION: Final = '''"""An expansion, as the next version of the program might bring it."""
from alembic import op

revision, down_revision, branch_labels, depends_on = "{new}", "{old}", None, None


def upgrade():
    op.execute("ALTER TABLE workflow_runtime_events ADD COLUMN importance text")
    op.execute("ALTER TABLE workflow_event_deliveries ADD COLUMN route text NOT NULL DEFAULT ''")
    op.execute("CREATE TABLE workflow_further_things (tenant_id text PRIMARY KEY)")


def downgrade():
    raise NotImplementedError
'''


@pytest.mark.parametrize("server", ["postgres", "temporal"])
async def test_half_a_minute_without_a_server_is_no_poison(site: Site, server: str) -> None:
    async with open_scene(site) as scene:
        await started(scene)
        load = Load(scene, make_plan(scene.queue, 300, random.Random(2)), rate=30)
        proxy = scene.postgres_proxy if server == "postgres" else scene.temporal_proxy
        publishing = asyncio.create_task(load.run())
        await wait_until(lambda: load.published > 60, description="it runs", timeout=60)

        proxy.shut()
        await asyncio.sleep(HALF_A_MINUTE)
        letters_meanwhile = await scene.redis.xlen(scene.dead_letters)
        before = delivered(scene)
        proxy.heal()
        await wait_until(
            lambda: delivered(scene) > before,
            description="it goes on within seconds, by itself",
            timeout=20,
        )
        await publishing
        await quiet(load, within=120)
        findings = await check(load)

    assert letters_meanwhile == 0
    assert findings.clean, str(findings)


async def test_a_namespace_that_is_created_later(site: Site) -> None:
    namespace = f"later-{uuid.uuid4().hex[:8]}"
    settings = {"TEMPORAL_NAMESPACE": namespace, "POINTSMAN_ROLES": "consumer,delivery,sweeper"}
    async with open_scene(site, **settings) as scene:
        for name in ("a", "b"):
            scene.start_service(name)
        register_wait(scene, "not-started-yet")
        fields = {
            "tenant": "acme",
            "event_id": "e-1",
            "event_type": "INVOICE_PAID",
            "workflow_correlation_key": "7",
        }
        await scene.redis.xadd(scene.stream, dict(fields.items()))
        await wait_until(
            lambda: delivery_of(scene) == [("pending", "namespace_not_found")],
            description="the delivery waits for the namespace",
            timeout=120,
        )

        await create_namespace(scene)
        client = await scene.temporal()

        async def start() -> bool:
            # A new namespace is known to all parts of Temporal after some seconds only.
            try:
                await client.start_workflow("Nothing", id="not-started-yet", task_queue="nobody")
            except Exception:  # noqa: BLE001
                return False
            return True

        await wait_until(start, description="the namespace can be used", timeout=60)
        await wait_until(
            lambda: delivery_of(scene) == [("delivered", None)],
            description="the delivery is through",
            timeout=60,
        )


async def test_a_rolling_restart_between_two_versions_of_the_schema(site: Site) -> None:
    async with open_scene(site) as scene:
        await started(scene)
        load = Load(scene, make_plan(scene.queue, 1_200, random.Random(3)), rate=20)
        publishing = asyncio.create_task(load.run())
        await wait_until(lambda: load.published > 60, description="it runs", timeout=60)

        newer = newer_program(scene.folder)
        migrated = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "worker.cli", "migrate"],
            cwd=newer,
            env=environment({**scene.settings, "PYTHONPATH": python_path(newer)}),
            capture_output=True,
            text=True,
            check=False,
        )
        seen = load.published
        await wait_until(
            partial(has_published, load, seen + 60),
            description="the old version goes on",
            timeout=60,
        )
        scene.program_folder = newer
        exit_codes = []
        for name in ("a", "b"):
            exit_codes.append(await scene.stop_service(name))
            scene.start_service(name, PYTHONPATH=python_path(newer))
            seen = load.published
            await wait_until(
                partial(has_published, load, seen + 60),
                description="old and new work side by side",
                timeout=60,
            )
        await publishing
        await quiet(load, within=120)
        findings = await check(load)

    assert migrated.returncode == 0, migrated.stderr
    assert exit_codes == [0, 0]
    assert findings.clean, str(findings)


def delivered(scene: Scene) -> int:
    [(count,)] = scene.query(
        "SELECT count(*) FROM workflow_event_deliveries WHERE status = 'delivered'"
    )
    return int(count)


def has_published(load: Load, count: int) -> bool:
    return load.published > count or load.is_published


def register_wait(scene: Scene, workflow_id: str) -> None:
    """As the HTTP API does, before the run is started."""
    scene.query(
        "INSERT INTO workflow_run_waits (tenant_id, wait_id, event_name, correlation_key,"
        " workflow_id, signal_name, kind, cardinality, lookback, status, registered_at)"
        " VALUES ('acme', 'w-1', 'INVOICE_PAID', '7', %s, 'pointsman.event', 'event', 'all',"
        " '1 hour', 'waiting', now())",
        (workflow_id,),
    )


def delivery_of(scene: Scene) -> list[tuple[str, str | None]]:
    rows = scene.query("SELECT status, reason FROM workflow_event_deliveries")
    return [(status, reason) for status, reason in rows]


async def create_namespace(scene: Scene) -> None:
    client = await scene.temporal()
    day = Duration()
    day.FromTimedelta(timedelta(days=1))
    request = RegisterNamespaceRequest(
        namespace=scene.namespace, workflow_execution_retention_period=day
    )
    await client.workflow_service.register_namespace(request)


def newer_program(folder: Path) -> Path:
    """A copy of the program with one migration more."""
    newer = folder / "newer"
    for package in ("correlation", "ingress", "routing", "worker", "sdk"):
        shutil.copytree(
            ROOT / package, newer / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    versions = newer / "routing" / "migrations" / "versions"
    newest = max(path.name.partition("_")[0] for path in versions.glob("[0-9]*.py"))
    text = EXPANSION.format(new="9000", old=newest)
    (versions / "9000_expansion.py").write_text(text)
    return newer


def python_path(program: Path) -> str:
    return f"{program}{os.pathsep}{program / 'sdk'}"
