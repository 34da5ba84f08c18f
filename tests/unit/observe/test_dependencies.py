from __future__ import annotations

from datetime import timedelta

from worker.observe.dependencies import NOT_ASKED_YET, Dependencies

PERIOD = timedelta(seconds=10)


async def _there() -> None:
    pass


async def _away() -> None:
    raise OSError("cannot reach postgresql://me:hush@host/db\nand a second line")


async def test_each_server_has_its_own_state_by_name() -> None:
    dependencies = Dependencies({"redis": _there, "postgres": _away}, period=PERIOD)

    await dependencies.check()
    redis, postgres = dependencies.states()

    assert (redis.name, redis.ready, redis.detail) == ("redis", True, "ready")
    assert (postgres.name, postgres.ready) == ("postgres", False)


async def test_a_detail_shows_no_password_and_one_line() -> None:
    dependencies = Dependencies({"postgres": _away}, period=PERIOD)

    await dependencies.check()
    [state] = dependencies.states()

    assert state.detail == "cannot reach postgresql://me:***@host/db"


def test_what_was_never_asked_is_not_ready() -> None:
    [state] = Dependencies({"redis": _there}, period=PERIOD).states()

    assert (state.ready, state.detail, state.checked) == (False, NOT_ASKED_YET, None)


async def test_what_was_not_asked_for_long_is_not_ready_any_more() -> None:
    now = 0.0
    dependencies = Dependencies({"redis": _there}, period=PERIOD, clock=lambda: now)
    await dependencies.check()

    now = 1000.0
    [state] = dependencies.states()

    assert not state.ready
    assert state.detail == "last asked 1000 s ago: ready"


async def test_a_note_stands_beside_how_a_server_stands_until_it_is_taken_back() -> None:
    async def answers() -> None:
        pass

    dependencies = Dependencies({"temporal": answers}, period=timedelta(seconds=10))
    await dependencies.check()

    dependencies.note("temporal", "visibility of default: refused")
    [noted] = dependencies.states()
    dependencies.note("temporal", "")
    [plain] = dependencies.states()

    assert (noted.ready, noted.detail) == (True, "ready; visibility of default: refused")
    assert plain.detail == "ready"
