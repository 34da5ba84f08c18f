"""Temporal's sandbox for tests that make many workers of the same workflows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

_prepared: set[type] = set()


@dataclass(frozen=True)
class SandboxTriedOnce(SandboxedWorkflowRunner):
    """Every run has its sandbox; that a workflow can be loaded in one is tried once per process.

    A worker tries it for each of its workflows, which takes most of a second each time.
    """

    def prepare_workflow(self, defn: Any) -> None:
        """Load the workflow in a sandbox, unless that went well before."""
        if defn.cls not in _prepared:
            super().prepare_workflow(defn)
            _prepared.add(defn.cls)
