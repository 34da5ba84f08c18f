"""A payload that went through Postgres' jsonb leads to the same keys as the one that came in."""

from __future__ import annotations

import json
from decimal import Decimal

import psycopg

from correlation.key import canonical_key

SPELLINGS = (
    *("0", "-0", "-0.0", "42", "42.0", "4.2e1", "1e2", "1e-7", "-12.340", "1e63", "1e-63"),
    *("1e64", "1e400", "9007199254740993", "123456789012345678901234567890", "9" * 64, "9" * 65),
    *("0.1000000000000000055511151231257827", "1." + "0" * 100, "true", "false", "null"),
    *('"42"', '"42.0"', '" INV-1 "', '"M\\u00fcller"', '"Mu\\u0308ller"', '"\\ufeff "', '"a\\nb"'),
    *("{}", "[1]"),
)


def test_jsonb_changes_no_key(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        for spelling in SPELLINGS:
            row = connection.execute("SELECT %s::jsonb::text", [spelling]).fetchone()

            assert row is not None
            assert canonical_key(_decoded(row[0])) == canonical_key(_decoded(spelling)), spelling


def _decoded(text: str) -> object:
    return json.loads(text, parse_float=Decimal)
