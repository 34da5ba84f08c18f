"""An error whose message is meant for the person who started the program."""

from __future__ import annotations


class OperatorError(Exception):
    """Says in full sentences what is wrong and what to do; shown without a traceback."""
