"""What a person is told when a command cannot do its work: which server or setting, and the fix."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from worker.operator_error import OperatorError
from worker.redaction import redact_urls
from worker.settings import Settings

FAILED: Final = 1
WRONG_USAGE: Final = 2


# By name: a command that fails need not import the libraries that it did not come to use.
MISCONFIGURED: Final = frozenset(
    {
        "worker.settings_error.SettingsError",
        "correlation.rules.RulesError",
        "ingress.schemas.SchemasError",
    }
)
UNPUBLISHABLE: Final = frozenset({"pointsman.domain_event.PublishError"})
SAID_BY_ITSELF: Final = frozenset(
    {
        "routing.faults.SchemaMismatch",
        "routing.faults.QuotaReached",
        "routing.migrations.roles.RolesMissing",
        "worker.operator_error.OperatorError",
        "worker.embedded.ladder.ServerUnavailable",
    }
)
OF_REDIS: Final = frozenset(
    {"redis.exceptions.RedisError", "ingress.dead_letter_desk.LettersUnavailable"}
)
OF_POSTGRES: Final = frozenset(
    {"routing.faults.RoutingError", "sqlalchemy.exc.DBAPIError", "psycopg.Error"}
)


@dataclass(frozen=True, slots=True)
class Failure:
    """One message for standard error, and the exit code."""

    message: str
    exit_code: int = FAILED


class CommandFailed(OperatorError):
    """A command's own failure: its message is for the person who typed it."""


def said_of(error: BaseException, environment: Mapping[str, str] = os.environ) -> Failure | None:
    """What to say of an error; None when nobody expected it, so that its traceback is shown."""
    if isinstance(error, BaseExceptionGroup):
        said = (said_of(inner, environment) for inner in error.exceptions)
        return next(filter(None, said), None)
    kinds = {f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__}
    if kinds & UNPUBLISHABLE:
        return Failure(f"the event cannot be published: {error}", WRONG_USAGE)
    if kinds & MISCONFIGURED:
        return Failure(str(error), WRONG_USAGE)
    if kinds & SAID_BY_ITSELF:
        return Failure(redact_urls(str(error)))
    if kinds & OF_REDIS:
        return _server("Redis", "POINTSMAN_REDIS_URL", "redis_url", error, environment)
    if kinds & OF_POSTGRES:
        cause = getattr(error, "orig", None) or error
        return _server("Postgres", "POINTSMAN_DATABASE_URL", "database_url", cause, environment)
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
