"""What is checked of the blocks that are not run: the names in them, the files that they use."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import metadata
from itertools import pairwise
from typing import Any, Final

import psycopg
import pytest
import typer
import yaml

from correlation.reason import Outcome
from pointsman import DomainEvent
from pointsman.contract import CLOSE_WAIT, REGISTER_WAIT
from pointsman.testing import InMemoryPointsman
from routing.delivery_store import DeliveryStatus
from tests.deploy.test_values import complaints, with_defaults
from tests.docs.blocks import ROOT, Block, blocks_of, declarations, pages
from worker.cli import app

DECLARED: Final = {(row.page, row.first_line) for row in declarations()}
BLOCKS: Final = [
    block for page in pages() for block in blocks_of(page) if (page, block.first_line) in DECLARED
]
Check = Callable[[Block], None]
CHECKS: Final[dict[str, Check]] = {}
"""By the page and the first word of the block."""


def checks(page: str, word: str) -> Callable[[Check], Check]:
    def named(check: Check) -> Check:
        CHECKS[f"{page} {word}"] = check
        return check

    return named


def check_of(block: Block) -> Check | None:
    return CHECKS.get(f"{block.page} {block.first_line.split()[0]}")


def commands_in(block: Block) -> Sequence[Sequence[str]]:
    """The words of each command; a backslash carries a line on."""
    lines = block.text.replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip()]


def options_in(command: Sequence[str], name: str) -> Mapping[str, str]:
    """What stands behind each `name KEY=TEXT` of a command."""
    given = [text for before, text in pairwise(command) if before == name]
    return dict(text.split("=", 1) for text in given)


def option(command: Sequence[str], name: str) -> str:
    return command[command.index(name) + 1]


@checks("README.md", "your")
def the_drawing_names_what_exists(block: Block) -> None:
    commands = typer.main.get_command(app)

    assert "pointsman run" in block.text
    assert "run" in vars(commands)["commands"]
    for activity in (REGISTER_WAIT, CLOSE_WAIT):
        assert activity.removeprefix("pointsman.") in block.text


@checks("docs/deploying.md", "docker")
def the_compose_file_has_the_services(block: Block) -> None:
    up, run = commands_in(block)
    file = ROOT / option(up, "--file")
    composed = yaml.safe_load(file.read_text(encoding="utf-8"))
    service, *arguments = run[run.index("--rm") + 1 :]

    assert option(run, "--file") == option(up, "--file")
    assert service in composed["services"]
    parse("pointsman", arguments)


def parse(name: str, arguments: Sequence[str]) -> None:
    """Raise for a command or an option that `pointsman` does not have; nothing is run."""
    command: Any = typer.main.get_command(app)
    rest = list(arguments)
    while hasattr(command, "commands"):
        name, command = rest[0], command.commands[rest.pop(0)]
    command.make_context(name, rest)


@checks("docs/deploying.md", "kubectl")
def the_chart_takes_what_is_set_and_names_the_secret(block: Block) -> None:
    first = commands_in(block)[0]
    if "--kustomize" in first:
        kustomization_builds_on_what_exists(option(first, "--kustomize"))
        return
    namespace, secret, install = commands_in(block)
    kind, name = secret[secret.index("secret") + 1 :][:2]
    values: dict[str, Any] = {}
    for path, text in options_in(install, "--set").items():
        member, leaf = path.split(".", 1)
        values.setdefault(member, {})[leaf] = text
    wanted = with_defaults(values)["secretRefs"].values()

    assert {option(secret, "--namespace"), option(install, "--namespace")} == {namespace[-1]}
    assert kind == "generic"
    assert {each["name"] for each in wanted} == {name}
    assert {each["key"] for each in wanted} == set(options_in(secret, "--from-literal"))
    assert (ROOT / install[3] / "Chart.yaml").is_file()
    assert complaints(with_defaults(values)) == []


def kustomization_builds_on_what_exists(folder: str) -> None:
    """That it builds is tested in tests/deploy, where its libraries are."""
    file = ROOT / folder / "kustomization.yaml"
    for resource in yaml.safe_load(file.read_text(encoding="utf-8"))["resources"]:
        assert (file.parent / resource).exists(), resource


@checks("docs/testing.md", "pip")
def the_distribution_has_the_extras(block: Block) -> None:
    distribution = metadata("pointsman")
    offered = set(distribution.get_all("Provides-Extra") or ())

    for *_, requirement in commands_in(block):
        found = re.fullmatch(r"(?:\./)?(\w+)\[([\w,]+)\]", requirement)
        assert found, requirement
        where, extras = found.groups()
        assert where == distribution["Name"] or (ROOT / where / "pyproject.toml").is_file()
        assert set(extras.split(",")) <= offered


@checks("docs/testing.md", "AssertionError:")
def a_failure_says_just_this(block: Block) -> None:
    twin = InMemoryPointsman()
    twin.wait_for("INVOICE_PAID", key="0007", tenant="acme", workflow_id="order-1")
    published = twin.publish(
        DomainEvent(name="INVOICE_PAID", tenant="acme", event_id="paid-1", correlation_key="7")
    )

    with pytest.raises(AssertionError) as failure:
        published.assert_woke("order-1")

    assert f"AssertionError: {failure.value}".splitlines() == block.text.splitlines()


@checks("docs/guarantees.md", "stateDiagram-v2")
def the_diagram_has_every_state_and_leaves_no_final_one(block: Block) -> None:
    arrows = re.findall(r"^ +(\S+) --> (\w+)", block.text, flags=re.MULTILINE)
    drawn = {state for arrow in arrows for state in arrow} - {"[*]"}
    left = {before for before, after in arrows if before not in {"[*]", after}}

    assert drawn == {*Outcome, *DeliveryStatus, "waiting", "closed"}
    assert left == {Outcome.NO_WAIT, DeliveryStatus.PENDING, DeliveryStatus.WITHDRAWN, "waiting"}


@pytest.mark.parametrize("block", [pytest.param(block, id=block.place) for block in BLOCKS])
def test_what_a_block_that_is_not_run_names_is_there(block: Block) -> None:
    check = check_of(block)

    assert check is not None, f"{block.place}: nothing is checked of it; see tests/docs"
    check(block)


def test_the_diagram_knows_the_states_that_the_schema_allows(database_url: str) -> None:
    allowed = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s"
    with psycopg.connect(database_url) as connection:
        found = connection.execute(allowed, ("workflow_run_waits_status_check",)).fetchall()

    assert [set(re.findall(r"'(\w+)'", text)) for (text,) in found] == [{"waiting", "closed"}]
