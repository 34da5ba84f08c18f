"""Which way each block is tested: by its language, and by what is said above it."""

from __future__ import annotations

import importlib.machinery
import importlib.util
import re
import sys
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from enum import Enum, auto
from functools import cache
from pathlib import Path
from typing import Final

from tests.docs.blocks import ROOT, Block, Declaration, is_declared
from tests.docs.data import READERS
from tests.docs.scenes import ELSEWHERE
from tests.docs.shell import commands_of

PERFORMED: Final = frozenset({"console", "sh", "python"})


class Way(Enum):
    """How a block is tested."""

    PERFORMED = auto()
    """Run, or written to its file, in its turn on its page."""
    CHECKED = auto()
    """Read by what reads it in the product."""
    QUERIED = auto()
    """Run on the migrated schema."""
    INCLUDED = auto()
    """Consecutive lines of a file that has a test of its own."""
    TARGETS = auto()
    """Commands of the repository itself: they exist. What they do, CI does."""
    ELSEWHERE = auto()
    """The page has a test of its own."""
    DECLARED = auto()
    """A drawing, named in docs/code-blocks.md; test_declared.py checks what is in it."""


def way_of(block: Block, declared: Sequence[Declaration]) -> Way | None:
    """None for a block that nothing would notice."""
    if is_declared(block, declared):
        return Way.DECLARED
    if block.page in ELSEWHERE and block.language:
        return Way.ELSEWHERE
    if "part-of" in block.said:
        return Way.INCLUDED
    if block.language in {"console", "sh"} and is_for_the_repository(block):
        return Way.TARGETS
    if block.language in PERFORMED or "file" in block.said:
        return Way.PERFORMED
    if block.language in READERS:
        return Way.CHECKED
    return Way.QUERIED if block.language == "sql" else None


def is_for_the_repository(block: Block) -> bool:
    """Whether all of its commands are `make TARGET` or `./dev TARGET`."""
    return all(line.split()[0] in {"make", "./dev"} for line in _lines(block))


def targets_of(block: Block) -> AbstractSet[str]:
    """The targets that it names."""
    words = [line.partition("#")[0].split() for line in _lines(block)]
    return {next((word for word in line[1:] if "=" not in word), "help") for line in words}


def _lines(block: Block) -> Sequence[str]:
    if block.language == "console":
        return [command.text for command in commands_of(block.text)]
    return [line for line in block.text.splitlines() if line.strip()]


@cache
def known_targets() -> AbstractSet[str]:
    """What `./dev` can be asked for."""
    loader = importlib.machinery.SourceFileLoader("dev_of_the_repository", str(ROOT / "dev"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    # It would leave a compiled file beside itself, in the root of the repository.
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = writes
    return set(module.COMMANDS)


def is_part_of(text: str, file: Path) -> bool:
    """Whether the lines stand in the file as they are, one behind the other, indented or not."""
    wanted = [line.strip() for line in text.strip().splitlines()]
    there = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    return any(
        there[start : start + len(wanted)] == wanted
        for start in range(len(there) - len(wanted) + 1)
    )


def links_of(text: str) -> Sequence[str]:
    """Where the links of a page lead, code left out."""
    prose = re.sub(r"^ *(`{3,}|~{3,}).*?^ *\1 *$", "", text, flags=re.DOTALL | re.MULTILINE)
    prose = re.sub(r"`[^`\n]*`", "``", prose)
    inline = re.findall(r"\]\(\s*<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)", prose)
    return [*inline, *re.findall(r"<(https?://[^>\s]+)>", prose)]
