"""`POST /v1/events`: one event or up to a thousand, answered after the commit."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Request, Response

from correlation.reason import Reason
from ingress.intake import KEY_FIELD, NATIVE_TEXTS, UNDERSTOOD, Form, form_of, read_posted
from worker.api import intake
from worker.api.answers import PROBLEMS, BatchAnswer, EventAnswer, documented
from worker.api.authentication import PartsOf, Publisher
from worker.api.exact_writing import as_mapping
from worker.api.intake import Answered, Intake
from worker.api.problems import Fault, Problem, Shown, response_of
from worker.api.reading import answer
from worker.api.request_bodies import POSTED_EVENTS

router = APIRouter(tags=["events"])

MOST_EVENTS: Final = 1000
LONGEST_IDEMPOTENCY_KEY: Final = 255
FIXES: Final = {
    Reason.MISSING_TENANT: "name the event's tenant (`tenant`; in a CloudEvent `tenantid`)",
    Reason.MISSING_EVENT_ID: "give the event an id of its own (`event_id`; in a CloudEvent `id` "
    "and `source`), or send the header Idempotency-Key with a native event",
    Reason.MISSING_EVENT_NAME: "name the event (`event_type`; in a CloudEvent `type`)",
    Reason.CONFLICTING_DUPLICATE: "give another event another id; repeat an event unchanged",
    Reason.ENTRY_TOO_LARGE: "send less: put large content elsewhere and its address in the payload",
    Reason.INVALID_JSON: "send valid JSON",
    Reason.NOT_UTF8: "encode the text as UTF-8",
    Reason.INVALID_TIMESTAMP: "write the time as RFC 3339, such as 2026-11-21T10:00:00Z",
    Reason.PAYLOAD_NOT_OBJECT: "make the payload a JSON object",
    Reason.INVALID_CLOUDEVENT: "make the event a valid CloudEvent 1.0 with JSON data",
}
FIELDS: Final = {
    Reason.MISSING_TENANT: "tenant",
    Reason.MISSING_EVENT_ID: "event_id",
    Reason.MISSING_EVENT_NAME: "event_type",
    Reason.PAYLOAD_NOT_OBJECT: "payload",
    Reason.SCHEMA_INVALID: "payload",
    Reason.SCHEMA_TOO_COSTLY: "payload",
    Reason.ANSWER_INVALID: "payload",
    Reason.TASK_COMPLETED: "payload",
    Reason.CONFLICTING_DUPLICATE: "event_id",
    Reason.INVALID_TIMESTAMP: "timestamp",
}
_FIELD_IN_DETAIL: Final = re.compile(r"(?:the )?([a-z_]+)(?=[: |])")
_NAMED: Final = frozenset(
    {*NATIVE_TEXTS, KEY_FIELD, "events", "payload"}
    | {"specversion", "id", "source", "type", "time", "tenantid", "datacontenttype", "dataschema"}
    | {"data", "data_base64"}
)

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=LONGEST_IDEMPOTENCY_KEY,
        description="Gives ids to native events without one: repeated with the same key, a request "
        "is harmless and answered alike.",
    ),
]


@router.post(
    "/events",
    summary="Publish one event, or a batch of up to 1,000",
    responses={
        **documented(EventAnswer, "The event is recorded."),
        207: {"model": BatchAnswer, "description": "Of a batch, some events were not taken."},
        **{status: PROBLEMS[status] for status in (401, 403, 409, 413, 415, 422, 429, 503)},
    },
    openapi_extra={"requestBody": POSTED_EVENTS},
)
async def publish(
    request: Request, parts: PartsOf, caller: Publisher, idempotency_key: IdempotencyKey = None
) -> Response:
    """Decode, resolve, match and record what the stream would have brought; answer thereafter.

    The event's id (or the header Idempotency-Key) makes a repetition harmless. A batch is one
    transaction, and each of its events is answered by itself.
    """
    headers = dict(request.headers.raw)
    form = form_of(request.headers.get("content-type", ""), headers)
    if form is None:
        raise _not_understood()
    posted = read_posted(form, headers, await request.body())
    if not posted.items:
        raise _empty(form)
    if len(posted.items) > MOST_EVENTS:
        raise _too_many(len(posted.items), form)
    request_id = str(request.state.request_id)
    said = intake.Request(request_id, idempotency_key, request.headers.get("traceparent"))
    answers = await Intake(parts).take(posted, caller, said)
    if posted.batch:
        return _answer_batch(answers)
    [only] = answers
    return answer(_shown(only)) if only.status == HTTPStatus.OK else _refusal(only, request_id)


def _answer_batch(answers: Sequence[Answered]) -> Response:
    whole = all(one.status == HTTPStatus.OK for one in answers)
    outcomes = Counter(one.outcome.value if one.outcome else "forbidden" for one in answers)
    body = {"results": [_shown(one) for one in answers], "outcomes": dict(outcomes)}
    return answer(body, HTTPStatus.OK if whole else HTTPStatus.MULTI_STATUS)


def _shown(answered: Answered) -> dict[str, Any]:
    shown = as_mapping(answered)
    if answered.status != HTTPStatus.OK:
        shown["field"], shown["fix"] = _field_of(answered), _fix_of(answered)
    return shown


def _refusal(answered: Answered, request_id: str) -> Response:
    detail = answered.detail or "the event was not taken"
    fault = Fault(_field_of(answered), detail, _fix_of(answered))
    more = {name: value for name, value in as_mapping(answered).items() if name in _TOLD}
    return response_of(Shown(answered.status, detail, fault.fix, [fault], more=more), request_id)


_TOLD: Final = frozenset({"tenant", "event_id", "entry_id", "outcome", "reason"})


def _field_of(answered: Answered) -> str:
    if answered.reason in FIELDS:
        return FIELDS[Reason(answered.reason)]
    found = _FIELD_IN_DETAIL.match(answered.detail or "")
    return found[1] if found and found[1] in _NAMED else "body"


def _fix_of(answered: Answered) -> str:
    if answered.outcome is None:
        return "name a tenant of the token's, or use a token of that tenant"
    if answered.reason in FIXES:
        return FIXES[Reason(answered.reason)]
    return "correct what `detail` names and send the event again"


def _not_understood() -> Problem:
    return Problem(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "the content type is none that is understood here",
        field="Content-Type",
        fix=f"send {', '.join(UNDERSTOOD)}, or a CloudEvent in binary mode with its ce- headers",
        headers={"Accept-Post": ", ".join(UNDERSTOOD)},
    )


def _empty(form: Form) -> Problem:
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "the batch holds no event",
        field="events" if form is Form.NATIVE else "body",
        fix="post at least one event",
    )


def _too_many(count: int, form: Form) -> Problem:
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"the batch holds {count} events; at most {MOST_EVENTS} are taken at once",
        field="events" if form is Form.NATIVE else "body",
        fix=f"post batches of at most {MOST_EVENTS}",
    )
