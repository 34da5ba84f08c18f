"""`GET /v1/events/export`: the audit as a file, streamed, however long it is."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from routing.audit_pages import page_of_events
from routing.audit_records import AuditLine
from routing.paging import Cursor, Page, every_page
from worker.api.answers import PROBLEMS, READING
from worker.api.authentication import PartsOf, Reader
from worker.api.exact_writing import as_mapping, rfc3339, write_json
from worker.api.reading import EventParameters
from worker.redaction import Redaction

router = APIRouter(tags=["events"])

LINES_AT_ONCE: Final = 1000
COLUMNS: Final = (
    "received_at",
    "tenant",
    "event_id",
    "name",
    "outcome",
    "reason",
    "detail",
    "key",
    "matched",
    "delivered",
    "source",
    "stream",
    "entry_id",
    "states",
    "pending",
    "accepted",
    "filtered",
    "late",
    "withdrawn",
    "dead",
    "launched",
    "launches_pending",
    "launches_dead",
)
# What makes a spreadsheet take a cell for a formula, and the apostrophe that prevents it: a cell
# that begins with one is escaped, too, so that taking one off always gives the text back.
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "＝", "＋", "－", "＠")  # noqa: RUF001
MEDIA_TYPES: Final = {
    "csv": "text/csv; charset=utf-8; header=present",
    "jsonl": "application/jsonl",
}


class ExportParameters(EventParameters):
    """Which events, and in which form."""

    format: Literal["csv", "jsonl"] = "jsonl"
    payload: Annotated[bool, Query(description="With the payloads, their secrets hidden.")] = False


@router.get(
    "/events/export",
    summary="Export events as CSV or JSON Lines",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "All events that fit, the newest first.",
            "content": {
                "text/csv": {"schema": {"type": "string"}},
                "application/jsonl": {"schema": {"type": "string"}},
            },
        },
        **{status: PROBLEMS[status] for status in READING},
    },
)
async def export_events(
    parts: PartsOf, caller: Reader, wanted: Annotated[ExportParameters, Query()]
) -> StreamingResponse:
    """RFC 4180 (a cell that a spreadsheet would take for a formula begins with an apostrophe)."""
    tenants = caller.reach(wanted.tenant)
    query = wanted.query(with_payload=wanted.payload)

    async def look(after: Cursor | None) -> Page[AuditLine]:
        async with parts.reading(tenants) as connection:
            return await page_of_events(
                connection, tenants, query, after=after, limit=LINES_AT_ONCE
            )

    # Read before the answer begins: whatever is wrong can still be said properly.
    first = await look(None)
    pages = every_page(look, first)
    chunks = export_bytes(pages, parts.redaction, wanted.format, with_payload=wanted.payload)
    return StreamingResponse(
        chunks,
        media_type=MEDIA_TYPES[wanted.format],
        headers={"Content-Disposition": f'attachment; filename="events.{wanted.format}"'},
    )


def export_bytes(
    pages: AsyncIterator[Sequence[AuditLine]],
    redaction: Redaction,
    form: str,
    *,
    with_payload: bool,
) -> AsyncIterator[bytes]:
    """The pages as `csv` or JSON Lines, piece by piece; the command line writes the same."""
    if form == "csv":
        return _csv(pages, redaction, with_payload=with_payload)
    return _json_lines(pages, redaction, with_payload=with_payload)


async def _csv(
    pages: AsyncIterator[Sequence[AuditLine]], redaction: Redaction, *, with_payload: bool
) -> AsyncIterator[bytes]:
    columns = (*COLUMNS, "payload") if with_payload else COLUMNS
    yield csv_rows([columns])
    async for lines in pages:
        exported = (exported_line(line, redaction, with_payload=with_payload) for line in lines)
        yield csv_rows([[_cell(line[column]) for column in columns] for line in exported])


async def _json_lines(
    pages: AsyncIterator[Sequence[AuditLine]], redaction: Redaction, *, with_payload: bool
) -> AsyncIterator[bytes]:
    async for lines in pages:
        exported = (exported_line(line, redaction, with_payload=with_payload) for line in lines)
        yield "".join(f"{write_json(line)}\n" for line in exported).encode()


def exported_line(
    line: AuditLine, redaction: Redaction, *, with_payload: bool
) -> Mapping[str, Any]:
    """One line by column; the payload, where it is wanted, decoded and without its secrets."""
    columns = as_mapping(line)
    payload = columns.pop("payload")
    if with_payload:
        columns["payload"] = None if payload is None else redaction.payload(payload)
    return {name: columns[name] for name in (*COLUMNS, "payload") if name in columns}


def csv_rows(rows: Iterable[Sequence[str]]) -> bytes:
    """Rows as RFC 4180 has them, formula-safe."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n", quoting=csv.QUOTE_MINIMAL)
    for row in rows:
        writer.writerow([safe_cell(cell) for cell in row])
    return text.getvalue().encode()


def safe_cell(text: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case datetime():
            return rfc3339(value)
        case tuple() | list():
            return " ".join(map(str, value))
        case _:
            return write_json(value)
