"""What an answer warns of: awaited event names in whose events no key is found."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from pointsman.contract import RegisteredWait
from routing.uncorrelatable import Uncorrelatable, uncorrelatable
from worker.api.parts import Parts


class WarningShown(BaseModel):
    """One warning; what was asked for is done all the same."""

    model_config = ConfigDict(extra="forbid")

    code: str = Field(description="`EVENT_WAIT_UNCORRELATABLE`.")
    tenant: str
    event_name: str
    awaited_by: str
    paths: list[str] = Field(description="What the rules would read of the payload.")
    sentence: str


class RegisteredWaitShown(RegisteredWait):
    """A registered wait, with what should be known of it."""

    warnings: list[WarningShown] = Field(default=[], description="Absent where there is none.")


async def warnings_of(
    parts: Parts, tenant: str, kind: str, event_name: str
) -> Sequence[Uncorrelatable]:
    """The warnings about one event name; `kind` is `wait` or `trigger`."""
    async with parts.reading([tenant]) as connection:
        return await uncorrelatable(connection, tenant, parts.rules(), names=[(kind, event_name)])
