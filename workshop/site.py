"""The documentation as a site, built by MkDocs in an environment of its own."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv-docs"
"""Not `.venv`: nothing else needs what it pins."""
LOCK = ROOT / "requirements" / "docs.lock"
STAMP = VENV / "synced"


def is_ready() -> bool:
    """Whether the environment is as the lock file says."""
    return STAMP.is_file() and STAMP.read_text() == _wanted()


def prepare(uv: str) -> None:
    """Make the environment; raises CalledProcessError."""
    make = ["venv", "--quiet", "--clear", "--python", sys.executable, str(VENV)]
    python = ["--quiet", "--python", str(VENV / "bin" / "python")]
    for arguments in (make, ["pip", "sync", *python, "--require-hashes", str(LOCK)]):
        subprocess.run([uv, *arguments], check=True)
    STAMP.write_text(_wanted())


def build(*, serve: bool) -> int:
    """Build the site into build/docs, where a dead link is an error, or serve it; the exit code."""
    command = ["serve"] if serve else ["build", "--quiet", "--strict"]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    mkdocs = str(VENV / "bin" / "mkdocs")
    done = subprocess.run([mkdocs, *command], cwd=ROOT, env=environment, check=False)
    if done.returncode == 0 and not serve:
        print(f"built: {ROOT / 'build' / 'docs' / 'index.html'}")
    return done.returncode


def _wanted() -> str:
    return hashlib.sha256(LOCK.read_bytes()).hexdigest()
