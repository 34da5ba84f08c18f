"""JSON is read and written in one place; who reads or writes it otherwise has a reason."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("correlation", "ingress", "routing", "worker", "sdk/pointsman")
ELSEWHERE = {
    "correlation/exact_reading.py": "the reader",
    "correlation/exact_writing.py": "the writer",
    "correlation/rules.py": "the rules' digest: texts only",
    "ingress/envelope.py": "writes names and values as ASCII, texts only",
    "routing/columns.py": "writes the context: texts only",
    "routing/launches.py": "writes ids and names: texts only",
    "routing/operator_actions.py": "writes what operators did: texts and counts of our own",
    "routing/temporal.py": "writes ids and names: texts only",
    "routing/temporal_start.py": "writes a memo: texts only",
    "routing/waits.py": "writes assignees: texts only",
    "sdk/pointsman/domain_event.py": "the publisher's writer, which names the place of a fault",
    "sdk/pointsman/human_tasks.py": "runs in the workflow's sandbox, without the correlation extra",
    "sdk/pointsman/inbox.py": "runs in the workflow's sandbox, without the correlation extra",
    "sdk/pointsman/typed_payload.py": "in the workflow's sandbox, on decoded payloads",
    "sdk/pointsman/testing/handles.py": "payloads as a workflow's data converter decodes them",
    "sdk/pointsman/testing/rules.py": "files of rules: texts only",
    "worker/codec_settings.py": "reads the headers of a codec server: texts only",
    "worker/api/cursors.py": "cursors: texts and small integers of our own",
    "worker/api/signed_tokens.py": "the keys of an identity provider",
    "worker/cli/openapi.py": "writes the OpenAPI document",
    "worker/contract_documents.py": "writes the contract's documents",
    "worker/demo/onboarding.py": "writes the demo's own answer",
    "worker/demo/runs.py": "reads the demo's own signals",
    "worker/embedded/redis_server.py": "what it notes beside its own data",
    "worker/observe/health.py": "writes readiness",
    "worker/rules_source.py": "files of rules, in which a member may not stand twice",
}


def importers_of_json() -> set[str]:
    return {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in sorted((ROOT / package).rglob("*.py"))
        if not path.is_relative_to(ROOT / "sdk/pointsman/correlation")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Import) and any(name.name == "json" for name in node.names))
        or (isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "json")
    }


def test_only_those_with_a_reason_import_json() -> None:
    assert importers_of_json() == {*ELSEWHERE}


@pytest.mark.parametrize("path", sorted(ELSEWHERE))
def test_each_reason_says_something(path: str) -> None:
    assert ELSEWHERE[path]
