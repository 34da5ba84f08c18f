"""Every setting through its extremes: the start is refused clearly, or an event arrives."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, Final

import pytest

from correlation.event import Event
from ingress.envelope import decode
from routing.delivery_store import DeliveryStatus
from routing.dispatch import Dispatcher
from routing.gate import Backoff
from tests.running import in_background
from tests.unit.routing.fakes import FakeSignaller, FakeStore, a_delivery
from tests.waiting import wait_until
from worker.observe.observation import Observation
from worker.room_settings import database_limits, dispatch_limits, stream_reading
from worker.settings import PREFIX, Settings, load_settings
from worker.settings_error import SettingsError, known_variables, variable_name

DURATIONS: Final[Sequence[str]] = (
    "0s",
    "0.1ms",
    "1ms",
    "1s",
    "10s",
    "15s",
    "1m",
    "1h",
    "1d",
    "36500d",
    "999999999d",
)
COUNTS: Final[Sequence[str]] = ("0", "1", "2", "5", "1000", "999999999999")
SIZES: Final[Sequence[str]] = ("0", "1", "1KiB", "1MiB", "999999999999GiB")
ENTRY: Final = {
    b"event_id": b"1",
    b"event_type": b"INVOICE_PAID",
    b"tenant": b"acme",
    b"payload_json": b"{}",
}


@pytest.fixture(autouse=True)
def an_empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in known_variables(Settings, PREFIX).keys() & os.environ.keys():
        monkeypatch.delenv(name)


def extremes() -> Iterator[tuple[str, str]]:
    for field, info in Settings.model_fields.items():
        default: Any = info.get_default(call_default_factory=True)
        if isinstance(default, timedelta):
            texts = DURATIONS
        elif field.endswith(("_bytes", "_body")):
            texts = SIZES
        elif isinstance(default, int) and not isinstance(default, bool):
            texts = COUNTS
        else:
            continue
        for text in texts:
            yield variable_name(Settings, field, PREFIX), text


async def one_event_arrives(settings: Settings) -> None:
    """What a start makes of the settings, as far as an event's way depends on them."""
    Observation(settings)
    limits, reading = database_limits(settings), stream_reading(settings)
    for limit in (limits.statement_timeout, limits.lock_timeout):
        assert 1 <= limit.total_seconds() * 1000 < 2**31, "a number of milliseconds to Postgres"
    assert int(reading.block.total_seconds() * 1000) >= 1, "0 blocks for ever"
    assert reading.count >= 1
    now = datetime.now(UTC)
    assert now + settings.buffer_ttl > now - settings.retention
    assert isinstance(decode(ENTRY, max_bytes=settings.max_entry_bytes, size=100), Event)
    backoff = Backoff(settings.backoff_initial, settings.backoff_maximum)
    assert backoff.delay(1_000_000) <= timedelta(hours=1)

    store = FakeStore(settings.delivery_lease)
    dispatcher = Dispatcher(store, FakeSignaller(), dispatch_limits(settings, backoff))
    recorded, left = a_delivery("recorded"), a_delivery("left to be claimed")
    store.due = [left]
    async with in_background(dispatcher.run()):
        await dispatcher.submit([replace(recorded, leased_at=monotonic())])
        await wait_until(
            lambda: len(store.ends(DeliveryStatus.DELIVERED)) == 2,
            description="both are delivered",
            timeout=10,
        )


async def test_any_one_setting_at_its_extremes_is_refused_or_harmless(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    refused = arrived = 0
    for variable, text in extremes():
        with monkeypatch.context() as patch:
            patch.setenv(variable, text)
            try:
                settings = load_settings()
            except SettingsError as error:
                if variable not in str(error):
                    raise AssertionError(
                        f"{variable}={text} is refused without its name"
                    ) from error
                refused += 1
                continue
            try:
                await one_event_arrives(settings)
            except Exception as error:
                raise AssertionError(f"{variable}={text} is fatal") from error
            arrived += 1

    assert refused > 20
    assert arrived > 80


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        (
            {"POINTSMAN_SIGNAL_TIMEOUT": "15s"},
            ["POINTSMAN_SIGNAL_TIMEOUT (15s)", "POINTSMAN_DELIVERY_LEASE (30s)", "at least 31s"],
        ),
        (
            {"POINTSMAN_DELIVERY_LEASE": "10s"},
            ["POINTSMAN_SIGNAL_TIMEOUT (5s)", "POINTSMAN_DELIVERY_LEASE (10s)", "at least 11s"],
        ),
        (
            {"POINTSMAN_CODEC_TIMEOUT": "20s", "POINTSMAN_CODEC": "aes"},
            ["POINTSMAN_CODEC_TIMEOUT (20s)", "POINTSMAN_DELIVERY_LEASE (30s)", "at least 51s"],
        ),
        (
            {"POINTSMAN_DATABASE_POOL_SIZE": "3"},
            ["POINTSMAN_DATABASE_POOL_SIZE (3)", "POINTSMAN_ROLES", "at least 5"],
        ),
        (
            {"POINTSMAN_LOCK_TIMEOUT": "31s"},
            ["POINTSMAN_LOCK_TIMEOUT", "POINTSMAN_STATEMENT_TIMEOUT"],
        ),
        ({"POINTSMAN_BUFFER_TTL": "91d"}, ["POINTSMAN_BUFFER_TTL", "POINTSMAN_RETENTION"]),
    ],
)
def test_settings_that_bound_each_other_are_named_with_the_bound(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], named: list[str]
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError) as refused:
        load_settings()

    [problem] = refused.value.problems
    assert all(each in problem for each in named), problem
