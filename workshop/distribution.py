"""Making a release's files: wheels, the bill of materials, their digests."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

from workshop.problem import Problem, say


def version_of(root: Path) -> str:
    """The version that all parts carry; raises Problem where one differs."""
    chart = (root / "deploy" / "helm" / "pointsman" / "Chart.yaml").read_text()
    found = {
        "pyproject.toml": _project_version(root / "pyproject.toml"),
        "sdk/pyproject.toml": _project_version(root / "sdk" / "pyproject.toml"),
        "the chart's version": _after("version", chart),
        "the chart's appVersion": _after("appVersion", chart),
    }
    if len(set(found.values())) > 1:
        listed = ", ".join(f"{where}: {version}" for where, version in found.items())
        raise Problem(f"the parts differ in their version: {listed}")
    return found["pyproject.toml"]


def refuse_unfinished(root: Path, version: str) -> None:
    """Raise Problem for a tree with changes, or a version that the changelog does not have."""
    changed = _git(root, "status", "--porcelain")
    if changed:
        raise Problem(f"the tree has changes (`--draft` does without this check):\n{changed}")
    changelog = (root / "CHANGELOG.md").read_text()
    if not re.search(rf"^## \[{re.escape(version)}\]", changelog, re.MULTILINE):
        raise Problem(f"CHANGELOG.md has no section [{version}] (`--draft`: without this check)")


def make(root: Path, tools: Path, version: str) -> Path:
    """The folder with wheels, bill of materials and digests; `tools` has the pinned programs."""
    folder = root / "dist"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    # Wheels are the same bytes, whenever and wherever they are built.
    moment = _git(root, "log", "-1", "--format=%ct")
    environment = {**os.environ, "SOURCE_DATE_EPOCH": moment}
    for source in (root / "sdk", root):
        build = [str(tools / "hatchling"), "build", "--target", "wheel", "--directory", str(folder)]
        _run(build, source, environment)
    _run(_bill_of_materials(root, tools, folder, version), root, environment)
    _write_digests(folder)
    return folder


def _bill_of_materials(root: Path, tools: Path, folder: Path, version: str) -> list[str]:
    return [
        *(str(tools / "cyclonedx-py"), "requirements"),
        *("--pyproject", str(root / "pyproject.toml"), "--mc-type", "application"),
        *("--output-reproducible", "--output-format", "JSON"),
        *("--output-file", str(folder / f"pointsman-{version}.cdx.json")),
        str(root / "requirements" / "runtime.lock"),
    ]


def _write_digests(folder: Path) -> None:
    made = sorted(path for path in folder.iterdir() if path.is_file())
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in made]
    (folder / "SHA256SUMS").write_text("".join(lines))
    for path in made:
        say(f"made dist/{path.name}")


def _project_version(path: Path) -> str:
    return str(tomllib.loads(path.read_text())["project"]["version"])


def _after(member: str, text: str) -> str:
    found = re.search(rf"^{member}:\s*(\S+)\s*$", text, re.MULTILINE)
    if found is None:
        raise Problem(f"the chart says no {member}")
    return found[1].strip('"')


def _git(root: Path, *arguments: str) -> str:
    command = ["git", *arguments]
    finished = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        raise Problem(f"{' '.join(command)}: {finished.stderr.strip()}")
    return finished.stdout.strip()


def _run(command: list[str], folder: Path, environment: dict[str, str]) -> None:
    finished = subprocess.run(command, cwd=folder, env=environment, check=False)
    if finished.returncode != 0:
        raise Problem(f"this ended with {finished.returncode}: {' '.join(command)}")
