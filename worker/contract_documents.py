"""The files of `docs/contracts`: what they hold is computed here and nowhere written by hand."""

from __future__ import annotations

import json
from typing import Any

from worker.asyncapi import asyncapi_document
from worker.contract_schemas import contract_schemas


def contract_documents() -> dict[str, str]:
    """The text of each file, by its name."""
    schemas = contract_schemas()
    documents = {f"{name}.schema.json": _text(schema) for name, schema in schemas.items()}
    return documents | {"asyncapi.json": _text(asyncapi_document(schemas))}


def _text(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"
