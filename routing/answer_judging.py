"""Large answers to human tasks, judged by their forms before the transaction that counts them.

A form never changes: what was found about an answer holds until the transaction reads it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from correlation.exact_writing import exact_json
from correlation.json_schema import Misfit
from correlation.judging import Costly, Schema, TooCostly
from correlation.task_answer import AnswerUnusable, answer_in
from correlation.task_form import MOST_FAULTS, answer_faults
from routing.columns import keys_of
from routing.database import Database
from routing.incoming import Identity, IncomingEvent
from routing.task_statements import FORMS_OF_TASKS

SMALL: Final = 1024
"""Bytes of a payload whose answer is judged within the transaction, whatever its form."""

Found = Sequence[Misfit] | TooCostly
Verdicts = Mapping[tuple[Identity, str], Found]
"""What was found about an event's answer by a form, by (tenant, event id) and the form's text."""


class AnswerJudge(Protocol):
    """Judges values that cannot be judged beside everything else."""

    async def faults(self, schema: Schema, value_text: str, most: int) -> Found:
        """Up to `most` faults; TooCostly when they cannot be found within the budgets."""
        ...


async def judged_answers(
    database: Database, judge: AnswerJudge, answers: Sequence[IncomingEvent]
) -> Verdicts:
    """What is found about the large answers among these events; no connection is held meanwhile."""
    large = [each for each in answers if len(each.event.payload.text) > SMALL]
    if not large:
        return {}
    named = sorted({(each.event.tenant, key) for each in large for key in keys_of(each)})
    columns = {"tenants": [one for one, _ in named], "task_ids": [other for _, other in named]}
    async with database.transaction() as connection:
        cursor = await connection.execute(FORMS_OF_TASKS, columns)
        forms = {(tenant, task_id): form for tenant, task_id, form in await cursor.fetchall()}
    verdicts: dict[tuple[Identity, str], Found] = {}
    for incoming in large:
        for key in keys_of(incoming):
            form = forms.get((incoming.event.tenant, key))
            if form is not None and (incoming.identity, form) not in verdicts:
                found = await _found(judge, form, incoming.event.payload.value, key)
                if found is not None:
                    verdicts[incoming.identity, form] = found
    return verdicts


async def _found(
    judge: AnswerJudge, form: str, payload: Mapping[str, Any], task_id: str
) -> Found | None:
    try:
        answer = answer_in(payload, task_id)
    except AnswerUnusable:
        return None
    found = answer_faults(form, answer)
    if isinstance(found, Costly):
        return await judge.faults(found.schema, exact_json(answer), MOST_FAULTS)
    return found
