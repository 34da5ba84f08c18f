"""A client's appointments, counted as they are booked."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypedDict

from temporalio import workflow

from pointsman.workflow import EventWaitTimeout, event_stream

LOOKBACK = timedelta(minutes=10)


class Client(TypedDict):
    tenant: str
    client_id: str
    appointments: int
    idle_seconds: float


@workflow.defn
class AppointmentsWorkflow:
    """A stream of events on one wait, until enough came or none for a while."""

    @workflow.run
    async def run(self, client: Client) -> dict[str, Any]:
        event_ids: list[str] = []
        status = "complete"
        bookings = event_stream(
            "APPOINTMENT_BOOKED",
            key=client["client_id"],
            tenant=client["tenant"],
            idle_timeout=timedelta(seconds=client["idle_seconds"]),
            lookback=LOOKBACK,
        )
        try:
            async with bookings:
                async for booking in bookings:
                    event_ids.append(booking.event_id)
                    if len(event_ids) == client["appointments"]:
                        break
        except EventWaitTimeout:
            status = "idle"
        return {"client_id": client["client_id"], "status": status, "event_ids": event_ids}
