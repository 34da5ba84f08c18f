"""`pointsman contracts`: JSON Schemas and the AsyncAPI document, as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def contracts_command(
    folder: Annotated[
        Path, typer.Argument(help="Folder to write to; it is made where it is missing.")
    ],
) -> None:
    """Write the contracts as documents: JSON Schemas, and AsyncAPI for stream and signals."""
    # Imported on use: every other command starts faster without the schemas.
    from worker.contract_documents import contract_documents

    folder.mkdir(parents=True, exist_ok=True)
    for name, text in contract_documents().items():
        (folder / name).write_text(text, encoding="utf-8")
        typer.echo(str(folder / name))
