"""Single commands against real servers, and against missing ones."""

from __future__ import annotations

import psycopg

from tests.acceptance.program import Pointsman

NOBODY = "127.0.0.1:1"


def test_a_database_is_migrated_once(pointsman: Pointsman, empty_database_url: str) -> None:
    command = pointsman.with_settings(POINTSMAN_DATABASE_URL=empty_database_url)

    first = command("migrate")
    second = command("migrate")

    assert first.exit_code == second.exit_code == 0, first.errors
    assert "migrated the schema from nothing to version" in first.output
    assert "already" in second.output


def test_an_unmigrated_database_is_refused_with_the_command_that_helps(
    pointsman: Pointsman, empty_database_url: str
) -> None:
    command = pointsman.with_settings(POINTSMAN_DATABASE_URL=empty_database_url)

    for arguments in (("run",), ("events", "list")):
        ended = command(*arguments)

        assert ended.exit_code == 1
        assert ended.errors.splitlines()[-1] == (
            "pointsman: the database has no Pointsman schema yet: run `pointsman migrate`"
        )


def test_a_newer_database_is_refused(pointsman: Pointsman, database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "UPDATE pointsman_schema_version SET version_num = '9999', serves_from = '9999'"
        )

    for arguments in (("run",), ("migrate",), ("waits", "list")):
        ended = pointsman(*arguments)

        assert ended.exit_code == 1
        assert "install a newer Pointsman" in ended.errors.splitlines()[-1]
        assert "Traceback" not in ended.errors


def test_wrong_settings_stop_every_command_with_their_names(pointsman: Pointsman) -> None:
    command = pointsman.with_settings(
        POINTSMAN_BLOCK="soon", POINTSMAN_DATABASE_URL="mysql://user:hunter2@host/db"
    )

    for arguments in (("run",), ("events", "list"), ("migrate",), ("settings",)):
        ended = command(*arguments)

        assert ended.exit_code == 2
        assert "POINTSMAN_BLOCK='soon': expected a duration" in ended.errors
        assert "POINTSMAN_DATABASE_URL='mysql://user:***@host/db'" in ended.errors
        assert "Traceback" not in ended.errors


def test_wrong_rules_stop_the_service(pointsman: Pointsman) -> None:
    command = pointsman.with_settings(
        WORKFLOW_RUNTIME_V2_EVENT_CORRELATION_PATHS_JSON='{"INVOICE_PAID": ["$..id"]}'
    )

    ended = command("run")

    assert ended.exit_code == 2
    assert "INVOICE_PAID[0]" in ended.errors
    assert "Traceback" not in ended.errors


def test_an_unreachable_database_is_one_clear_line(pointsman: Pointsman) -> None:
    url = f"postgresql://user:hunter2@{NOBODY}/db"
    command = pointsman.with_settings(POINTSMAN_DATABASE_URL=url)

    for arguments in (("events", "list"), ("waits", "list"), ("migrate",)):
        ended = command(*arguments)

        assert ended.exit_code == 1
        [line] = ended.errors.splitlines()
        assert f"Postgres at postgresql://user:***@{NOBODY}/db (POINTSMAN_DATABASE_URL)" in line


def test_an_unreachable_stream_is_one_clear_line(pointsman: Pointsman) -> None:
    command = pointsman.with_settings(POINTSMAN_REDIS_URL=f"redis://:hunter2@{NOBODY}")

    ended = command("publish", "INVOICE_PAID", "--tenant", "acme")

    assert ended.exit_code == 1
    [line] = ended.errors.splitlines()
    assert f"Redis at redis://:***@{NOBODY} (POINTSMAN_REDIS_URL) cannot be used" in line


def test_an_unknown_event_is_said_to_be_unknown(pointsman: Pointsman) -> None:
    ended = pointsman("events", "show", "nothing", "--tenant", "acme")

    assert ended.exit_code == 1
    assert "no event or rejected entry of tenant acme has the id 'nothing'" in ended.errors


def test_rules_decide_what_resolve_prints(pointsman: Pointsman) -> None:
    command = pointsman.with_settings(
        WORKFLOW_RUNTIME_V2_EVENT_CORRELATION_PATHS_JSON='{"*": "ticketId"}'
    )

    [answer] = command("resolve", "--event-name", "X", "--key", " 7 ").records

    assert (answer["key"], answer["source"]) == ("7", "explicit")
