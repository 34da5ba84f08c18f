"""Derivation paths: where in a payload a correlation key stands.

Two spellings: dotted (`invoice.id`, object members only) and, beginning with `$`, a safe subset of
JSONPath (`$.lines[*].invoiceId`). Both compile to plain steps, because walking those is bounded
and about two hundred times faster than evaluating a parsed JSONPath.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, TypeAlias

from jsonpath_ng import Child, Descendants, Fields, Index, Root, Slice
from jsonpath_ng.exceptions import JSONPathError
from jsonpath_ng.jsonpath import JSONPath, Wildcard
from jsonpath_ng.parser import parse as parse_jsonpath

from .key import TRIMMED

MAX_PATH_CHARACTERS: Final = 1000

_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_ESCAPE: Final = re.compile(r"\\(.?)")
_PARSER_COLUMN: Final = re.compile(r"(?:col |at \d+:)(\d+)")
_INDEX: Final = re.compile("[0-9]+")
_RESERVED: Final = re.compile(r"\.(where|wherenot)(?![A-Za-z0-9_-])")
_BRACKETED: Final = re.compile(r"[\[\]()*]")


class PathError(ValueError):
    """A derivation path that is not allowed; the message says what and where. Change the path."""


class Every(Enum):
    """The wildcard step: every member of an object, every element of an array."""

    CHILD = "*"


Step: TypeAlias = str | int | Every
"""A member's name, an index counted from 0, or every child."""


class Absent(Enum):
    """Nothing stands where a path leads; null would be something."""

    ABSENT = "absent"


ABSENT: Final = Absent.ABSENT


@dataclass(frozen=True, slots=True)
class DerivationPath:
    """A compiled path of one rule."""

    rule: str
    """The event name that the path is configured under, or `*`."""
    text: str
    """The path as it was written."""
    steps: tuple[Step, ...]
    branches: bool = field(init=False)
    """True when the path holds a wildcard and may lead to several places."""

    label: str = field(init=False, repr=False, compare=False)
    """The path with its rule, as audit and errors name it: `INVOICE_PAID: invoice.id`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "branches", Every.CHILD in self.steps)
        object.__setattr__(self, "label", f"{self.rule}: {self.text}")

    @property
    def normalized(self) -> str:
        """The compiled steps in the one spelling that hides nothing: `$['invoice']['id']`."""
        return "$" + "".join(_spell(step) for step in self.steps)


def compile_path(text: str, *, rule: str, stored: bool = False) -> DerivationPath:
    """Compile a path, or raise `PathError`.

    One that is `stored` was taken by the release that stored it, and goes on meaning the same.
    """
    text = text.strip(TRIMMED)
    if not text:
        raise PathError("the path is blank")
    if len(text) > MAX_PATH_CHARACTERS:
        raise PathError(f"the path is longer than {MAX_PATH_CHARACTERS} characters")
    if bad := _UNPRINTABLE.search(text):
        raise PathError(f"control character U+{ord(bad.group()):04X} in column {bad.start() + 1}")
    if text.startswith("$"):
        return DerivationPath(rule, text, _jsonpath_steps(text))
    if not stored:
        check_spelling(text)
    return DerivationPath(rule, text, _dotted_steps(text))


def read_one(path: DerivationPath, payload: Mapping[str, Any]) -> object:
    """What stands at a path that does not branch, or `ABSENT`."""
    node: Any = payload
    for step in path.steps:
        # The tuple lets a plain dict pass at C speed, before the slow check for other mappings.
        if isinstance(node, (dict, Mapping)):
            if step not in node:
                return ABSENT
            node = node[step]
        elif isinstance(node, list) and isinstance(step, int) and step < len(node):
            node = node[step]
        else:
            return ABSENT
    return node


def read_all(
    path: DerivationPath, payload: Mapping[str, Any], places: int
) -> tuple[list[object], int] | None:
    """What stands at a path, in document order, and how many of `places` are left unvisited.

    None when the path leads through more places than that: the answer would be incomplete.
    """
    nodes: list[Any] = [payload]
    for step in path.steps:
        following: list[Any] = []
        for node in nodes:
            reached = _children(node, step)
            places -= len(reached)
            if places < 0:
                return None
            following.extend(reached)
        nodes = following
    return nodes, places


def _children(node: Any, step: Step) -> list[Any]:
    if isinstance(node, (dict, Mapping)):
        if step is Every.CHILD:
            return list(node.values())
        return [node[step]] if step in node else []
    if isinstance(node, list):
        if step is Every.CHILD:
            return node
        if isinstance(step, int) and step < len(node):
            return [node[step]]
    return []


def check_spelling(text: str) -> None:
    """Raise `PathError` for a path in another notation, with what to write instead."""
    if text.startswith(("/", "#/")):
        names = [name for name in text.lstrip("#").split("/") if name]
        raise PathError(
            f"a path that begins with '/' is a JSON Pointer, which is not read; write"
            f" {_suggested(names)}, or $['{text}'] for a member of that name"
        )
    names = text.split(".")
    if "" in names and any(names):
        raise PathError(
            f"a name between two dots, or before or after one, is empty; write"
            f" {_suggested([name for name in names if name])}"
        )
    if number := next(filter(_INDEX.fullmatch, names), None):
        in_quotes = "".join(f"['{name}']" for name in names)
        raise PathError(
            f"{number!r} could be an index or a name; write {_suggested(names)} for an element of"
            f" an array, or ${in_quotes} for a member of that name"
        )


def _suggested(names: list[str]) -> str:
    if not any(map(_INDEX.fullmatch, names)):
        return ".".join(names) or "the members' names"
    return "$" + "".join(f"[{n}]" if _INDEX.fullmatch(n) else f".{n}" for n in names)


def _dotted_steps(text: str) -> tuple[Step, ...]:
    if bad := _BRACKETED.search(text):
        raise PathError(
            f"{bad.group()!r} in column {bad.start() + 1}: a dotted path names object members"
            " only; a path with indexes or wildcards begins with '$'"
        )
    steps = tuple(segment for segment in text.split(".") if segment)
    if not steps:
        raise PathError("the path names no member")
    return steps


def _jsonpath_steps(text: str) -> tuple[Step, ...]:
    for escape in _ESCAPE.finditer(text):
        # jsonpath-ng would read `\u0041` as the five characters `u0041`.
        if escape.group(1) not in {"'", '"', "\\"}:
            raise PathError(
                f"escape {escape.group()!r} in column {escape.start() + 1}: only a quote or a"
                " backslash can be escaped; write the character itself"
            )
    root, *parts = _flatten(_parsed(text))
    if not isinstance(root, Root):
        raise _refused(root)
    if not parts:
        raise PathError("the path names the whole payload, which is no key")
    return tuple(_step(part) for part in parts)


def _parsed(text: str) -> JSONPath:
    try:
        with warnings.catch_warnings():
            # Deprecated syntax is not allowed here anyway and is refused below by its meaning.
            warnings.simplefilter("ignore")
            return parse_jsonpath(text)
    except JSONPathError as error:
        if found := _RESERVED.search(text):
            raise PathError(
                f"{found[1]!r} in column {found.start() + 2} is a word of JSONPath's own; a member"
                f" of that name stands in quotes: ['{found[1]}'] instead of .{found[1]}"
            ) from None
        raise PathError(
            f"not understood {_place(str(error), text)}; a path is made of .member, ['member'], [0]"
            " and [*], where a name with other characters than ASCII letters, digits, '_' and '-'"
            " stands in quotes: $['größe']"
        ) from None


def _place(message: str, text: str) -> str:
    """Where the parser stopped: its own messages count columns from 0, people from 1."""
    found = _PARSER_COLUMN.search(message)
    if found is None:
        return "at its end"
    column = int(found.group(1))
    return f"in column {column + 1} ({text[column : column + 1]!r})"


def _flatten(path: JSONPath) -> list[JSONPath]:
    parts: list[JSONPath] = []
    waiting = [path]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Child):
            waiting += (part.right, part.left)
        else:
            parts.append(part)
    return parts


def _step(part: JSONPath) -> Step:
    if isinstance(part, Wildcard):
        return Every.CHILD
    if isinstance(part, Fields):
        if len(part.fields) == 1:
            return str(part.fields[0])
        raise PathError("several members at once are not allowed; write one path for each")
    if isinstance(part, Index):
        if len(part.indices) == 1 and part.indices[0] >= 0:
            return int(part.indices[0])
        raise PathError("an index must be a single number counted from 0")
    raise _refused(part)


def _refused(part: JSONPath) -> PathError:
    if isinstance(part, Descendants):
        what = "the search in all depths ('..')"
    elif isinstance(part, Slice):
        what = "a slice ('[a:b]')"
    elif isinstance(part, Root):
        what = "a second root ('$')"
    else:
        what = f"the operator {type(part).__name__.strip('_').lower()!r}"
    return PathError(f"{what} is not allowed")


def _spell(step: Step) -> str:
    if isinstance(step, Every):
        return "[*]"
    if isinstance(step, int):
        return f"[{step}]"
    escaped = step.replace("\\", "\\\\").replace("'", "\\'")
    return f"['{escaped}']"
