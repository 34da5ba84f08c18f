"""The dry run: paste an event, see whom it would wake now; nothing is recorded."""

from __future__ import annotations

from http import HTTPStatus
from typing import Final
from uuid import uuid4

from fastapi import Response

from correlation.event import Event
from ingress.entry import Malformed
from ingress.envelope import decode
from ingress.intake import Form, Unreadable, read_posted, with_defaults
from routing.explain import explain_hypothetical
from worker.console.rendering import page
from worker.console.routes import console_router
from worker.console.track import dry_track
from worker.console.visits import Asking, Visit, Visiting, form_fields
from worker.explanations import judged, payload_fault

router = console_router()

EXAMPLE: Final = """\
{
  "tenant": "acme",
  "event_id": "try-1",
  "event_type": "INVOICE_PAID",
  "payload": {
    "invoice": {"id": "INV-7"}
  }
}"""


@router.get("/explain")
async def ask(visit: Visiting) -> Response:
    """The form with an example."""
    tenant = visit.tenant or visit.principal.only_tenant
    text = EXAMPLE.replace('"acme"', f'"{tenant}"') if tenant and '"' not in tenant else EXAMPLE
    return _page(visit, text)


@router.post("/explain")
async def explain(visit: Asking) -> Response:
    """The answer, below the form."""
    text = (await form_fields(visit.request)).get("event", "")
    match _decoded(visit, text):
        case Malformed(reason, detail):
            return _page(visit, text, problem=f"{detail} ({reason.value})")
        case event:
            pass
    visit.principal.check_tenant(event.tenant)
    parts = visit.parts
    held = judged(await payload_fault(event, parts.schemas, parts.judge, parts.workers))
    if isinstance(held, Malformed):
        return _page(visit, text, problem=f"it would be rejected: {held.detail}")
    everywhere = visit.principal.sees_every_tenant
    explanation = await explain_hypothetical(
        visit.parts.database,
        visit.parts.rules(),
        event,
        behind_wall=not everywhere,
        across_tenants=everywhere,
        launches_held=held,
    )
    return page(
        "explain.html",
        visit,
        text=text,
        problem=None,
        explanation=explanation,
        track=dry_track(explanation),
    )


def _page(visit: Visit, text: str, problem: str | None = None) -> Response:
    return page(
        "explain.html",
        visit,
        status=HTTPStatus.UNPROCESSABLE_ENTITY if problem else HTTPStatus.OK,
        text=text,
        problem=problem,
        explanation=None,
        track=None,
    )


def _decoded(visit: Visit, text: str) -> Event | Malformed:
    """Read as the API reads a posted event; a CloudEvent is told by its `specversion`."""
    body = text.encode()
    form = Form.STRUCTURED if '"specversion"' in text else Form.NATIVE
    items = read_posted(form, {}, body).items
    if not items:
        return decode({})
    match items[0]:
        case Unreadable(malformed):
            return malformed
        case fields:
            completed = with_defaults(
                fields,
                tenant=visit.tenant or visit.principal.only_tenant,
                event_id=f"dry-run-{uuid4().hex[:8]}",
                traceparent=None,
            )
            return decode(completed, max_bytes=visit.parts.settings.max_entry_bytes)
