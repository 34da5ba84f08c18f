"""Triggers from a file: TOML, YAML or JSON, read as strictly as the rules file."""

from __future__ import annotations

from pathlib import Path

from correlation.rules import RulesError
from correlation.triggers import Trigger, TriggersError, compile_triggers
from worker.rules_source import document_from_file


def triggers_from_file(path: Path) -> tuple[Trigger, ...]:
    """The triggers of a file; its suffix says the format.

    Raises TriggersError, which names the file and, of each fault, trigger, field and fix.
    """
    try:
        return compile_triggers(document_from_file(path))
    except (RulesError, TriggersError) as error:
        raise TriggersError(error.errors, source=str(path)) from None
