"""`pointsman openapi`: the HTTP API's description."""

from __future__ import annotations

import json

import typer


def openapi_command() -> None:
    """Print the OpenAPI 3.1 document of the HTTP API."""
    typer.echo(openapi_text(), nl=False)


def openapi_text() -> str:
    """The document as `docs/openapi.json` holds it; needs no server."""
    # Imported on use: other commands need no web framework.
    from worker.api.app import bare_app

    return json.dumps(bare_app().openapi(), indent=2, ensure_ascii=False) + "\n"
