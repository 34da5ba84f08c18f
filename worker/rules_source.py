"""Where the rules come from: an environment variable, or a TOML, YAML or JSON file."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import yaml

from correlation.rules import NO_RULES, Rules, RulesError, compile_rules

RULES_VARIABLE: Final = "WORKFLOW_RUNTIME_V2_EVENT_CORRELATION_PATHS_JSON"
RULES_FILE_VARIABLE: Final = "POINTSMAN_RULES_FILE"

MAX_RULES_BYTES: Final = 256 * 1024
DEEPEST_YAML: Final = 100


def rules_from_environment(environment: Mapping[str, str]) -> Rules:
    """The rules of either variable; none when both are unset or blank.

    Raises `RulesError`: also when both are set, since nobody could tell which one counts.
    """
    text = environment.get(RULES_VARIABLE, "").strip()
    file = environment.get(RULES_FILE_VARIABLE, "").strip()
    if text and file:
        raise RulesError([f"both {RULES_VARIABLE} and {RULES_FILE_VARIABLE} are set; set only one"])
    if file:
        return rules_from_file(Path(file))
    return rules_from_text(text)


def rules_from_text(text: str) -> Rules:
    """The rules in the JSON text of `RULES_VARIABLE`; none when it is blank."""
    if not text.strip():
        return NO_RULES
    return _compiled(partial(_read, text, _read_json, RULES_VARIABLE), RULES_VARIABLE)


def rules_from_file(path: Path) -> Rules:
    """The rules in a file; its suffix says the format. Raises `RulesError`."""
    return _compiled(partial(document_from_file, path), str(path))


def document_from_file(path: Path) -> object:
    """What a file holds, whatever is meant by it. Raises `RulesError`."""
    source = str(path)
    read = _READERS.get(path.suffix.lower())
    if read is None:
        raise RulesError(["the file's name must end in .toml, .yaml, .yml or .json"], source=source)
    try:
        with path.open("rb") as file:
            content = file.read(MAX_RULES_BYTES + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise RulesError([f"cannot be read: {error.strerror}"], source=source) from error
    except UnicodeDecodeError as error:
        raise RulesError([f"is not UTF-8: byte {error.start}"], source=source) from None
    return _read(text, read, source)


@dataclass(frozen=True, slots=True)
class Reloaded:
    """The rules were read again and are in use."""

    rules: Rules
    changed: bool


@dataclass(frozen=True, slots=True)
class Kept:
    """The rules could not be read again; the ones in use stay."""

    rules: Rules
    error: RulesError


Reload: TypeAlias = Reloaded | Kept


class ReloadableRules:
    """The rules in use, which a bad file can never replace."""

    def __init__(self, load: Callable[[], Rules]) -> None:
        """Load the first rules; raises `RulesError`, for a start there is nothing to keep."""
        self._load = load
        self._current = load()

    @property
    def current(self) -> Rules:
        """The last rules that could be used."""
        return self._current

    def reload(self) -> Reload:
        """Read the rules again; whatever is wrong with them is an answer, not an exception."""
        previous = self._current
        try:
            self._current = self._load()
        except RulesError as error:
            return Kept(previous, error)
        return Reloaded(self._current, self._current.version != previous.version)


class _WrongSyntax(Exception):
    """The text is not what its format asks for; the message says where."""


def _compiled(document: Callable[[], object], source: str) -> Rules:
    try:
        return compile_rules(document())
    except RulesError as error:
        raise RulesError(error.errors, source=source) from None


def _read(text: str, read: Callable[[str], object], source: str) -> object:
    if len(text.encode("utf-8", "surrogatepass")) > MAX_RULES_BYTES:
        raise RulesError([f"larger than {MAX_RULES_BYTES} bytes"], source=source)
    try:
        return read(text)
    except _WrongSyntax as error:
        raise RulesError([str(error)], source=source) from None
    except RecursionError:
        raise RulesError(["nested too deeply"], source=source) from None


def _read_json(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise _WrongSyntax(f"invalid JSON in {place}: {error.msg}") from None
    except ValueError as error:
        # Python refuses to read an integer of more than 4300 digits.
        raise _WrongSyntax(f"invalid JSON: {error}") from None


def _without_duplicates(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            # JSON readers let the last one win silently: half of somebody's rules would be gone.
            raise _WrongSyntax(f"{name}: the name stands there twice")
        members[name] = value
    return members


def _read_toml(text: str) -> object:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _WrongSyntax(f"invalid TOML: {error}") from None


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML that refuses a name written twice, as the other formats are read here."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        # Far below Python's own limit, at which whatever else runs just then breaks, too.
        if self._depth >= DEEPEST_YAML:
            raise _WrongSyntax("nested too deeply")
        self._depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def construct_mapping(
        self,
        node: yaml.MappingNode,
        deep: bool = False,  # noqa: FBT001, FBT002 - the signature is PyYAML's
    ) -> dict[Hashable, Any]:
        names = set[str]()
        for name, _ in node.value:
            line = name.start_mark.line + 1
            if name.tag == "tag:yaml.org,2002:merge":
                # Merged mappings are copied: a short file could grow beyond all memory.
                raise _WrongSyntax(f"the merge key '<<' in line {line} is not allowed")
            if isinstance(name, yaml.ScalarNode) and name.value in names:
                raise _WrongSyntax(f"{name.value}: the name stands there twice (line {line})")
            names.add(str(name.value))
        return super().construct_mapping(node, deep)


def _read_yaml(text: str) -> object:
    try:
        # An alias repeats a node without copying it, so that the size limit bounds the work.
        read = yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - it is a SafeLoader
    except (yaml.YAMLError, ValueError) as error:
        raise _WrongSyntax(f"invalid YAML: {' '.join(str(error).split())}") from None
    return {} if read is None else read


_READERS: Final[Mapping[str, Callable[[str], object]]] = {
    ".toml": _read_toml,
    ".yaml": _read_yaml,
    ".yml": _read_yaml,
    ".json": _read_json,
}
