"""An exception planted in a step of deciding or recording, for the one event that names it."""

from __future__ import annotations

import importlib
from typing import Any, Final

import pytest

PLANTED: Final = "planted"
RECORDING: Final = (
    "routing.prepared.keys_of",
    "routing.columns.content_digest",
    "routing.columns.lock_hash",
    "routing.columns._context",
    "routing.columns._resolution_row",
    "routing.launch_recording._launch_row",
    "routing.launch_recording.decide",
    "routing.launch_recording.launched_workflow_id",
    "routing.matching._delivery",
    "routing.matching._new",
    "routing.known_event.content_digest",
    "routing.known_event.equal_json",
    "routing.known_event.read_stored",
)
"""The steps of recording; those of `known_event` are taken for an event that comes again."""


class Provoked(ArithmeticError):
    """What nobody foresaw."""


def plant(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Let a step raise whenever it is given anything of the planted event."""
    module_name, _, name = step.rpartition(".")
    module = importlib.import_module(module_name)
    sound = getattr(module, name)

    def spoiled(*arguments: Any, **named: Any) -> Any:
        if PLANTED in repr((arguments, named)):
            raise Provoked(f"quotes {arguments!r}")
        return sound(*arguments, **named)

    monkeypatch.setattr(module, name, spoiled)


def comes_again(step: str) -> bool:
    """Whether the step is taken for a repetition only."""
    return step.startswith("routing.known_event")
