"""What deploy/checker makes of the chart, the compose file and the Kustomize folders."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from workshop.go_programs import ROOT
from workshop.problem import Problem

DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "pointsman"
BASE = DEPLOY / "kustomize" / "base" / "pointsman.yaml"
BASE_VALUES = DEPLOY / "kustomize" / "values.yaml"
HEAD = "# Made from deploy/helm/pointsman by `./dev deploy-render`: change the chart instead.\n"


def checked(checker: Path, *arguments: str | Path) -> str:
    """What the checker prints; raises Problem with what it found wrong."""
    command = [str(checker), *(str(argument) for argument in arguments)]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if finished.returncode != 0:
        raise Problem(finished.stderr.strip() or f"{command[1]} ended with {finished.returncode}")
    return finished.stdout


def template(checker: Path, values: Sequence[Path] = ()) -> str:
    """The chart's manifests with these values, the last file winning."""
    return checked(checker, "template", CHART, *values)


def rendered_base(checker: Path) -> str:
    """What deploy/kustomize/base/pointsman.yaml is to be: no label says that Helm minds it."""
    lines = template(checker, [BASE_VALUES]).splitlines(keepends=True)
    return HEAD + "".join(line for line in lines if "managed-by: Helm" not in line)
