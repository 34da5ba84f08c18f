"""The documentation as a site."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def build(root: Path, programs: Path, *, serve: bool) -> int:
    """Build the site into build/docs, where a dead link is an error, or serve it; the exit code."""
    command = ["serve"] if serve else ["build", "--quiet", "--strict"]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    mkdocs = str(programs / "mkdocs")
    done = subprocess.run([mkdocs, *command], cwd=root, env=environment, check=False)
    if done.returncode == 0 and not serve:
        print(f"built: {root / 'build' / 'docs' / 'index.html'}")
    return done.returncode
