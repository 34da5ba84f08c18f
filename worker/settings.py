"""Every setting of the service: read once from the environment, checked, then frozen."""

from __future__ import annotations

import os
import secrets
import socket
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    BeforeValidator,
    Field,
    PlainSerializer,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    NoDecode,
    SettingsConfigDict,
)

from pointsman import contract
from worker.audit_settings import AuditSettings
from worker.bounded.settings import BudgetSettings
from worker.codec_settings import CodecSettings
from worker.fitting import misfits
from worker.http_settings import HttpSettings
from worker.observe.settings import ObserveSettings
from worker.ownership_settings import OwnershipSettings
from worker.rules_source import RULES_VARIABLE
from worker.setting_values import (
    DatabaseUrl,
    Duration,
    Names,
    RedisUrl,
    Size,
    format_list,
    split_list,
)
from worker.settings_error import SettingsError, problems_of
from worker.shard_settings import ShardSettings
from worker.temporal_settings import TemporalSettings

PREFIX: Final = "POINTSMAN_"
MEBIBYTE: Final = 2**20
ZERO: Final = timedelta()


class Role(StrEnum):
    """What a process does; by default one process does everything."""

    CONSUMER = "consumer"
    """Reads the stream, matches and records."""
    DELIVERY = "delivery"
    """Signals and launches workflows from the recorded rows."""
    WORKER = "worker"
    """Serves the activities that register and close waits."""
    SWEEPER = "sweeper"
    """Retires expired waits and events, and waits whose run is gone."""
    API = "api"
    """Serves the HTTP API."""


def _consumer_name() -> str:
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


Roles = Annotated[
    frozenset[Role],
    NoDecode,
    BeforeValidator(split_list),
    PlainSerializer(lambda roles: format_list(sorted(roles))),
]


class Settings(
    TemporalSettings,
    CodecSettings,
    HttpSettings,
    OwnershipSettings,
    ObserveSettings,
    AuditSettings,
    ShardSettings,
    BudgetSettings,
):
    """All settings. Addresses and keys are secrets: no `repr` and no error shows a password.

    Only the environment counts: no `.env` file of whatever folder the process starts in.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        populate_by_name=True,
    )

    redis_url: RedisUrl = Field(
        default=SecretStr("redis://127.0.0.1:6379/0"),
        description="Redis that holds the stream.",
    )
    database_url: DatabaseUrl = Field(
        default=SecretStr("postgresql://127.0.0.1:5432/pointsman"),
        description="Postgres database (15 or newer) of waits, deliveries and the audit.",
    )
    database_pool_size: int = Field(
        default=10,
        ge=2,
        le=200,
        description="Connections that one process keeps at most.",
    )
    statement_timeout: Duration = Field(
        default=timedelta(seconds=30),
        ge=timedelta(milliseconds=100),
        le=timedelta(hours=1),
        description="Longest time of one SQL statement.",
    )
    lock_timeout: Duration = Field(
        default=timedelta(seconds=10),
        ge=timedelta(milliseconds=10),
        description="Longest wait for a lock in Postgres.",
    )

    stream: Names = Field(
        default=(contract.STREAM,),
        min_length=1,
        description="Stream that is read; several are separated by commas.",
    )
    stream_tenant: str | None = Field(
        default=None,
        min_length=1,
        max_length=contract.MAX_TENANT_BYTES,
        description="The one tenant whose events the streams may bring; others are rejected as "
        "`foreign_tenant`. Unset: each entry's own word counts.",
    )
    group: str = Field(
        default=contract.CONSUMER_GROUP,
        min_length=1,
        description="Consumer group on the stream.",
    )
    consumer: str = Field(
        default_factory=_consumer_name,
        min_length=1,
        max_length=255,
        description="Name of this process in the group; unset: host, process id and a random part.",
    )
    batch_count: int = Field(
        default=1000,
        ge=1,
        le=1000,
        description="Entries that are read and recorded together.",
    )
    batch_bytes: Size = Field(
        default=8 * MEBIBYTE,
        ge=1024,
        description="Size of a batch at most; one entry always fits.",
    )
    max_entry_bytes: Size = Field(
        default=MEBIBYTE, ge=1024, description="A larger entry is audited as malformed."
    )
    block: Duration = Field(
        default=timedelta(seconds=2),
        ge=timedelta(milliseconds=1),
        le=timedelta(minutes=1),
        description="How long one read waits for new entries.",
    )
    claim_idle: Duration = Field(
        default=timedelta(minutes=1),
        ge=timedelta(milliseconds=1),
        le=timedelta(days=1),
        description="An entry pending this long is taken over from its consumer.",
    )
    claim_period: Duration = Field(
        default=timedelta(seconds=15),
        ge=timedelta(milliseconds=1),
        le=timedelta(days=1),
        description="How often such entries are looked for.",
    )
    max_deliveries: int = Field(
        default=5,
        ge=1,
        description="An entry that fails alone this often in a healthy database is dead-lettered.",
    )
    alone_after: int = Field(
        default=3,
        ge=1,
        description="An entry that was read this often and never acknowledged, as when the process "
        "dies of it, is tried alone from then on.",
    )
    alone_tries: int = Field(
        default=3,
        ge=1,
        description="An entry of which the process dies this often while it is tried alone is "
        "dead-lettered as `kills_process`.",
    )
    buffer_ttl: Duration = Field(
        default=timedelta(days=7),
        ge=ZERO,
        description="How long an event stays available to the look-back of a later wait.",
    )

    roles: Roles = Field(
        default=frozenset(Role),
        min_length=1,
        description=f"What this process does, separated by commas: {', '.join(Role)}.",
    )
    task_queue: str = Field(
        default=contract.TASK_QUEUE,
        min_length=1,
        description="Temporal task queue of the activities that register and close waits.",
    )
    delivery_concurrency: int = Field(
        default=50, ge=1, le=1000, description="Signals in flight at once."
    )
    delivery_lease: Duration = Field(
        default=timedelta(seconds=30),
        gt=ZERO,
        le=timedelta(hours=1),
        description="A delivery whose owner has been silent this long is taken over.",
    )
    signal_timeout: Duration = Field(
        default=timedelta(seconds=5),
        ge=timedelta(milliseconds=100),
        description="Longest time of one call to Temporal.",
    )
    run_not_found_grace: Duration = Field(
        default=timedelta(minutes=1),
        ge=ZERO,
        description="How long a signal to an unknown workflow is tried again.",
    )
    backoff_initial: Duration = Field(
        default=timedelta(milliseconds=200),
        ge=timedelta(milliseconds=1),
        description="Pause after a first failure; it doubles with each further one.",
    )
    backoff_maximum: Duration = Field(
        default=timedelta(seconds=30),
        ge=timedelta(milliseconds=1),
        le=timedelta(hours=1),
        description="Longest pause between two tries.",
    )
    sweep_period: Duration = Field(
        default=timedelta(seconds=30),
        ge=timedelta(milliseconds=1),
        le=timedelta(days=1),
        description="How often expired waits and events are retired.",
    )
    leader_lease: Duration = Field(
        default=timedelta(seconds=6),
        ge=timedelta(seconds=1),
        le=timedelta(hours=1),
        description="Of all processes with the role sweeper one does its work; when it is silent "
        "for this long, another one takes over.",
    )
    reconcile_period: Duration = Field(
        default=timedelta(minutes=5),
        ge=timedelta(milliseconds=1),
        le=timedelta(days=1),
        description="Pause between two walks that compare every open wait and run with Temporal, a "
        "few at a time. Runs that close are followed without it, every two seconds.",
    )
    shutdown_grace: Duration = Field(
        default=timedelta(seconds=10),
        gt=ZERO,
        le=timedelta(hours=1),
        description="After SIGTERM, work in hand is finished within this time.",
    )

    correlation_paths_json: str | None = Field(
        default=None,
        validation_alias=RULES_VARIABLE,
        description='Correlation rules as a JSON object: `{"INVOICE_PAID": ["invoice.id"]}`. '
        "No path is built in: without rules only explicit keys are found.",
    )
    rules_file: Path | None = Field(
        default=None,
        description="Correlation rules as a TOML, YAML or JSON file, instead.",
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe lines that are written."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto",
        description="`auto`: for a person on a terminal, JSON lines otherwise.",
    )

    @model_validator(mode="after")
    def _fit_together(self) -> Settings:
        if problems := misfits(self):
            raise ValueError("; ".join(problems))
        return self


def load_settings(**given: str | None) -> Settings:
    """The settings that the environment gives; those `given` with a value come first.

    Raises SettingsError naming every wrong variable, without any secret.
    """
    chosen: dict[str, Any] = {name: text for name, text in given.items() if text is not None}
    try:
        return Settings(**chosen)
    except ValidationError as error:
        raise SettingsError(problems_of(error, Settings, PREFIX)) from None
