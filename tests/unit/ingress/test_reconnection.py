"""When to try again, and what an error means."""

from __future__ import annotations

from datetime import timedelta

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from ingress.reconnection import BackOff, is_group_gone, lost

BACK_OFF = BackOff(first=timedelta(seconds=1), longest=timedelta(seconds=5))


@pytest.mark.parametrize(
    ("failures", "seconds"), [(1, 1), (2, 2), (3, 4), (4, 5), (100, 5), (10**9, 5)]
)
def test_pauses_double_up_to_the_longest(failures: int, seconds: int) -> None:
    assert BACK_OFF.pause(failures, 0) == timedelta(seconds=seconds)


def test_pauses_are_shortened_by_chance_by_up_to_a_half() -> None:
    assert BACK_OFF.pause(1, 0.5) == timedelta(seconds=0.75)
    assert BACK_OFF.pause(1, 0.999) > timedelta(seconds=0.5)


@pytest.mark.parametrize(
    ("error", "gone"),
    [
        (ResponseError("NOGROUP No such key 's' or consumer group 'g'"), True),
        (ResponseError("UNBLOCKED the stream key no longer exists"), True),
        (ResponseError("WRONGTYPE Operation against a key"), False),
        (RedisConnectionError("NOGROUP"), False),
        (OSError("unreachable"), False),
    ],
)
def test_a_missing_group_is_no_outage(error: ResponseError | OSError, *, gone: bool) -> None:
    assert is_group_gone(error) is gone


def test_the_status_says_what_is_wrong() -> None:
    status = lost(RedisConnectionError("refused"))

    assert not status.connected
    assert status.detail == "ConnectionError: refused"
