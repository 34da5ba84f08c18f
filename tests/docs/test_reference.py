"""The pages that are made from the product are as the product is now."""

from __future__ import annotations

import re
from itertools import chain

from correlation.reason import Reason
from tests.docs.blocks import ROOT, pages
from worker.cli.application import everything
from worker.reference.column_meanings import COLUMNS, TABLES
from worker.reference.commands import commands_markdown
from worker.reference.limits import limits_markdown
from worker.reference.reasons import MEANINGS, reasons_markdown
from worker.reference.tables import tables_markdown, undescribed
from worker.settings import PREFIX, Settings
from worker.settings_error import known_variables

DOCS = ROOT / "docs"
NOT_SETTINGS = {
    "POINTSMAN_STRICT",  # of the tests: a missing server is a failure
    "POINTSMAN_TEMPORAL_PATH",  # of the embedded servers
}


def written(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def test_the_page_of_commands_is_as_the_commands_are() -> None:
    assert written("commands.md") == commands_markdown(everything()), (
        "write it anew: pointsman reference commands > docs/commands.md"
    )


def test_the_page_of_reasons_is_as_the_list_is() -> None:
    assert written("reasons.md") == reasons_markdown(), (
        "write it anew: pointsman reference reasons > docs/reasons.md"
    )


def test_the_page_of_limits_is_as_they_are() -> None:
    assert written("limits.md") == limits_markdown(), (
        "write it anew: pointsman reference limits > docs/limits.md"
    )


def test_every_reason_stands_once_on_its_page() -> None:
    assert sorted(chain.from_iterable(MEANINGS.values())) == sorted(Reason)


def test_the_page_of_tables_is_as_the_migrated_schema_is(database_url: str) -> None:
    assert undescribed(database_url) == [], "describe them in worker/reference/column_meanings.py"
    assert written("tables.md") == tables_markdown(database_url), (
        "write it anew, on a migrated database: pointsman reference tables > docs/tables.md"
    )


def test_no_column_is_described_that_is_gone() -> None:
    text = written("tables.md")

    stale = [name for name in COLUMNS if f"| `{name.rpartition('.')[2]}` |" not in text]

    assert stale == []
    assert [name for name in TABLES if f"\n## {name}\n" not in text] == []


def test_every_setting_that_a_page_names_exists() -> None:
    known = set(known_variables(Settings, PREFIX)) | NOT_SETTINGS
    named = {
        (page, name)
        for page in pages()
        for name in re.findall(r"\bPOINTSMAN_[A-Z_]+\b(?!\*)", (ROOT / page).read_text())
    }

    assert sorted((page, name) for page, name in named if name not in known) == []


def test_every_command_that_a_page_names_exists() -> None:
    lines = written("commands.md").splitlines()
    known = {tuple(line[3:].split()) for line in lines if line.startswith("## ")}
    groups = {command[:2] for command in known}
    named = {
        (page, tuple(found.split()))
        for page in pages()
        for found in re.findall(r"`(pointsman(?: [a-z][a-z-]*){1,2})\b", (ROOT / page).read_text())
    }

    unknown = [
        (page, command)
        for page, command in named
        if command not in known and command[:2] not in groups
    ]

    assert sorted(unknown) == []
