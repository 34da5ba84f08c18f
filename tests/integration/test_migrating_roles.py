"""Migrating as a role that may not create roles: what is said, and that it goes on afterwards."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from routing.migrations import migrate, roles
from routing.migrations.roles import RolesMissing, role_statements
from routing.schema_version import newest_version
from tests.databases import database_from
from tests.rows import execute, one_row
from worker.cli.failures import said_of


@pytest.fixture
def empty_url(database_url: str) -> Iterator[str]:
    template = database_url.rsplit("/", 1)[0] + "/template1"
    with database_from(template, database_url) as url:
        yield url


@pytest.fixture
def group_roles(monkeypatch: pytest.MonkeyPatch, database_url: str) -> Iterator[tuple[str, str]]:
    """Group roles of this test alone that are not there: those of the product are the server's."""
    names = (f"service_{secrets.token_hex(4)}", f"tenant_{secrets.token_hex(4)}")
    monkeypatch.setattr(roles, "GROUP_ROLES", names)
    yield names
    for name in names:
        execute(database_url, f'DROP ROLE IF EXISTS "{name}"')


@pytest.fixture
def login(database_url: str, empty_url: str) -> Iterator[str]:
    """The address of the empty database for a plain role without any privilege of its own."""
    name, password = f"app-{secrets.token_hex(4)}", secrets.token_hex(8)
    create = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
    with ExitStack() as stack:
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(create.format(sql.Identifier(name), sql.Literal(password)))
        stack.callback(execute, database_url, f'DROP ROLE "{name}"')
        parts = urlsplit(empty_url)
        host = parts.netloc.rpartition("@")[2]
        url = urlunsplit(parts._replace(netloc=f"{name}:{password}@{host}"))
        stack.callback(execute, empty_url, f'REVOKE ALL ON SCHEMA public FROM "{name}"')
        stack.callback(execute, url, "DROP OWNED BY CURRENT_USER CASCADE")
        yield url


def test_what_is_missing_is_named_before_anything_is_changed(
    login: str, empty_url: str, group_roles: tuple[str, str]
) -> None:
    name = urlsplit(login).username
    with pytest.raises(RolesMissing) as refused:
        migrate(login)

    assert refused.value.statements == (
        *(f"CREATE ROLE {role} NOLOGIN;" for role in group_roles),
        *(f'GRANT {role} TO "{name}";' for role in group_roles),
        f'GRANT CREATE, USAGE ON SCHEMA "public" TO "{name}";',
    )
    said = said_of(refused.value)
    assert said is not None
    assert "Let an administrator run this" in said.message
    assert one_row(empty_url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == (0,)


def test_the_statements_of_the_error_are_enough(
    login: str, empty_url: str, database_url: str, group_roles: tuple[str, str]
) -> None:
    with pytest.raises(RolesMissing) as refused:
        migrate(login)
    for statement in refused.value.statements:
        execute(empty_url, statement)

    with psycopg.connect(login) as connection:
        member = connection.execute(
            "SELECT bool_and(pg_has_role(current_user, oid, 'USAGE')) FROM pg_roles"
            " WHERE rolname = ANY (%s)",
            (list(group_roles),),
        ).fetchone()
    assert member == (True,)


def test_with_what_is_printed_a_role_without_createrole_migrates(
    login: str, empty_url: str
) -> None:
    name = urlsplit(login).username
    assert name is not None

    for _ in range(2):  # harmless again
        execute(empty_url, role_statements(name, "any"))
    versions = migrate(login)

    assert versions == (None, newest_version())
