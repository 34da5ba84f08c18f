"""Lists page by page: where a page ended, and where the next one begins."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeAlias, TypeVar

from routing.database import Connection

Line = TypeVar("Line")
Cursor: TypeAlias = tuple[str | int, ...]
"""The key of a page's last line: opaque to whoever passes it on."""
Kind: TypeAlias = type[str] | type[int] | type[datetime]


class InvalidCursor(ValueError):
    """The cursor is none that a page of this list ended with."""


@dataclass(frozen=True, slots=True)
class Page(Generic[Line]):
    """Some lines, and where the next page begins; None after the last."""

    lines: Sequence[Line]
    next: Cursor | None


def page_of(found: Sequence[Line], limit: int, cursor: Callable[[Line], Cursor]) -> Page[Line]:
    """The page that begins with `found`, which is asked for with one line more than `limit`."""
    shown = found[:limit]
    return Page(shown, cursor(shown[-1]) if len(found) > limit else None)


def parts_of(
    cursor: Cursor | None, kinds: Sequence[Kind], nowhere: Sequence[object]
) -> Sequence[object]:
    """The cursor's parts, each of the kind that its place in `kinds` has; else InvalidCursor.

    A moment is a text in ISO 8601 with its offset. Without a cursor it is `nowhere`.
    """
    if cursor is None:
        return nowhere
    if [type(part) for part in cursor] != [str if kind is datetime else kind for kind in kinds]:
        raise InvalidCursor("the cursor belongs to another list")
    if not all(_is_sound(part, kind) for part, kind in zip(cursor, kinds, strict=True)):
        raise InvalidCursor("the cursor is damaged")
    return cursor


async def every_page(
    look: Callable[[Cursor | None], Awaitable[Page[Line]]], first: Page[Line] | None = None
) -> AsyncGenerator[Sequence[Line]]:
    """The lines of page after page; `look` reads one, in a short transaction of its own.

    So a slow reader holds nothing open. `first` is the first page where that was read already.
    """
    page = await look(None) if first is None else first
    yield page.lines
    while page.next is not None:
        page = await look(page.next)
        yield page.lines


async def tenants_among(
    connection: Connection, tenants: Sequence[str] | None, every: str
) -> Sequence[str]:
    """The tenants given or, where that is None, those that the statement `every` lists."""
    if tenants is not None:
        return list(tenants)
    # Only constants of this package are executed.
    cursor = await connection.execute(every.encode(), {"tenant": None})
    return [str(row[0]) for row in await cursor.fetchall()]


def _is_sound(part: str | int, kind: Kind) -> bool:
    if isinstance(part, int):
        return 0 <= part < 2**63
    if kind is not datetime:
        return True
    try:
        return datetime.fromisoformat(part).tzinfo is not None
    except ValueError:
        return False
