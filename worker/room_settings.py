"""From the settings of the process to what each room wants to know of them."""

from __future__ import annotations

from datetime import timedelta

from correlation.rules import Rules
from ingress.redis_streams import StreamReading
from routing.database import DatabaseLimits
from routing.dispatch import DispatchLimits
from routing.gate import Backoff
from routing.matching import Matching
from routing.retention import Keeping
from worker.fitting import send_margin
from worker.rules_source import rules_from_file, rules_from_text
from worker.settings import Role, Settings
from worker.streams_read import streams_taken


def rules_of(settings: Settings) -> Rules:
    """The correlation rules that are configured; raises RulesError."""
    if settings.rules_file is not None:
        return rules_from_file(settings.rules_file)
    return rules_from_text(settings.correlation_paths_json or "")


def keeping(settings: Settings) -> Keeping:
    """How long the audit is kept."""
    return Keeping(
        settings.retention,
        settings.retention_by_outcome,
        runs=settings.run_retention,
        actions=settings.action_retention,
    )


def stream_age(settings: Settings) -> timedelta | None:
    """How long acknowledged entries stay in the streams; None: for ever.

    Never longer than any event: a group that is lost reads the stream again, and what the audit
    has forgotten by then would be a new event.
    """
    if not settings.stream_retention:
        return None
    ages = (settings.retention, *settings.retention_by_outcome.values())
    return min(settings.stream_retention, *(age for age in ages if age))


def database_limits(settings: Settings) -> DatabaseLimits:
    """Bounds on what the process asks of Postgres."""
    return DatabaseLimits(
        connections=settings.database_pool_size,
        statement_timeout=settings.statement_timeout,
        lock_timeout=settings.lock_timeout,
    )


def stream_reading(settings: Settings) -> StreamReading:
    """How the streams are read."""
    return StreamReading(
        streams=streams_taken(settings),
        group=settings.group,
        consumer=settings.consumer,
        count=settings.batch_count,
        max_bytes=settings.batch_bytes,
        block=settings.block,
        claim_idle=settings.claim_idle,
        claim_period=settings.claim_period,
        alone_after=settings.alone_after,
        alone_tries=settings.alone_tries,
    )


def matching(settings: Settings, owner: str) -> Matching:
    """How the process records."""
    return Matching(
        owner,
        delivers=Role.DELIVERY in settings.roles,
        lease=settings.delivery_lease,
        buffer_ttl=settings.buffer_ttl,
        namespaces=settings.temporal_namespaces,
    )


def dispatch_limits(settings: Settings, backoff: Backoff) -> DispatchLimits:
    """Bounds of sending."""
    return DispatchLimits(
        concurrency=settings.delivery_concurrency,
        run_not_found_grace=settings.run_not_found_grace,
        send_margin=send_margin(settings),
        backoff=backoff,
    )
