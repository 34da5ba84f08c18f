from __future__ import annotations

import json
from pathlib import Path

from worker.cli.openapi import openapi_text

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "openapi.json"


def test_the_document_is_what_the_program_describes() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == openapi_text(), (
        "run `pointsman openapi > docs/openapi.json`"
    )


def test_every_reference_in_the_document_leads_somewhere() -> None:
    text = openapi_text()
    document = json.loads(text)

    references = {part.split('"')[0] for part in text.split('"$ref": "#/components/schemas/')[1:]}

    assert document["openapi"].startswith("3.1")
    assert references <= set(document["components"]["schemas"])
    assert references


def test_every_operation_asks_for_a_token_and_names_its_problems() -> None:
    paths = json.loads(openapi_text())["paths"]

    operations = [operation for path in paths.values() for operation in path.values()]

    assert operations
    for operation in operations:
        assert operation["security"] == [{"token": []}]
        assert {"401", "403", "422", "429", "503"} <= set(operation["responses"])
