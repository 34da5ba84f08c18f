"""`GET /v1/runs/export`: the list of runs as a file, streamed, however long it is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from routing.paging import Cursor, Page, every_page
from routing.run_records import RunLine
from routing.runs import page_of_runs
from worker.api.answers import PROBLEMS, READING
from worker.api.authentication import PartsOf, Reader
from worker.api.exact_writing import write_json
from worker.api.runs import RunFilters

router = APIRouter(tags=["runs"])

LINES_AT_ONCE: Final = 1000


@router.get(
    "/runs/export",
    summary="Export runs as JSON Lines",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "All runs that fit, the newest first.",
            "content": {"application/jsonl": {"schema": {"type": "string"}}},
        },
        **{status: PROBLEMS[status] for status in READING},
    },
)
async def export_runs(
    parts: PartsOf, caller: Reader, wanted: Annotated[RunFilters, Query()]
) -> StreamingResponse:
    """A line has the fields of one run of the list, as `pointsman runs export` writes it."""
    tenants = caller.reach(wanted.tenant)
    query = wanted.query()

    async def look(after: Cursor | None) -> Page[RunLine]:
        async with parts.reading(tenants) as connection:
            return await page_of_runs(connection, tenants, query, after=after, limit=LINES_AT_ONCE)

    # Read before the answer begins: whatever is wrong can still be said properly.
    first = await look(None)
    return StreamingResponse(
        _lines(every_page(look, first)),
        media_type="application/jsonl",
        headers={"Content-Disposition": 'attachment; filename="runs.jsonl"'},
    )


async def _lines(pages: AsyncIterator[Sequence[RunLine]]) -> AsyncIterator[bytes]:
    async for lines in pages:
        yield "".join(f"{write_json(line)}\n" for line in lines).encode()
