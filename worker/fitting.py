"""Settings that bound each other: each is legal alone, and some are fatal together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from worker.rules_source import RULES_VARIABLE
from worker.setting_values import format_duration

if TYPE_CHECKING:
    from worker.settings import Settings

PREFIX: Final = "POINTSMAN_"
ZERO: Final = timedelta()
TIME_TO_SEND: Final = timedelta(seconds=1)
"""So long a delivery may be sent at least, of the time that it is leased."""


def misfits(settings: Settings) -> Sequence[str]:
    """What does not fit together: each sentence names the settings and the bound."""
    return [*_orders(settings), *_lease(settings), *_retention(settings), *_others(settings)]


def send_limit(settings: Settings) -> timedelta:
    """Longest time of sending one signal: to encode it, where there is a codec, and to send it."""
    has_codec = bool(settings.codec or settings.temporal_codec_endpoint)
    return settings.signal_timeout + (settings.codec_timeout if has_codec else ZERO)


def send_margin(settings: Settings) -> timedelta:
    """A delivery whose lease ends sooner is given back instead of sent."""
    return send_limit(settings) * 2


def _orders(settings: Settings) -> Iterator[str]:
    for smaller, larger in (
        ("max_entry_bytes", "batch_bytes"),
        ("backoff_initial", "backoff_maximum"),
        ("lock_timeout", "statement_timeout"),
    ):
        if getattr(settings, smaller) > getattr(settings, larger):
            yield _order(smaller, larger)


def _lease(settings: Settings) -> Iterator[str]:
    """What is sent late in a lease must be answered before another process takes it over."""
    least = send_margin(settings) + TIME_TO_SEND
    if settings.delivery_lease >= least:
        return
    with_codec = send_limit(settings) > settings.signal_timeout
    limits = f"{_shown(settings, 'signal_timeout')}"
    if with_codec:
        limits += f" and {_shown(settings, 'codec_timeout')} together"
    yield (
        f"{_shown(settings, 'delivery_lease')} must be at least {format_duration(least)}, "
        f"which is twice {limits}, and {format_duration(TIME_TO_SEND)}: with less no delivery "
        "would ever be sent"
    )


def _retention(settings: Settings) -> Iterator[str]:
    kept = [settings.retention, *settings.retention_by_outcome.values()]
    if any(ZERO < age <= settings.buffer_ttl for age in kept):
        yield _order("buffer_ttl", "retention") + " and than each outcome's age"


def _others(settings: Settings) -> Iterator[str]:
    needed = len(settings.roles)
    if settings.database_pool_size < needed:
        yield (
            f"{_shown(settings, 'database_pool_size')} must be at least {needed}: one for each of "
            f"{PREFIX}ROLES ({','.join(sorted(settings.roles))})"
        )
    if settings.rules_file is not None and (settings.correlation_paths_json or "").strip():
        yield f"{PREFIX}RULES_FILE and {RULES_VARIABLE} are both set: choose one"


def _order(smaller: str, larger: str) -> str:
    return f"{PREFIX}{smaller.upper()} must be less than {PREFIX}{larger.upper()}"


def _shown(settings: Settings, field: str) -> str:
    value: Any = getattr(settings, field)
    text = format_duration(value) if isinstance(value, timedelta) else str(value)
    return f"{PREFIX}{field.upper()} ({text})"
