"""Programs that are built with Go, once, and kept in the user's cache folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from workshop.problem import Problem, say

ROOT = Path(__file__).resolve().parents[1]
GO_FALLBACK = Path("/usr/local/go/bin/go")

PROMTOOL_SOURCES = ROOT / "deploy" / "promtool"
CHECKER_SOURCES = ROOT / "deploy" / "checker"
OPTIONS = ("-buildvcs=false", "-trimpath", "-ldflags=-s -w")


@dataclass(frozen=True, slots=True)
class GoProgram:
    """A program, the version that its folder in the cache is named after, and how it is built."""

    name: str
    version: str
    arguments: tuple[str, ...]
    """Of `go`; the program is left in GOBIN."""
    folder: Path
    """Where `go` is run."""
    patience: str


def promtool() -> GoProgram:
    """Prometheus' checker of rules."""
    version = digest_of(PROMTOOL_SOURCES, "go.mod", "go.sum")
    arguments = ("install", *OPTIONS, "tool")
    return GoProgram("promtool", version, arguments, PROMTOOL_SOURCES, "five to twenty minutes")


def checker() -> GoProgram:
    """The program of deploy/checker."""
    version = digest_of(CHECKER_SOURCES, "go.mod", "go.sum", "main.go")
    arguments = ("install", *OPTIONS, ".")
    return GoProgram("checker", version, arguments, CHECKER_SOURCES, "two to five minutes")


def digest_of(folder: Path, *names: str) -> str:
    """Other sources, another version."""
    digest = hashlib.sha256()
    for name in names:
        digest.update((folder / name).read_bytes())
    return digest.hexdigest()[:16]


def find(program: GoProgram) -> Path | None:
    """The one that was built before."""
    built = home(program) / program.name
    return built if os.access(built, os.X_OK) else None


def find_promtool() -> Path | None:
    """A promtool on PATH, or the one that was built before."""
    on_path = shutil.which("promtool")
    return Path(on_path) if on_path else find(promtool())


def build(program: GoProgram) -> Path:
    """The program, built with Go and kept for the next time."""
    go = shutil.which("go") or (str(GO_FALLBACK) if GO_FALLBACK.is_file() else None)
    if go is None:
        raise Problem(f"there is neither {program.name} nor Go on PATH: install one of them")
    unfinished = home(program) / "unfinished"
    unfinished.mkdir(parents=True, exist_ok=True)
    say(f"building {program.name} {program.version} with {go}, once; it takes {program.patience}")
    environment = {**os.environ, "GOBIN": str(unfinished), "CGO_ENABLED": "0"}
    command = [go, *program.arguments]
    built = subprocess.run(command, cwd=program.folder, env=environment, check=False)
    if built.returncode != 0:
        raise Problem(f"{program.name} could not be built: go ended with {built.returncode}")
    # Only what is whole is ever found.
    return (unfinished / program.name).rename(home(program) / program.name)


def home(program: GoProgram) -> Path:
    """The folder that keeps the program: another version, another folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "pointsman" / program.name / program.version
