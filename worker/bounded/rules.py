"""Rules that somebody proposes: read and compiled in a worker, within its budgets."""

from __future__ import annotations

import tomllib
from types import MappingProxyType
from typing import Final

from correlation.path import DerivationPath
from correlation.rules import Rules, RulesError, compile_rules
from worker.bounded.workers import Workers
from worker.rules_source import MAX_RULES_BYTES, rules_from_text

Compiled = tuple[dict[str, tuple[DerivationPath, ...]], str]
TOO_DEEP: Final = "the rules are nested too deeply"


async def proposed_rules(workers: Workers, text: str) -> Rules:
    """The rules of a text: JSON or, when it does not begin with a brace, TOML.

    Raises RulesError, before anything is read where the text is too long, or BudgetExceeded.
    """
    if len(text) > MAX_RULES_BYTES or len(text.encode("utf-8", "replace")) > MAX_RULES_BYTES:
        raise RulesError([f"the rules are longer than {MAX_RULES_BYTES} bytes"])
    compiled = await workers.run(compiled_in_worker, text)
    if isinstance(compiled, list):
        raise RulesError(compiled)
    by_name, version = compiled
    return Rules(MappingProxyType(by_name), version)


def compiled_in_worker(text: str) -> Compiled | list[str]:
    """The paths by name with the rules' version; the faults where there are some."""
    try:
        if text.lstrip().startswith("{"):
            rules = rules_from_text(text)
        else:
            rules = compile_rules(tomllib.loads(text))
    except RulesError as error:
        return list(error.errors)
    except tomllib.TOMLDecodeError as error:
        return [str(error)]
    except RecursionError:
        return [TOO_DEEP]
    return dict(rules.by_name), rules.version
