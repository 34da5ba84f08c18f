"""Two keys side by side: which characters they share, and which they do not."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

LONGEST_COMPARED: Final = 200


@dataclass(frozen=True, slots=True)
class Stretch:
    """A piece of one text; `shared` when the other has it at the same place, too."""

    text: str
    shared: bool


def difference(one: str, other: str) -> tuple[list[Stretch], list[Stretch]]:
    """Both texts in stretches; texts that are long are not compared."""
    if max(len(one), len(other)) > LONGEST_COMPARED:
        return [Stretch(one, shared=True)], [Stretch(other, shared=True)]
    left: list[Stretch] = []
    right: list[Stretch] = []
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    for kind, begin, end, other_begin, other_end in matcher.get_opcodes():
        for side, text in ((left, one[begin:end]), (right, other[other_begin:other_end])):
            if text:
                side.append(Stretch(text, shared=kind == "equal"))
    return left, right
