"""Budgets of work on what others wrote, and quotas of what one tenant may keep."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from pydantic import Field
from pydantic_settings import BaseSettings

from worker.setting_values import Duration, Size

MEBIBYTE: Final = 2**20


class BudgetSettings(BaseSettings):
    """Budgets and quotas."""

    work_processes: int = Field(
        default=2,
        ge=1,
        le=32,
        description="Worker processes for costly work (large payloads and answers under a schema, "
        "rules that are tried), one set for the consumer and one for the HTTP API. They start when "
        "there is such work.",
    )
    work_time: Duration = Field(
        default=timedelta(seconds=2),
        ge=timedelta(milliseconds=100),
        le=timedelta(minutes=1),
        description="Processor time of one piece of costly work; what takes longer is refused with "
        "the budget `work_time`.",
    )
    work_memory: Size = Field(
        default=256 * MEBIBYTE,
        ge=32 * MEBIBYTE,
        description="Memory of one piece of costly work; what takes more is refused with the "
        "budget `work_memory`.",
    )
    quota_open_waits: int = Field(
        default=1_000_000,
        ge=0,
        description="Open waits of one tenant, counted every ten seconds while it registers some; "
        "one more is refused (`open_waits`). 0: any number.",
    )
    quota_triggers_per_event: int = Field(
        default=20,
        ge=0,
        description="Enabled triggers of one event name in one tenant: each event writes a row for "
        "each of them. One more is refused (`triggers_per_event`). 0: any number.",
    )
    quota_tokens: int = Field(
        default=1000,
        ge=0,
        description="Tokens in force of one tenant; one more is refused (`tokens`). 0: any number.",
    )
    work_queue: int = Field(
        default=32,
        ge=2,
        le=10_000,
        description="Pieces of costly work of HTTP requests that are in hand or wait; half of them "
        "for one tenant. One more is answered with 503 and the budget `work_queue`.",
    )
