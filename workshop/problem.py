"""What stops a command of `./dev`."""

from __future__ import annotations

import sys


class Problem(Exception):
    """What stops the command, in words for the person who typed it."""


def say(line: str) -> None:
    """Progress, for a person; out of the way of what a command prints."""
    print(f"dev: {line}", file=sys.stderr, flush=True)
