"""How long the audit is kept, what is told when a buffered event expires, and payload schemas."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer
from pydantic_settings import BaseSettings, NoDecode

from correlation.reason import Outcome
from worker.setting_values import Duration, format_duration, parse_duration, split_list

ZERO = timedelta()


def parse_ages(text: object) -> object:
    """`unresolved=30d,malformed=14d`; raises ValueError saying how ages are written."""
    parts = split_list(text)
    if not isinstance(text, str) or not isinstance(parts, tuple):
        return text
    ages: dict[Outcome, timedelta] = {}
    for part in parts:
        word, equals, age = part.partition("=")
        if not equals or word.strip() not in tuple(Outcome):
            words = ", ".join(Outcome)
            raise ValueError(f"expected pairs such as unresolved=30d; outcomes are {words}")
        ages[Outcome(word.strip())] = parse_duration(age)
    return ages


def format_ages(ages: Mapping[Outcome, timedelta]) -> str:
    """The text that `parse_ages` reads back."""
    return ",".join(f"{outcome}={format_duration(age)}" for outcome, age in ages.items())


Ages = Annotated[
    Mapping[Outcome, timedelta], NoDecode, BeforeValidator(parse_ages), PlainSerializer(format_ages)
]


class AuditSettings(BaseSettings):
    """The audit's settings."""

    retention: Duration = Field(
        default=timedelta(days=90),
        ge=ZERO,
        description="How long events, their deliveries and closed waits are kept; `0s`: for ever. "
        "An event that comes again after that counts as a new one.",
    )
    retention_by_outcome: Ages = Field(
        default={},
        description="Ages that differ from that, by outcome: `unresolved=30d,malformed=14d`.",
    )
    run_retention: Duration = Field(
        default=timedelta(days=90),
        ge=ZERO,
        description="How long runs are listed after their end; `0s`: for ever.",
    )
    action_retention: Duration = Field(
        default=timedelta(days=730),
        ge=ZERO,
        description="How long it is kept what operators did by hand; `0s`: for ever.",
    )
    stream_retention: Duration = Field(
        default=timedelta(days=7),
        ge=ZERO,
        description="How long entries stay in the streams that every group has acknowledged; `0s`: "
        "they are never trimmed. Where events are kept for a shorter time, that counts.",
    )
    retention_period: Duration = Field(
        default=timedelta(hours=1),
        ge=timedelta(milliseconds=1),
        le=timedelta(days=30),
        description="How often what is older is removed (role sweeper).",
    )
    expired_stream: str | None = Field(
        default=None,
        description="A stream that gets a notice of every event that no wait took before its "
        "buffer time ended; unset: the audit and the log alone say so.",
    )
    schemas_file: Path | None = Field(
        default=None,
        description="Payload schemas: a TOML or JSON file of event names, modes and versions.",
    )
