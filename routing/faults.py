"""What may go wrong between routing and Postgres, and what the caller should do then."""

from __future__ import annotations

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


class RecordRefused(RoutingError):
    """A healthy database refuses what was to be written: trying the same again will not help."""


class WaitConflict(RoutingError):
    """Another wait with the same id but other content is registered: choose another id."""


class InvalidWait(RoutingError):
    """The request to register or close a wait cannot be carried out: correct it."""


class InvalidTask(InvalidWait):
    """The human task of a wait cannot be put to anybody: correct it."""


# Only these say something about the data itself. Everything else (connection loss, shutdown, full
# disk, exhausted connections, deadlock, time-out, missing table or privilege) is the database's
# state and passes, or an operator mends it. Classes of SQLSTATE: Postgres manual, appendix A.
_REFUSALS = (psycopg.DataError, psycopg.IntegrityError)
_REFUSED_STATES = ("54",)
# A lock that was not to be had in time, a deadlock that was lost, a serialization failure.
_CONTENTIONS = (
    psycopg.errors.LockNotAvailable,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)


def translated(error: psycopg.Error | PoolTimeout | PoolClosed | OSError) -> RoutingError:
    """The routing error that tells the caller whether the same data may be tried again."""
    if isinstance(error, _REFUSALS):
        return RecordRefused(_said(error))
    if isinstance(error, _CONTENTIONS):
        return DatabaseContended(_said(error))
    state = getattr(error, "sqlstate", None)
    if state is not None and state[:2] in _REFUSED_STATES:
        return RecordRefused(_said(error))
    return DatabaseUnavailable(_said(error))


def _said(error: BaseException) -> str:
    """The error's first line; never its context, which may quote row contents."""
    state = getattr(error, "sqlstate", None)
    lines = str(error).strip().splitlines()
    first = lines[0] if lines else type(error).__name__
    return f"{type(error).__name__}{f' {state}' if state else ''}: {first}"
