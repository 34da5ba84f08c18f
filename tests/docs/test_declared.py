"""What is checked of the blocks that nothing can run: the drawings."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

import psycopg
import pytest
import typer

from correlation.reason import Outcome
from pointsman.contract import CLOSE_WAIT, REGISTER_WAIT
from routing.delivery_store import DeliveryStatus
from tests.docs.blocks import Block, blocks_of, declarations, pages
from worker.cli.application import everything

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


@checks("README.md", "your")
def the_drawing_names_what_exists(block: Block) -> None:
    commands = typer.main.get_command(everything())

    assert "pointsman run" in block.text
    assert "run" in vars(commands)["commands"]
    for activity in (REGISTER_WAIT, CLOSE_WAIT):
        assert activity.removeprefix("pointsman.") in block.text


@checks("docs/guarantees.md", "stateDiagram-v2")
def the_diagram_has_every_state_and_leaves_no_final_one(block: Block) -> None:
    arrows = re.findall(r"^ +(\S+) --> (\w+)", block.text, flags=re.MULTILINE)
    drawn = {state for arrow in arrows for state in arrow} - {"[*]"}
    left = {before for before, after in arrows if before not in {"[*]", after}}

    assert drawn == {*Outcome, *DeliveryStatus, "waiting", "closed"}
    assert left == {Outcome.NO_WAIT, DeliveryStatus.PENDING, DeliveryStatus.WITHDRAWN, "waiting"}


@pytest.mark.parametrize("block", [pytest.param(block, id=block.place) for block in BLOCKS])
def test_what_a_drawing_names_is_there(block: Block) -> None:
    check = check_of(block)

    assert check is not None, f"{block.place}: nothing is checked of it; see tests/docs"
    check(block)


def test_the_diagram_knows_the_states_that_the_schema_allows(database_url: str) -> None:
    allowed = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = %s"
    with psycopg.connect(database_url) as connection:
        found = connection.execute(allowed, ("workflow_run_waits_status_check",)).fetchall()

    assert [set(re.findall(r"'(\w+)'", text)) for (text,) in found] == [{"waiting", "closed"}]
