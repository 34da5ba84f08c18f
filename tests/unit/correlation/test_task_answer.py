"""Events that complete human tasks: the answer whole, or a refusal by name."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from correlation.exact_reading import read_stored
from correlation.exact_writing import exact_json
from correlation.task_answer import AnswerUnusable, answer_in, completion_text
from pointsman.contract import HumanTaskCompleted


@pytest.mark.parametrize(
    ("payload", "answer"),
    [
        ({"taskId": "t", "answer": {"approved": True}}, {"approved": True}),
        ({"answer": {}}, {}),
        ({}, {}),
        ({"taskId": "t", "completedBy": "ada"}, {}),
        ({"taskId": " t ", "workflowCorrelationKey": "t", "completedBy": None}, {}),
        ({"answer": {"n": Decimal("0.10")}, "source": "crm"}, {"n": Decimal("0.10")}),
    ],
)
def test_an_answer_is_taken_whole(payload: dict[str, Any], answer: dict[str, Any]) -> None:
    assert answer_in(payload, "t") == answer


@pytest.mark.parametrize(
    ("payload", "said"),
    [
        ({"approved": True}, "answer: missing, while there are approved: put them into"),
        ({"taskId": "t", "b": 1, "a": 2}, "answer: missing, while there are a, b"),
        ({"answer": None}, "answer: must be an object"),
        ({"answer": True}, "answer: must be an object"),
        ({"answer": [{"approved": True}]}, "answer: must be an object"),
        ({"answer": {}, "completedBy": 7}, "completedBy: must be a text"),
        ({"answer": {}, "taskId": "u"}, "taskId: names another task"),
        ({"answer": {}, "taskId": {"id": "t"}}, "taskId: names another task"),
    ],
)
def test_what_is_no_answer_is_refused_by_name(payload: dict[str, Any], said: str) -> None:
    with pytest.raises(AnswerUnusable, match=said):
        answer_in(payload, "t")


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"answer": {"approved": True}},
        {"taskId": 7, "answer": {"n": Decimal("1.10")}},
        {"taskId": "7", "source": {"system": "crm"}},
        {"taskId": "7", "answer": {}, "completedBy": "ada"},
    ],
)
def test_a_completion_reaches_the_workflow_as_its_schema_says(payload: dict[str, Any]) -> None:
    sent = read_stored(completion_text(exact_json(payload), "7"))

    assert HumanTaskCompleted.model_validate(sent).taskId == "7"
    assert sent == {**payload, "taskId": "7", "answer": payload.get("answer", {})}
