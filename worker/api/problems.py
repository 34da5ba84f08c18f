"""Errors as `application/problem+json` (RFC 9457): what is wrong, where, and what mends it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from fastapi import Response
from pydantic import ValidationError

from routing.faults import QuotaReached
from worker.api.exact_writing import write_json
from worker.bounded.budgets import Budget, BudgetExceeded

MEDIA_TYPE: Final = "application/problem+json"
MOST_FAULTS: Final = 20
"""So many are named; an answer does not grow with what is wrong."""
LONGEST_FIELD: Final = 200


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a request."""

    field: str
    """Where: the name of a parameter, a header or a member of the body."""
    problem: str
    fix: str


class Problem(Exception):
    """A request cannot be answered as it stands; the middle of the API raises it."""

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        fix: str,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.faults: Sequence[Fault] = (Fault(field, detail, fix),) if field else ()
        self.fix = fix
        self.headers = dict(headers or {})
        self.more = more


def too_costly(exceeded: BudgetExceeded) -> Problem:
    """The answer where a budget of work ran out; names it."""
    budget = exceeded.budget
    if budget is Budget.QUEUE:
        return Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"too much costly work is in hand: the budget {budget} ran out",
            fix="try again in a few seconds; repeating a request is harmless",
            headers={"Retry-After": "2"},
            code="BUDGET_EXCEEDED",
            reason=budget.value,
        )
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        f"the request takes more work than the budget {budget} allows; nothing was changed",
        fix="ask for less: a smaller body, a simpler schema or form, fewer rules or events",
        code="BUDGET_EXCEEDED",
        reason=budget.value,
    )


def quota_reached(reached: QuotaReached) -> Problem:
    """The answer where a tenant has as many of something as it may; names the quota."""
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        f"nothing was changed: {reached}",
        fix="remove some that are not needed, or let the operator raise the quota",
        code="QUOTA_REACHED",
        reason=reached.quota,
    )


@dataclass(frozen=True, slots=True)
class Shown:
    """A problem's parts, ready to be written."""

    status: int
    detail: str
    fix: str
    faults: Sequence[Fault] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)


def response_of(shown: Shown, request_id: str) -> Response:
    """The response that says it."""
    body = {
        "type": "about:blank",
        "title": HTTPStatus(shown.status).phrase,
        "status": shown.status,
        "detail": shown.detail,
        "fix": shown.fix,
        "errors": shown.faults,
        "request_id": request_id,
        **shown.more,
    }
    return Response(
        write_json(body).encode(),
        shown.status,
        media_type=MEDIA_TYPE,
        headers=dict(shown.headers),
    )


def shown_of(problem: Problem) -> Shown:
    """A raised problem as its parts."""
    return Shown(
        problem.status, problem.detail, problem.fix, problem.faults, problem.headers, problem.more
    )


def faults_of(errors: Sequence[Mapping[str, Any]]) -> Sequence[Fault]:
    """What pydantic found wrong: the first faults, then how many more; no value of the request."""
    named = [_fault(error) for error in errors[:MOST_FAULTS]]
    if more := len(errors) - len(named):
        named.append(Fault("request", f"{more} more are wrong", "correct these first"))
    return named


def invalid_body(error: ValidationError) -> Shown:
    """A body that its model refuses."""
    faults = faults_of([dict(e) for e in error.errors(include_url=False, include_input=False)])
    return unprocessable(faults)


def unprocessable(faults: Sequence[Fault]) -> Shown:
    """A request that is well-formed and wrong."""
    detail = "; ".join(f"{fault.field}: {fault.problem}" for fault in faults)
    return Shown(HTTPStatus.UNPROCESSABLE_ENTITY, detail, "correct the fields in `errors`", faults)


def _fault(error: Mapping[str, Any]) -> Fault:
    place = [str(part) for part in error["loc"] if part not in ("query", "path", "header", "body")]
    message = str(error["msg"]).removeprefix("Value error, ")
    field = ".".join(place)[:LONGEST_FIELD] or "body"
    if error["type"] == "missing":
        return Fault(field, "is missing", f"give {field}")
    if error["type"] == "extra_forbidden":
        return Fault(field, "is not known", f"leave {field} out, or correct its name")
    return Fault(field, message, f"give {field} a value that fits: {message}")
