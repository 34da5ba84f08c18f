"""What a person is told when a command cannot do its work: which server or setting, and the fix."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from worker.operator_error import OperatorError
from worker.redaction import redact_urls
from worker.settings import Settings
from worker.settings_error import SettingsError

FAILED: Final = 1
WRONG_USAGE: Final = 2


@dataclass(frozen=True, slots=True)
class Failure:
    """One message for standard error, and the exit code."""

    message: str
    exit_code: int = FAILED


class CommandFailed(OperatorError):
    """A command's own failure: its message is for the person who typed it."""


def said_of(error: BaseException, environment: Mapping[str, str] = os.environ) -> Failure | None:
    """What to say of an error; None when nobody expected it, so that its traceback is shown."""
    # Imported on use: a command that does not fail starts faster without the client libraries.
    import psycopg
    from redis.exceptions import RedisError
    from sqlalchemy.exc import DBAPIError

    from correlation.rules import RulesError
    from ingress.dead_letter_desk import LettersUnavailable
    from ingress.schemas import SchemasError
    from pointsman.domain_event import PublishError
    from routing.faults import RoutingError, SchemaMismatch
    from worker.embedded.ladder import ServerUnavailable

    match error:
        case BaseExceptionGroup():
            said = (said_of(inner, environment) for inner in error.exceptions)
            return next(filter(None, said), None)
        case SettingsError() | RulesError() | SchemasError():
            return Failure(str(error), WRONG_USAGE)
        case PublishError():
            return Failure(f"the event cannot be published: {error}", WRONG_USAGE)
        case SchemaMismatch() | OperatorError():
            return Failure(str(error))
        case ServerUnavailable():
            return Failure(redact_urls(str(error)))
        case RedisError() | LettersUnavailable():
            return _server("Redis", "POINTSMAN_REDIS_URL", "redis_url", error, environment)
        case RoutingError() | DBAPIError() | psycopg.Error():
            cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
            return _server("Postgres", "POINTSMAN_DATABASE_URL", "database_url", cause, environment)
        case _:
            return None


def _server(
    server: str, variable: str, field: str, error: BaseException, environment: Mapping[str, str]
) -> Failure:
    default = Settings.model_fields[field].default.get_secret_value()
    given = environment.get(variable, "").strip()
    address = redact_urls(given or default)
    origin = variable if given else f"the default; set {variable} to use another"
    reason = redact_urls(_first_line(error))
    return Failure(f"{server} at {address} ({origin}) cannot be used: {reason}")


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
