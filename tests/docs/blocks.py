"""The fenced code blocks of the documentation, and what is said above each of them.

A comment on the line above a block says how it is tested where its language alone does not:

    <!-- block: file=rules.toml as=rules -->

`docs/code-blocks.md` explains the words to authors, and has the table of drawings.
"""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
DECLARATIONS: Final = ROOT / "docs" / "code-blocks.md"

WORDS: Final = frozenset({"as", "background", "eventually", "exit", "file", "part-of", "until"})
"""What a comment above a block may say."""

_FENCE: Final = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})(?P<info>[^`]*)$")
_COMMENT: Final = re.compile(r"^ *<!-- block: (?P<words>.*?) -->$")
_ROW: Final = re.compile(r"^\| \[[^]]+\]\((?P<page>[^)]+)\) \| `(?P<first>[^`]+)` \| .+ \|$")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block; `page` is relative to the repository, `line` the fence's, from 1."""

    page: str
    line: int
    language: str
    text: str
    said: Mapping[str, str]

    @property
    def place(self) -> str:
        """Where an editor finds it."""
        return f"{self.page}:{self.line}"

    @property
    def first_line(self) -> str:
        """What the table of declarations calls it by."""
        return next((line.strip() for line in self.text.splitlines() if line.strip()), "")


@dataclass(frozen=True, slots=True)
class Declaration:
    """One row of the table of drawings."""

    page: str
    first_line: str


def pages() -> Sequence[str]:
    """README.md and every page of the documentation, relative to the repository."""
    found = sorted((ROOT / "docs").rglob("*.md"))
    return ["README.md", *(path.relative_to(ROOT).as_posix() for path in found)]


def blocks_of(page: str) -> Sequence[Block]:
    """The blocks of a page from top to bottom. Raises ValueError for a fence that never ends."""
    return list(read_blocks(page, (ROOT / page).read_text(encoding="utf-8")))


def read_blocks(page: str, text: str) -> Iterator[Block]:
    """The blocks in the text of a page."""
    lines = text.splitlines()
    number = 0
    while number < len(lines):
        opening = _FENCE.match(lines[number])
        if opening is None:
            number += 1
            continue
        end = _end_of(lines, number, opening["fence"], page)
        yield Block(
            page=page,
            line=number + 1,
            language=opening["info"].split()[0] if opening["info"].strip() else "",
            text=textwrap.dedent("\n".join(lines[number + 1 : end])) + "\n",
            said=_said_above(lines, number, page),
        )
        number = end + 1


def _end_of(lines: Sequence[str], start: int, fence: str, page: str) -> int:
    for number in range(start + 1, len(lines)):
        if lines[number].strip().startswith(fence) and not lines[number].strip(" `~"):
            return number
    raise ValueError(f"{page}:{start + 1}: this block never ends")


def _said_above(lines: Sequence[str], number: int, page: str) -> Mapping[str, str]:
    comment = _COMMENT.match(lines[number - 1]) if number else None
    if comment is None:
        return {}
    said = dict(word.partition("=")[::2] for word in shlex.split(comment["words"]))
    strange = said.keys() - WORDS
    if strange:
        raise ValueError(
            f"{page}:{number}: {', '.join(sorted(strange))} means nothing above a block; "
            f"known are {', '.join(sorted(WORDS))}"
        )
    return said


def declarations() -> Sequence[Declaration]:
    """The rows of the table in `docs/code-blocks.md`."""
    matches = map(_ROW.match, DECLARATIONS.read_text(encoding="utf-8").splitlines())
    return [
        Declaration(_from_docs(row["page"]), row["first"].replace("\\|", "|"))
        for row in matches
        if row is not None
    ]


def _from_docs(link: str) -> str:
    return link.removeprefix("../") if link.startswith("../") else f"docs/{link}"


def is_declared(block: Block, declared: Sequence[Declaration]) -> bool:
    """Whether the table has a row for this block."""
    return any((row.page, row.first_line) == (block.page, block.first_line) for row in declared)
