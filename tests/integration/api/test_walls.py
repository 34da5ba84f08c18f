"""Row-level security of the API's own tables."""

from __future__ import annotations

import asyncio

import pytest

from routing.database import Database
from routing.faults import DatabaseUnavailable
from routing.operator_actions import OperatorAction, record_action
from routing.tokens import (
    InvalidToken,
    Scope,
    create_token,
    list_tokens,
    revoke_token,
    verified_token,
)

ACTION = OperatorAction(
    tenant="acme", actor="a", action="replay", target_kind="event", target_id="e"
)


async def test_a_tenant_sees_its_own_actions_alone(database: Database) -> None:
    async with database.transaction(tenant="acme") as connection:
        await record_action(connection, ACTION)

    seen = {}
    for tenant in ("acme", "globex", ""):
        async with database.transaction(tenant=tenant) as connection:
            cursor = await connection.execute("SELECT count(*) FROM workflow_operator_actions")
            [seen[tenant]] = await cursor.fetchone() or (None,)

    assert seen == {"acme": 1, "globex": 0, "": 0}


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE workflow_operator_actions SET actor = 'b'",
        "DELETE FROM workflow_operator_actions",
        "SELECT * FROM workflow_api_tokens",
        "SELECT * FROM workflow_console_sessions",
    ],
)
async def test_a_tenants_transaction_can_neither_undo_its_audit_nor_read_tokens(
    database: Database, statement: str
) -> None:
    with pytest.raises(DatabaseUnavailable, match="permission denied"):
        async with database.transaction(tenant="acme") as connection:
            await connection.execute(statement.encode())


async def test_an_action_cannot_be_written_into_another_tenants_audit(database: Database) -> None:
    with pytest.raises(DatabaseUnavailable, match="row-level security"):
        async with database.transaction(tenant="globex") as connection:
            await record_action(connection, ACTION)


async def test_a_token_verifies_by_its_whole_text_alone(database: Database) -> None:
    async with database.transaction() as connection:
        token = await create_token(connection, name="n", scopes=[Scope.READ], tenants=["acme"])
        others = [token.text[:-1], token.text + "A", token.text.upper(), token.token_id, ""]

        found = await verified_token(connection, token.text)
        refused = [await verified_token(connection, text) for text in others]
        [listed] = await list_tokens(connection)

    assert found == listed
    assert refused == [None] * len(others)


async def test_a_name_belongs_to_one_token_in_force(database: Database) -> None:
    async def create(name: str) -> str:
        async with database.transaction() as connection:
            token = await create_token(connection, name=name, scopes=[Scope.READ], tenants=["a"])
        return token.token_id

    first = await create("ada")
    with pytest.raises(InvalidToken, match=f"token {first} in force has the name 'ada'"):
        await create(" ada ")
    async with database.transaction() as connection:
        await revoke_token(connection, first)
    second = await create("ada")
    outcomes = await asyncio.gather(*(create("eve") for _ in range(5)), return_exceptions=True)

    assert second != first
    assert [type(outcome) for outcome in outcomes].count(str) == 1
