"""What the commands of `./dev` leave behind."""

from __future__ import annotations

import shutil
from pathlib import Path

FOLDERS = [
    ".venv",
    ".venv-docs",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".import_linter_cache",
    ".hypothesis",
    ".pointsman",
    "build",
    "dist",
]
SOURCES = ["correlation", "ingress", "routing", "worker", "sdk", "tests", "benchmarks", "examples"]


def remove(root: Path) -> None:
    """Remove all of it; what is not there is no error."""
    compiled = [found for name in SOURCES for found in (root / name).rglob("__pycache__")]
    for folder in (*(root / name for name in FOLDERS), *compiled):
        shutil.rmtree(folder, ignore_errors=True)
