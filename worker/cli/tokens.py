"""`pointsman tokens`: who may speak to the HTTP API."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Annotated

import typer

from worker.cli.failures import CommandFailed
from worker.cli.printing import print_json, print_table
from worker.cli.reading import ask_database
from worker.setting_values import parse_duration

tokens_app = typer.Typer(no_args_is_help=True, help="Make, list and revoke tokens of the API.")

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]


@tokens_app.callback()
def _tokens() -> None:
    """Make, list and revoke tokens of the API."""


@tokens_app.command("create")
def create_token_command(
    name: Annotated[str, typer.Argument(help="Whose it is; stands in the audit as the actor.")],
    scope: Annotated[
        list[str],
        typer.Option("--scope", help="publish, read, operate (reads, too) or admin; repeatable."),
    ],
    tenant: Annotated[
        list[str],
        typer.Option("--tenant", help="A tenant it is bound to; repeatable. '*' with admin only."),
    ],
    expires: Annotated[
        str | None, typer.Option("--expires", help="It ends after this time, such as 90d.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a token. It is printed once, here, and kept nowhere."""
    from routing.tokens import InvalidToken, Scope, create_token
    from worker.settings import load_settings

    unknown = sorted(set(scope) - set(Scope))
    if unknown:
        raise typer.BadParameter(
            f"{unknown[0]!r} is no scope; there are {', '.join(Scope)}", param_hint="--scope"
        )
    question = partial(
        create_token,
        name=name,
        scopes=[Scope(word) for word in scope],
        tenants=tenant,
        expires_at=_end(expires),
        most_per_tenant=load_settings().quota_tokens,
    )
    try:
        token = ask_database(question)
    except InvalidToken as error:
        raise CommandFailed(str(error)) from None
    if as_json:
        print_json({"token_id": token.token_id, "name": name, "token": token.text})
        return
    typer.echo(token.text)
    typer.echo(f"This is token {token.token_id}. It is shown only now: keep it safe.", err=True)


@tokens_app.command("list")
def list_tokens_command(as_json: AsJson = False) -> None:
    """List every token, without its secret."""
    from routing.tokens import list_tokens

    tokens = ask_database(list_tokens)
    if as_json:
        for token in tokens:
            print_json(token)
        return
    columns = ("id", "name", "scopes", "tenants", "created", "expires", "state")
    print_table(
        columns,
        [
            (
                token.token_id,
                token.name,
                ", ".join(token.scopes),
                ", ".join(token.tenants),
                token.created_at,
                token.expires_at,
                "revoked" if token.revoked_at else "expired" if token.expired else "in force",
            )
            for token in tokens
        ],
    )


@tokens_app.command("revoke")
def revoke_token_command(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="The token's id, from the list.")],
) -> None:
    """End a token; processes that know it already refuse it within POINTSMAN_TOKEN_AGE."""
    from routing.tokens import PREFIX, revoke_token

    if token_id.startswith(PREFIX):
        # Not said again: it may still be in force.
        raise typer.BadParameter("that is a token itself; give its id, as `tokens list` shows it")

    if not ask_database(partial(revoke_token, token_id=token_id)):
        raise CommandFailed(
            f"there is no token with the id {token_id!r}: see pointsman tokens list"
        )
    typer.echo(f"token {token_id} is revoked")


def _end(expires: str | None) -> datetime | None:
    if expires is None:
        return None
    try:
        return datetime.now(UTC) + parse_duration(expires)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            "expected a duration such as 12h or 90d", param_hint="--expires"
        ) from None
