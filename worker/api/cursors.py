"""A page's cursor as text: opaque, safe within an address, and never trusted."""

from __future__ import annotations

import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from http import HTTPStatus

from routing.paging import Cursor
from worker.api.problems import Problem


def cursor_text(cursor: Cursor | None) -> str | None:
    """The text of a cursor."""
    if cursor is None:
        return None
    return urlsafe_b64encode(json.dumps(list(cursor)).encode()).decode().rstrip("=")


def read_cursor(text: str | None) -> Cursor | None:
    """What `cursor_text` wrote; raises Problem for anything else."""
    if not text:
        return None
    try:
        parts = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        raise damaged_cursor() from None
    if not isinstance(parts, list) or not all(type(part) in {str, int} for part in parts):
        raise damaged_cursor()
    return tuple(parts)


def damaged_cursor() -> Problem:
    """The cursor is none of this list's."""
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "the cursor is none that a page of this list ended with",
        field="cursor",
        fix="take `next` of the page before, unchanged, or leave cursor out to begin anew",
    )
