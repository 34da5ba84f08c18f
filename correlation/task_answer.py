"""The answer to a human task in an event's payload: handed over whole, or refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .exact_reading import read_stored
from .exact_writing import exact_json
from .key import CanonicalKey, CorrelationKey, canonical_key

TASK_ID: Final = "taskId"
ANSWER: Final = "answer"
COMPLETED_BY: Final = "completedBy"
MOST_NAMED: Final = 5
_OF_THE_CONTRACT: Final = frozenset({TASK_ID, ANSWER, COMPLETED_BY})
_KEYS: Final = frozenset({"workflowCorrelationKey", "correlationKey"})


class AnswerUnusable(ValueError):
    """The payload completes no task; names the member and the fix."""


def answer_in(payload: Mapping[str, Any], task_id: str) -> Mapping[str, Any]:
    """The answer to this task; without one, and without anything in its place, an empty object.

    Raises AnswerUnusable.
    """
    named = payload.get(TASK_ID)
    if named is not None and canonical_key(named) != CanonicalKey(CorrelationKey(task_id)):
        raise AnswerUnusable("taskId: names another task than the event's correlation key does")
    if not isinstance(payload.get(COMPLETED_BY), str | None):
        raise AnswerUnusable("completedBy: must be a text, or absent")
    if ANSWER not in payload:
        if beside := sorted(payload.keys() - _OF_THE_CONTRACT - _KEYS):
            listed = ", ".join(f"{name:.80}" for name in beside[:MOST_NAMED])
            raise AnswerUnusable(
                f"answer: missing, while there are {listed}: put them into the member `answer`"
            )
        return {}
    answer = payload[ANSWER]
    if not isinstance(answer, Mapping):
        raise AnswerUnusable("answer: must be an object")
    return answer


def completion_text(payload_text: str, task_id: str) -> str:
    """The payload as its signal carries it: with the task's id and its answer, as text."""
    payload = read_stored(payload_text)
    if not isinstance(payload, Mapping):
        return payload_text
    if payload.get(TASK_ID) == task_id and ANSWER in payload:
        return payload_text
    return exact_json({**payload, TASK_ID: task_id, ANSWER: payload.get(ANSWER, {})})
