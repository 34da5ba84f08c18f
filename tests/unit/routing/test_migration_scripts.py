"""What a migration may do while programs of the release before work on the same tables."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from routing.schema_version import FIRST_SERVED, SCRIPTS

# What programs of the release before would stumble over, and what holds up everybody else.
DESTRUCTIVE = {
    "drops a table or column that older programs use": r"DROP\s+(TABLE|COLUMN|VIEW)",
    "renames what older programs use": r"\bRENAME\b",
    "changes a column's type, which rewrites the table": (
        r"ALTER\s+COLUMN\s+\w+\s+(SET\s+DATA\s+)?TYPE"
    ),
    "asks for a value that older programs do not give": r"SET\s+NOT\s+NULL",
    "adds a column that older programs do not fill": (
        r"ADD\s+COLUMN\s+(IF\s+NOT\s+EXISTS\s+)?\w+\s+[^,;]*?NOT\s+NULL(?![^,;]*\bDEFAULT\b)"
    ),
    "empties a table": r"\bTRUNCATE\b",
}
BLOCKING = {
    "builds an index without CONCURRENTLY on a table that was there before": (
        r"CREATE\s+(?:UNIQUE\s+)?INDEX\s+(?!CONCURRENTLY)(?:IF\s+NOT\s+EXISTS\s+)?\w+\s+ON\s+(\w+)"
    ),
    "drops an index without CONCURRENTLY": r"DROP\s+INDEX\s+(?!CONCURRENTLY)",
}
SCRIPT_PATHS = sorted(SCRIPTS.glob("[0-9]*_*.py"))


def complaints(path: Path) -> Sequence[str]:
    """What the script must not do; nothing of what it does to undo itself counts."""
    sql = _sql(path.read_text())
    rules = BLOCKING if "_contract_" in path.name else DESTRUCTIVE | BLOCKING
    made_here = set(re.findall(r"CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(\w+)", sql))
    return [
        what
        for what, pattern in rules.items()
        for hit in re.finditer(pattern, sql, re.IGNORECASE)
        if not (hit.lastindex and hit[hit.lastindex] in made_here)
    ]


def _sql(source: str) -> str:
    tree = ast.parse(source)
    tree.body = [
        node
        for node in tree.body
        if not (isinstance(node, ast.FunctionDef) and node.name == "downgrade")
    ]
    texts = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return ";\n".join(text for text in texts if isinstance(text, str))


@pytest.mark.parametrize("path", SCRIPT_PATHS, ids=lambda path: path.stem)
def test_a_migration_leaves_older_programs_and_everybody_else_at_work(path: Path) -> None:
    # The earlier ones were made before the first release: no program was in use on them.
    found = [] if path.name.partition("_")[0] <= FIRST_SERVED else complaints(path)

    assert found == [], "see docs/upgrading.md"


@pytest.mark.parametrize(
    ("statement", "complaint"),
    [
        ("ALTER TABLE waits DROP COLUMN kind", "drops a table or column"),
        ("ALTER TABLE waits RENAME COLUMN kind TO sort", "renames"),
        ("ALTER TABLE waits ALTER COLUMN kind TYPE int", "changes a column's type"),
        ("ALTER TABLE waits ALTER COLUMN kind SET NOT NULL", "asks for a value"),
        ("ALTER TABLE waits ADD COLUMN colour text NOT NULL", "do not fill"),
        ("CREATE INDEX waits_kind ON waits (kind)", "without CONCURRENTLY on a table"),
        ("DROP INDEX waits_kind", "drops an index without"),
    ],
)
def test_a_migration_is_told_what_it_must_not_do(
    tmp_path: Path, statement: str, complaint: str
) -> None:
    path = _script(tmp_path / "0006_waits.py", statement)

    assert [complaint in found for found in complaints(path)] == [True]


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE waits ADD COLUMN colour text",
        "ALTER TABLE waits ADD COLUMN colour text NOT NULL DEFAULT 'red'",
        "CREATE TABLE colours (tenant_id text NOT NULL); CREATE INDEX c ON colours (tenant_id)",
        "CREATE INDEX CONCURRENTLY waits_kind ON waits (kind)",
        "ALTER TABLE waits ADD CONSTRAINT known CHECK (kind <> '') NOT VALID",
    ],
)
def test_a_migration_may_add(tmp_path: Path, statement: str) -> None:
    assert complaints(_script(tmp_path / "0006_waits.py", statement)) == []


def test_a_contraction_may_take_away(tmp_path: Path) -> None:
    path = _script(tmp_path / "0007_contract_waits.py", "ALTER TABLE waits DROP COLUMN kind")

    assert complaints(path) == []


def _script(path: Path, statement: str) -> Path:
    path.write_text(
        f"def upgrade():\n    op.execute({statement!r})\n\n\n"
        "def downgrade():\n    op.execute('DROP TABLE colours')\n"
    )
    return path
