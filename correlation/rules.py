"""Rules: which derivation paths belong to which event name."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from pointsman.contract import HUMAN_TASK_COMPLETED, MAX_EVENT_NAME_BYTES

from .key import TRIMMED
from .path import DerivationPath, PathError, compile_path

EVERY_NAME: Final = "*"
"""The name whose paths are read for every event, after those of the event's own name."""

MAX_PATHS_PER_NAME: Final = 64

EMPTY_VERSION: Final = "none"
"""The version of rules that hold no path."""

_VERSION_DIGITS: Final = 12

TASK_PATHS: Final = (compile_path("taskId", rule=HUMAN_TASK_COMPLETED),)
"""Read before all others for the event that completes a human task; part of no version."""


class RulesError(ValueError):
    """Rules that cannot be used: every wrong entry, each by its name. Correct them and try again.

    `source` says where the rules came from (a variable, a file), if that is known.
    """

    def __init__(self, errors: Sequence[str], *, source: str | None = None) -> None:
        self.errors: tuple[str, ...] = tuple(errors)
        self.source = source
        heading = f"{source}: " if source else ""
        super().__init__(heading + "; ".join(self.errors))


@dataclass(frozen=True, slots=True)
class Rules:
    """Compiled rules. Equal mappings, however their names are ordered, have equal versions."""

    by_name: Mapping[str, tuple[DerivationPath, ...]]
    """The paths configured for each name, in their order; `*` among the names."""
    version: str = EMPTY_VERSION
    """A digest of the whole mapping, or `none` when it holds no path."""
    _reading_order: Mapping[str, tuple[DerivationPath, ...]] = field(
        init=False, repr=False, compare=False
    )
    _for_other_names: tuple[DerivationPath, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        general = self.by_name.get(EVERY_NAME, ())
        order = {
            name: paths if name == EVERY_NAME else paths + general
            for name, paths in self.by_name.items()
        }
        # The event that completes a human task names it, whatever the rules say beside.
        order[HUMAN_TASK_COMPLETED] = TASK_PATHS + order.get(HUMAN_TASK_COMPLETED, general)
        object.__setattr__(self, "_reading_order", order)
        object.__setattr__(self, "_for_other_names", general)

    def paths_for(self, name: str) -> tuple[DerivationPath, ...]:
        """The paths to read for an event of this name: its own, then those under `*`."""
        return self._reading_order.get(name, self._for_other_names)


NO_RULES: Final = Rules(MappingProxyType({}))


def compile_rules(mapping: object) -> Rules:
    """Compile `{event name: path or list of paths}`, or raise `RulesError` naming every fault.

    A name without paths is the same as no entry.
    """
    if not isinstance(mapping, Mapping):
        raise RulesError(["the rules must be an object of event names and their paths"])
    errors: list[str] = []
    by_name: dict[str, tuple[DerivationPath, ...]] = {}
    for written, entry in mapping.items():
        name = _checked_name(written, by_name, errors)
        if name is not None:
            by_name[name] = tuple(_compiled_entry(name, entry, errors))
    if errors:
        raise RulesError(errors)
    by_name = {name: paths for name, paths in by_name.items() if paths}
    return Rules(MappingProxyType(by_name), _version(by_name))


def _checked_name(written: object, taken: Mapping[str, object], errors: list[str]) -> str | None:
    if not isinstance(written, str):
        errors.append(f"{written!r:.80}: an event name must be a text; put it in quotes")
        return None
    name = written.strip(TRIMMED)
    fault = _name_fault(name)
    if fault is None and name in taken:
        fault = "the name stands in the rules twice (white space around a name does not count)"
    if fault is None:
        return name
    errors.append(f"{written!r:.80}: {fault}")
    return None


def _name_fault(name: str) -> str | None:
    if not name:
        return "the event name is blank"
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in name):
        return "the event name holds control characters"
    if len(name.encode("utf-8", "surrogatepass")) > MAX_EVENT_NAME_BYTES:
        return f"the event name is longer than {MAX_EVENT_NAME_BYTES} bytes of UTF-8"
    if any("\ud800" <= character <= "\udfff" for character in name):
        return "the event name holds half a surrogate pair"
    return None


def _compiled_entry(name: str, entry: object, errors: list[str]) -> Iterator[DerivationPath]:
    if isinstance(entry, str):
        yield from _compiled_path(name, entry, name, errors)
        return
    if not isinstance(entry, list | tuple):
        errors.append(f"{name}: must be a path or a list of paths, not {_kind(entry)}")
        return
    if len(entry) > MAX_PATHS_PER_NAME:
        errors.append(f"{name}: {len(entry)} paths; at most {MAX_PATHS_PER_NAME} are allowed")
        return
    for position, path in enumerate(entry):
        yield from _compiled_path(name, path, f"{name}[{position}]", errors)


def _compiled_path(
    name: str, path: object, place: str, errors: list[str]
) -> Iterator[DerivationPath]:
    if not isinstance(path, str):
        errors.append(f"{place}: a path must be a text, not {_kind(path)}")
        return
    try:
        yield compile_path(path, rule=name)
    except PathError as error:
        errors.append(f"{place}: {path!r:.200}: {error}")


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return f"a value of type {type(value).__name__}"


def _version(by_name: Mapping[str, tuple[DerivationPath, ...]]) -> str:
    if not by_name:
        return EMPTY_VERSION
    texts = {name: [path.text for path in paths] for name, paths in by_name.items()}
    canonical = json.dumps(texts, sort_keys=True, separators=(",", ":"))
    return sha256(canonical.encode()).hexdigest()[:_VERSION_DIGITS]
