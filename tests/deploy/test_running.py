"""The commands of docs/deploying.md, carried out by stand-ins for Docker and for a cluster."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg
import pytest
import yaml

from tests.acceptance.program import Pointsman
from tests.conftest import TemporalTarget
from tests.deploy.cluster import Cluster, values_of
from tests.deploy.compose import Docker, read_compose
from tests.deploy.containers import Machine
from tests.deploy.test_values import complaints, with_defaults
from tests.docs.blocks import ROOT, Block, blocks_of
from tests.namespaces import a_namespace
from tests.strictness import give_up
from tests.waiting import wait_until
from worker.embedded.ladder import ServerUnavailable
from worker.embedded.postgres_program import find_postgres
from worker.embedded.postgres_server import SUPERUSER, PostgresHome, initialise, postgres_recipe
from worker.embedded.processes import ServerProcess
from worker.embedded.reach import folder_for, unprivileged_account
from worker.settings import Role
from workshop.manifests import DEPLOY

pytestmark = pytest.mark.timeout(300)

COMPOSE_BLOCK, HELM_BLOCK, KUSTOMIZE_BLOCK = blocks_of("docs/deploying.md")
COMPOSED: Final = read_compose(DEPLOY / "compose.yaml")
ROLES: Final = sorted(role.value for role in Role)
PAID: Final = ("INVOICE_PAID", "--tenant", "acme", "--event-id", "p-1", "--key", "INV-7")


def commands_in(block: Block) -> Sequence[Sequence[str]]:
    """The words of each command; a backslash carries a line on."""
    return [shlex.split(line) for line in block.text.replace("\\\n", " ").splitlines()]


@pytest.fixture
async def postgres(tmp_path: Path) -> AsyncIterator[str]:
    """A server as the compose file's image leaves it: new, its script run. `host:port`."""
    account = unprivileged_account()
    folder = folder_for(account, tmp_path / "postgres")
    try:
        program = await find_postgres(os.environ, account)
    except ServerUnavailable as missing:
        give_up(str(missing))
    home = PostgresHome(program=program, folder=folder, account=account, durable=False)
    await initialise(home)
    server = ServerProcess(postgres_recipe(home))
    try:
        await server.start()
        url = home.url(SUPERUSER, server.port, "postgres")
        with psycopg.connect(url, autocommit=True) as superuser:
            for statement in COMPOSED["configs"]["database"]["content"].splitlines():
                superuser.execute(statement)
        yield server.address
    finally:
        await server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def pointsman(postgres: str, redis_url: str) -> Pointsman:
    """The command beside the containers, on the same servers."""
    return Pointsman(
        {
            "POINTSMAN_REDIS_URL": redis_url,
            "POINTSMAN_DATABASE_URL": f"postgresql://pointsman:pointsman@{postgres}/pointsman",
        }
    )


@pytest.fixture
async def machine(
    pointsman: Pointsman, postgres: str, temporal: TemporalTarget, tmp_path: Path
) -> AsyncIterator[Machine]:
    namespace = (await a_namespace(temporal)).namespace
    redis_url = pointsman.settings["POINTSMAN_REDIS_URL"]
    machine = Machine(
        tmp_path,
        {
            # As the compose file names them,
            "redis://valkey:6379/0": redis_url,
            "postgres:5432": postgres,
            "temporal:7233": temporal.address,
            # and as the page, the chart and the example do.
            "redis://…": redis_url,
            "postgresql://…": pointsman.settings["POINTSMAN_DATABASE_URL"],
            "temporal-frontend.temporal.svc:7233": temporal.address,
            "temporal.example.com:7233": temporal.address,
        },
        namespace,
    )
    try:
        yield machine
    finally:
        machine.close()


@pytest.fixture
def cluster(checker: Path, machine: Machine, tmp_path: Path) -> Cluster:
    return Cluster(ROOT, checker, machine, tmp_path)


async def audited(pointsman: Pointsman) -> Mapping[str, Any]:
    """Publish an event; what the audit says of it once it is recorded."""
    published = pointsman("publish", *PAID)
    assert published.exit_code == 0, published.errors
    records = await wait_until(
        lambda: pointsman("events", "list", "--json").records, description="the event is recorded"
    )
    return records[0]


async def test_the_service_of_the_compose_file_records_events_and_answers(
    machine: Machine, pointsman: Pointsman
) -> None:
    docker = Docker(ROOT, machine)

    said = [docker(words) for program, *words in commands_in(COMPOSE_BLOCK) if program == "docker"]
    for service in ROLES:
        # The image's check is of liveness alone.
        await wait_until(
            partial(machine.answers, service, "9464/readyz"),
            description=f"{service} is ready",
        )
    await wait_until(partial(machine.answers, "api", "8088/openapi.json"), description="the API")
    event = await audited(pointsman)

    token = said[-1].splitlines()[0]
    api = f"http://{machine.address('api')}:8088"
    async with httpx.AsyncClient(base_url=api, trust_env=False) as client:
        told = await client.get(
            "/v1/events/p-1",
            params={"tenant": "acme"},
            headers={"Authorization": f"Bearer {token}"},
        )
        console = await client.get("/console/", follow_redirects=True)
    assert len(said) == len(commands_in(COMPOSE_BLOCK))
    assert event["outcome"] == "no_wait"
    assert told.json()["event"]["event_id"] == "p-1"
    assert console.status_code == 200
    assert COMPOSED["services"]["api"]["ports"] == ["127.0.0.1:8088:8088"]


def options_behind(command: Sequence[str], name: str) -> Sequence[str]:
    """What stands behind each `name` of a command."""
    return [text for before, text in pairwise(command) if before == name]


def option(command: Sequence[str], name: str) -> str:
    return command[command.index(name) + 1]


def test_the_chart_takes_what_is_set_and_names_the_secret() -> None:
    namespace, secret, install = commands_in(HELM_BLOCK)
    kind, name = secret[secret.index("secret") + 1 :][:2]
    values = values_of(options_behind(install, "--set"))
    wanted = with_defaults(values)["secretRefs"].values()

    assert {option(secret, "--namespace"), option(install, "--namespace")} == {namespace[-1]}
    assert kind == "generic"
    assert {each["name"] for each in wanted} == {name}
    assert {each["key"] for each in wanted} == {
        literal.partition("=")[0] for literal in options_behind(secret, "--from-literal")
    }
    assert (ROOT / install[3] / "Chart.yaml").is_file()
    assert complaints(with_defaults(values)) == []


def test_the_kustomize_example_builds_on_what_exists() -> None:
    (apply,) = commands_in(KUSTOMIZE_BLOCK)
    file = ROOT / option(apply, "--kustomize") / "kustomization.yaml"

    for resource in yaml.safe_load(file.read_text(encoding="utf-8"))["resources"]:
        assert (file.parent / resource).exists(), resource


@pytest.mark.deploy
async def test_the_service_of_the_chart_records_events(
    cluster: Cluster, pointsman: Pointsman
) -> None:
    for words in commands_in(HELM_BLOCK):
        carry_out(cluster, words)

    assert (await audited(pointsman))["outcome"] == "no_wait"


@pytest.mark.deploy
async def test_the_service_of_the_kustomize_example_records_events(
    cluster: Cluster, pointsman: Pointsman
) -> None:
    prepared = [words for words in commands_in(HELM_BLOCK) if words[0] == "kubectl"]
    for words in [*prepared, *commands_in(KUSTOMIZE_BLOCK)]:
        carry_out(cluster, words)

    assert (await audited(pointsman))["outcome"] == "no_wait"


def carry_out(cluster: Cluster, words: Sequence[str]) -> None:
    program, *rest = words
    {"kubectl": cluster.kubectl, "helm": cluster.helm}[program](rest)
