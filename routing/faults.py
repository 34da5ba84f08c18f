"""What may go wrong between routing and Postgres, and what the caller should do then."""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Final

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout


class RoutingError(Exception):
    """Base of routing's exceptions."""


class SchemaMismatch(RoutingError):
    """The database's schema is not this program's: an operator has to migrate or upgrade."""


class DatabaseUnavailable(RoutingError):
    """An outage, a lost race or an operator's mistake: nothing was committed, try again later."""


class DatabaseContended(DatabaseUnavailable):
    """A healthy database, in which others held for too long what was asked for: try again soon."""


class StatementFailed(DatabaseUnavailable):
    """A server that answers could not do what was asked: try less at a time, or later.

    By its class the error may be the data's fault as well as the server's. Who can probe the server
    makes it `RecordRefused` when that is healthy.
    """


class RecordRefused(RoutingError):
    """A healthy database refuses what was to be written: trying the same again will not help."""


class EntryFault(RecordRefused):
    """Deciding or recording an entry raised what nobody foresaw: its own fault, as a refusal is.

    Says the exception's class and place, never its message, which may quote a payload.
    """


def fault_of_entry(error: Exception) -> EntryFault:
    """The fault of the entry that provoked an exception."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {frames[-1].name}, {Path(frames[-1].filename).name}" if frames else ""
    return EntryFault(f"{type(error).__name__}{place}")


class QuotaReached(RoutingError):
    """A tenant has as many of something as it may: remove some, or raise the quota."""

    def __init__(self, quota: str, detail: str) -> None:
        super().__init__(detail)
        self.quota = quota
        """Its short name: `open_waits`, `triggers_per_event`, `tokens`."""


class WaitConflict(RoutingError):
    """Another wait with the same id but other content is registered: choose another id."""


class ChainUnknown(RoutingError):
    """Temporal does not say whether another holder of the wait's id lives: try again later."""


class InvalidWait(RoutingError):
    """The request to register or close a wait cannot be carried out: correct it."""


class InvalidTask(InvalidWait):
    """The human task of a wait cannot be put to anybody: correct it."""


# Classes and codes of SQLSTATE: Postgres manual, appendix A.
# These say something about the data itself: data exception, integrity constraint violation,
# program limit exceeded.
_REFUSALS: Final = frozenset({"22", "23", "54"})
# A lock that was not to be had in time, a deadlock that was lost, a serialization failure.
_CONTENTIONS: Final = frozenset({"55P03", "40P01", "40001"})
# These are the server's state, which passes, or an operator mends it: connection, resources (disk,
# memory, connections), operator intervention, input and output, configuration, authorization, the
# database itself; and single codes of other classes: read-only, left idle.
_OUTAGES: Final = frozenset({"08", "28", "3D", "53", "57", "58", "F0"})
_SINGLE_OUTAGES: Final = frozenset({"25006", "25P03"})
# A statement that took too long, or that somebody cancelled, is what that class holds besides.
_CANCELED: Final = "57014"


def translated(error: psycopg.Error | PoolTimeout | PoolClosed | OSError) -> RoutingError:
    """The routing error that tells the caller whether the same data may be tried again.

    An error of which nothing is known, such as one that a trigger of somebody else's raises, is a
    `StatementFailed`: never an outage that is waited for without asking.
    """
    state = getattr(error, "sqlstate", None)
    said = _said(error)
    if isinstance(error, psycopg.DataError) and state is None:
        # The client's own word, before anything was sent: a text with a NUL, say.
        return RecordRefused(said)
    if state is None:
        return DatabaseUnavailable(said)
    if state in _CONTENTIONS:
        return DatabaseContended(said)
    if state[:2] in _REFUSALS:
        return RecordRefused(said)
    if state != _CANCELED and (state[:2] in _OUTAGES or state in _SINGLE_OUTAGES):
        return DatabaseUnavailable(said)
    return StatementFailed(said)


def _said(error: BaseException) -> str:
    """The error's first line; never its context, which may quote row contents."""
    state = getattr(error, "sqlstate", None)
    lines = str(error).strip().splitlines()
    first = lines[0] if lines else type(error).__name__
    return f"{type(error).__name__}{f' {state}' if state else ''}: {first}"
