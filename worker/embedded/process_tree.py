"""Which processes descend from one: Postgres puts each connection into a process of its own."""

from __future__ import annotations

import subprocess
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

PROC: Final = Path("/proc")


def descendants(root: int) -> frozenset[int]:
    """The ids of the children, grandchildren, ... that `root` has at this moment."""
    children: defaultdict[int, list[int]] = defaultdict(list)
    for pid, parent in _parents():
        children[parent].append(pid)
    found: set[int] = set()
    unseen = [root]
    while unseen:
        fresh = [pid for pid in children[unseen.pop()] if pid not in found]
        found.update(fresh)
        unseen.extend(fresh)
    return frozenset(found)


def is_running(pid: int) -> bool:
    """False once the process has ended, also while nobody has collected its exit code yet."""
    if PROC.joinpath("self", "stat").exists():
        return _state_and_parent(pid)[0] not in {"", "Z", "X"}
    state = _ps("-o", "stat=", "-p", str(pid)).strip()
    return bool(state) and not state.startswith("Z")


def _parents() -> Iterable[tuple[int, int]]:
    if PROC.joinpath("self", "stat").exists():
        return _parents_from_proc()
    lines = _ps("-A", "-o", "pid=,ppid=").splitlines()
    return [(int(pid), int(parent)) for pid, parent in (line.split() for line in lines)]


def _parents_from_proc() -> Iterator[tuple[int, int]]:
    for entry in PROC.iterdir():
        if entry.name.isdecimal():
            pid = int(entry.name)
            state, parent = _state_and_parent(pid)
            if state:
                yield pid, parent


def _state_and_parent(pid: int) -> tuple[str, int]:
    """Fields 3 and 4 of /proc/PID/stat; ("", 0) when there is no such process."""
    try:
        text = PROC.joinpath(str(pid), "stat").read_text(errors="replace")
    except OSError:
        return "", 0
    # Field 2, the name, may itself contain blanks and brackets.
    state, parent = text.rpartition(")")[2].split()[:2]
    return state, int(parent)


def _ps(*arguments: str) -> str:
    return subprocess.run(["ps", *arguments], capture_output=True, text=True, check=False).stdout
