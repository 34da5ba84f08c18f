"""Locks that others hold too long: no outage, and nothing about the data."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import psycopg
import pytest

from correlation.event import EventName, TenantId
from correlation.key import lock_hash
from routing.database import DatabaseLimits, open_database
from routing.faults import DatabaseContended
from routing.matching import Matcher, Matching
from routing.waits import Waits
from tests.builders import a_key, a_wait, incoming

IMPATIENT = DatabaseLimits(connections=1, lock_timeout=timedelta(milliseconds=50))


@contextmanager
def key_in_other_hands(url: str) -> Iterator[None]:
    key = lock_hash(TenantId("acme"), EventName("INVOICE_PAID"), a_key("7"))
    with psycopg.connect(url) as stranger:
        stranger.execute("SELECT pg_advisory_xact_lock(%s)", (key,))
        yield


async def test_recording_under_a_key_that_is_in_other_hands_is_contended(database_url: str) -> None:
    async with open_database(database_url, IMPATIENT) as database:
        matcher = Matcher(database, Matching(owner="me"))

        with key_in_other_hands(database_url), pytest.raises(DatabaseContended, match="55P03"):
            await matcher.record([incoming(key="7")])

        assert (await matcher.record([incoming(key="7")])).events


async def test_a_wait_of_a_key_that_is_in_other_hands_is_contended(database_url: str) -> None:
    async with open_database(database_url, IMPATIENT) as database:
        with key_in_other_hands(database_url), pytest.raises(DatabaseContended, match="55P03"):
            await Waits(database).register([a_wait(key="7")])
