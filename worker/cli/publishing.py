"""`pointsman publish`: one event onto the stream, through the same publisher that users have."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final
from uuid import uuid4

import typer

from pointsman.correlation.exact_reading import read_json
from pointsman.domain_event import DomainEvent, stream_fields
from worker.cli.printing import print_json
from worker.cli.reading import settings_with_warnings
from worker.settings import Settings

CONNECT_TIMEOUT_SECONDS: Final = 5


def publish_command(
    name: Annotated[str, typer.Argument(help="The event's name, such as INVOICE_PAID.")],
    tenant: Annotated[str, typer.Option("--tenant", help="Whose event it is.")],
    payload: Annotated[
        str, typer.Option("--payload", metavar="JSON|@FILE", help="The payload, a JSON object.")
    ] = "{}",
    key: Annotated[
        str | None,
        typer.Option("--key", help="Correlation key; without it the rules look for one."),
    ] = None,
    event_id: Annotated[
        str | None, typer.Option("--event-id", help="The event's id; without it a new one.")
    ] = None,
    stream: Annotated[
        str | None, typer.Option("--stream", help="Another stream than the configured one.")
    ] = None,
) -> None:
    """Put one event onto the stream and print its id and the entry's."""
    settings = settings_with_warnings()
    event = DomainEvent(
        name=name,
        tenant=tenant,
        payload=_payload(payload),
        correlation_key=key,
        event_id=event_id or uuid4().hex,
    )
    target = stream or _stream_of(settings, event)
    entry_id = asyncio.run(_publish(settings.redis_url.get_secret_value(), target, event))
    print_json({"event_id": event.event_id, "stream": target, "entry_id": entry_id})


def _stream_of(settings: Settings, event: DomainEvent) -> str:
    """The configured stream, or the shard of it that the event's key belongs to."""
    if settings.stream_shards == 1:
        return settings.stream[0]
    from pointsman.sharding import Sharding
    from worker.room_settings import rules_of

    paths = rules_of(settings).by_name
    rules = {name: [path.text for path in found] for name, found in paths.items()}
    fields = stream_fields(event, now=lambda: datetime.now(UTC))
    return Sharding(settings.stream[0], settings.stream_shards, rules).stream_of(fields)


async def _publish(url: str, stream: str, event: DomainEvent) -> str:
    # Imported on use, like every client library.
    from redis.asyncio import Redis
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    from pointsman.publisher import Publisher

    redis = Redis.from_url(
        url,
        socket_connect_timeout=CONNECT_TIMEOUT_SECONDS,
        socket_timeout=CONNECT_TIMEOUT_SECONDS,
        # The client's own retry could put the event onto the stream twice.
        retry=Retry(NoBackoff(), 0),
    )
    async with Publisher(redis, stream=stream) as publisher:
        return await publisher.publish(event)


def _payload(text: str) -> dict[str, Any]:
    try:
        if text.startswith("@"):
            text = Path(text[1:]).read_text(encoding="utf-8-sig")
        payload = read_json(text)
    except OSError as error:
        raise _bad(f"{text[1:]} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise _bad(f"is no JSON: {error}") from None
    if not isinstance(payload, dict):
        raise _bad('must be a JSON object, such as \'{"invoice": {"id": 7}}\'')
    return payload


def _bad(problem: str) -> typer.BadParameter:
    return typer.BadParameter(problem, param_hint="--payload")
