"""Where a process shows its metrics and health, and where its traces go."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from pydantic import Field
from pydantic_settings import BaseSettings

from worker.setting_values import Duration

OTLP_VARIABLE: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"


class ObserveSettings(BaseSettings):
    """Settings of metrics, health and traces."""

    metrics_host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address of `/metrics`, `/healthz` and `/readyz`; they ask for no token.",
    )
    metrics_port: int = Field(
        default=9464,
        ge=0,
        le=65535,
        description="Their port; 0 takes a free one. When set and taken, the start is refused; "
        "the default one is done without, with a warning.",
    )
    observe_period: Duration = Field(
        default=timedelta(seconds=10),
        ge=timedelta(milliseconds=100),
        le=timedelta(minutes=5),
        description="How often lag, depths and the servers' state are looked at.",
    )
    otlp_endpoint: str | None = Field(
        default=None,
        validation_alias=OTLP_VARIABLE,
        pattern=r"^https?://\S+$",
        description="OpenTelemetry collector (OTLP over HTTP) that traces go to; unset: no traces. "
        "OpenTelemetry's other variables count, too.",
    )
