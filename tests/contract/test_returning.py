"""Events that a run gives back after it had accepted them, on both sides."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from pointsman.contract import Disposition
from tests.contract.matching_sides import Asked, Said, Side

HOUR: Final = timedelta(hours=1)


async def test_an_event_given_back_counts_as_late_and_a_look_back_may_have_it(side: Side) -> None:
    await side.register(Asked(wait_id="w", run="run"))
    await side.publish("paid", key="7")
    await side.close(Said("w", Disposition.ACCEPTED, "paid"))

    await side.close(Said("w", Disposition.RETURNED, "paid"), Said("w", Disposition.CANCELLED))
    [again] = await side.register(Asked(wait_id="again", run="run", lookback=HOUR))

    assert side.end_of_wait("w") == ("closed", "cancelled", None)
    assert side.disposition("paid", "w") == "late"
    assert again == ("waiting", 1, False)


async def test_an_acceptance_and_its_return_told_together_leave_the_return(side: Side) -> None:
    await side.register(Asked(wait_id="w"))
    await side.publish("paid", key="7")

    together = [
        Said("w", Disposition.ACCEPTED, "paid"),
        Said("w", Disposition.RETURNED, "paid"),
        Said("w", Disposition.TIMED_OUT),
    ]
    said = [await side.close(*together) for _ in range(2)]

    assert said == [["closed"] * 3] * 2
    assert side.end_of_wait("w") == ("closed", "timed_out", None)
    assert side.disposition("paid", "w") == "late"


async def test_a_returned_event_opens_the_wait_that_it_had_closed(side: Side) -> None:
    await side.register(Asked(wait_id="w"))
    await side.publish("paid", key="7")
    await side.close(Said("w", Disposition.ACCEPTED, "paid"))

    said = await side.close(Said("w", Disposition.RETURNED, "paid"))
    await side.publish("paid again", key="7")

    assert said == ["waiting"]
    assert side.handed("w") == ["paid", "paid again"]
    assert side.disposition("paid", "w") is None


async def test_an_exclusive_event_given_back_goes_to_the_next_in_line(side: Side) -> None:
    for wait_id in ("first", "second"):
        await side.register(Asked(wait_id=wait_id, exclusive=True, workflow=wait_id))
    await side.publish("paid", key="7")
    await side.close(Said("first", Disposition.ACCEPTED, "paid"))

    await side.close(
        Said("first", Disposition.RETURNED, "paid"), Said("first", Disposition.CANCELLED)
    )

    assert side.handed("second") == ["paid"]


async def test_nothing_but_an_acceptance_is_taken_back(side: Side) -> None:
    await side.register(Asked(wait_id="w"))
    await side.publish("paid", key="7")
    await side.close(Said("w", Disposition.FILTERED, "paid"), Said("w", Disposition.TIMED_OUT))

    said = await side.close(Said("w", Disposition.RETURNED, "paid"))

    assert said == ["closed"]
    assert side.end_of_wait("w") == ("closed", "timed_out", None)
    assert side.disposition("paid", "w") == "filtered"
