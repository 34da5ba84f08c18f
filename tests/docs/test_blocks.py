"""Every code block of README.md and docs/ is run, or checked for what it is."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest
from _pytest.mark import ParameterSet

from tests.acceptance.program import environment, exports_in
from tests.conftest import TemporalTarget
from tests.docs.blocks import ROOT, Block, blocks_of, declarations, pages
from tests.docs.data import check_data, check_sql
from tests.docs.runners import Way, is_part_of, known_targets, targets_of, way_of
from tests.docs.scenes import ELSEWHERE, NOT_LISTED, SCENES, Stage
from tests.docs.shell import Shell
from tests.docs.stage import Performance, Theatre, addresses_in
from tests.namespaces import a_namespace

DECLARED: Final = declarations()
BLOCKS: Final = [block for page in pages() for block in blocks_of(page)]
MOST_DECLARED: Final = 2


def of(way: Way) -> list[ParameterSet]:
    return [pytest.param(b, id=b.place) for b in BLOCKS if way_of(b, DECLARED) is way]


def performed(page: str) -> list[Block]:
    return [b for b in BLOCKS if b.page == page and way_of(b, DECLARED) is Way.PERFORMED]


def plays_on(*stages: Stage) -> list[str]:
    return [
        page for page in pages() if SCENES.get(page, NOT_LISTED).stage in stages and performed(page)
    ]


def play(page: str, theatre: Theatre) -> None:
    performance = Performance(theatre, SCENES.get(page, NOT_LISTED))
    try:
        for block in performed(page):
            performance.play(block)
    finally:
        performance.shell.close()


@pytest.fixture
async def theatre(
    redis_url: str,
    database_url: str,
    temporal: TemporalTarget,
    stream_name: str,
    tmp_path: Path,
) -> Theatre:
    """In a namespace of its own: pages use the task queues that everybody uses."""
    client = await a_namespace(temporal)
    settings = {
        "POINTSMAN_REDIS_URL": redis_url,
        "POINTSMAN_DATABASE_URL": database_url,
        "POINTSMAN_BLOCK": "100ms",
        "TEMPORAL_ADDRESS": temporal.address,
        "TEMPORAL_NAMESPACE": client.namespace,
    }
    return Theatre(settings, tmp_path)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Theatre]:
    """What `make demo KEEP=1` leaves running, once for all of its pages."""
    folder = tmp_path_factory.mktemp("demo")
    programs = Path(sys.executable).parent
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    shell = Shell(folder, environment({}) | {"PATH": path})
    try:
        last = "pointsman publish INVOICE_PAID"
        written = shell.start("pointsman demo --keep", last, folder / "demo.log")
        yield Theatre(exports_in(written), folder, addresses_in(written))
    finally:
        shell.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", plays_on(Stage.DEMO))
def test_the_blocks_of_a_page_about_the_demo_do_what_it_shows(
    page: str, demo: Theatre, tmp_path: Path
) -> None:
    play(page, replace(demo, folder=tmp_path))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", plays_on(Stage.SERVERS, Stage.SERVICE))
async def test_the_blocks_of_a_page_do_what_it_shows(page: str, theatre: Theatre) -> None:
    await asyncio.to_thread(play, page, theatre)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", plays_on(Stage.CLONE))
def test_the_blocks_of_a_page_that_begins_with_nothing_do_what_it_shows(
    page: str, tmp_path: Path
) -> None:
    play(page, Theatre({}, tmp_path))


@pytest.mark.parametrize("block", of(Way.CHECKED))
def test_a_document_is_what_it_is_said_to_be(block: Block, tmp_path: Path) -> None:
    check_data(block, tmp_path)


@pytest.mark.parametrize("block", of(Way.QUERIED))
def test_a_query_runs_on_the_schema(block: Block, database_url: str) -> None:
    check_sql(block, database_url)


@pytest.mark.parametrize("block", of(Way.INCLUDED))
def test_an_excerpt_stands_in_the_file_that_it_is_said_to_come_from(block: Block) -> None:
    file = ROOT / block.said["part-of"]

    assert is_part_of(block.text, file), f"{block.place} is no part of {block.said['part-of']}"


@pytest.mark.parametrize("block", of(Way.TARGETS))
def test_a_command_of_the_repository_exists(block: Block) -> None:
    assert targets_of(block) <= known_targets()


def test_every_block_has_a_way_to_be_tested() -> None:
    unnoticed = [
        f"{block.place} ({block.language or 'no language'}): {block.first_line}"
        for block in BLOCKS
        if way_of(block, DECLARED) is None
    ]

    assert unnoticed == [], "docs/code-blocks.md says how to have a block tested"


def test_every_declaration_is_of_a_block_that_exists() -> None:
    existing = {(block.page, block.first_line) for block in BLOCKS}

    assert [row for row in DECLARED if (row.page, row.first_line) not in existing] == []


def test_few_blocks_are_declared() -> None:
    assert len(DECLARED) <= MOST_DECLARED


def test_every_scene_is_that_of_a_page() -> None:
    assert (SCENES.keys() | ELSEWHERE.keys()) - set(pages()) == set()


@pytest.mark.parametrize("page", ELSEWHERE)
def test_a_page_that_is_run_elsewhere_is_named_there(page: str) -> None:
    assert page in (ROOT / ELSEWHERE[page]).read_text()
