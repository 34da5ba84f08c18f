"""The alert rules, as promtool sees them."""

from __future__ import annotations

import subprocess
from pathlib import Path

from workshop.go_programs import ROOT

COMMANDS = (
    ("check", "rules", "pointsman.rules.yml"),
    ("test", "rules", "pointsman.rules.test.yml"),
)


def check(promtool: Path) -> int:
    """Check and test the rules; the exit code of the first command that finds something, or 0."""
    for command in COMMANDS:
        folder = ROOT / "deploy" / "prometheus"
        finished = subprocess.run([str(promtool), *command], cwd=folder, check=False)
        if finished.returncode != 0:
            return finished.returncode
    return 0
