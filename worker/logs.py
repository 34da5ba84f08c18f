"""Log lines: one fact each, named `noun.past_verb`, never a payload, never a secret."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Final, Literal, TextIO

import structlog
from structlog.typing import Processor

from worker.redaction import HIDDEN, redact_urls

SECRET_WORDS: Final = (
    "password",
    "passwd",
    "secret",
    "api_key",
    "apikey",
    "token",
    "authorization",
)
PAYLOAD_KEYS: Final = frozenset(
    {
        "payload",
        "payload_json",
        "payload_text",
        "data",
        "data_base64",
        "fields",
        "raw",
        "body",
    }
)
QUIET_LIBRARIES: Final = {
    "alembic": logging.WARNING,
    "asyncio": logging.WARNING,
    "redis": logging.WARNING,
    "temporalio": logging.WARNING,
    # It reports every single try of an outage, which is one fact and said once elsewhere.
    "psycopg.pool": logging.ERROR,
    # A line for each request that is not HTTP.
    "uvicorn": logging.ERROR,
}


def configure_logs(
    *,
    log_level: Literal["debug", "info", "warning", "error"] = "info",
    log_format: Literal["auto", "json", "console"] = "auto",
    stream: TextIO | None = None,
) -> None:
    """Send every log line, those of libraries too, to the stream (standard error by default).

    `auto` writes JSON unless the stream is a terminal. May be called again, to change its mind.
    """
    target = stream if stream is not None else sys.stderr
    for_person = log_format == "console" or (log_format == "auto" and target.isatty())
    number = logging.getLevelNamesMapping()[log_level.upper()]
    shared = _shared_processors()
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(for_person=for_person, colors=target.isatty()),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=number, force=True)
    for name, least in QUIET_LIBRARIES.items():
        logging.getLogger(name).setLevel(max(number, least))


def hide_secrets(
    _logger: Any, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Replace payloads by their size and secrets by stars, whatever their depth in the line."""
    for key, value in line.items():
        line[key] = _cleaned(key, value)
    return line


def _shared_processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def _rendering(*, for_person: bool, colors: bool) -> list[Processor]:
    # Tracebacks become text before secrets are hidden: an exception's message may hold an address.
    if for_person:
        # Plain tracebacks: the pretty ones print local variables, payloads and tokens among them.
        plain = structlog.dev.plain_traceback
        console = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain)
        return [structlog.processors.format_exc_info, hide_secrets, console]
    return [
        structlog.processors.format_exc_info,
        hide_secrets,
        structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
    ]


def _cleaned(key: str, value: Any) -> Any:
    lowered = key.lower()
    if lowered in PAYLOAD_KEYS:
        return _size_of(value)
    if any(word in lowered for word in SECRET_WORDS):
        return HIDDEN
    return _cleaned_value(value)


def _cleaned_value(value: Any) -> Any:
    match value:
        case str():
            return redact_urls(value)
        case bytes() | bytearray():
            return _size_of(value)
        case dict():
            return {key: _cleaned(str(key), inner) for key, inner in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_cleaned_value(inner) for inner in value]
        case bool() | int() | float() | None:
            return value
        case _:
            return redact_urls(str(value))


def _size_of(value: Any) -> str:
    return f"({len(value)} long)" if hasattr(value, "__len__") else "(not shown)"
