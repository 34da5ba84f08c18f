"""Finding the tenants that a table knows without reading its rows."""

from __future__ import annotations


def tenants_in(table: str) -> str:
    """The statement that lists, in order, the tenants that have rows in a table of ours.

    Index: the primary key, which begins with the tenant; it is hopped through, one probe a tenant.
    """
    return f"""
WITH RECURSIVE tenants (tenant_id) AS (
    (SELECT tenant_id FROM {table} ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT n.tenant_id FROM {table} AS n
            WHERE n.tenant_id > t.tenant_id ORDER BY n.tenant_id LIMIT 1)
    FROM tenants AS t WHERE t.tenant_id IS NOT NULL
)
SELECT tenant_id FROM tenants WHERE tenant_id IS NOT NULL ORDER BY tenant_id
"""  # noqa: S608  the name of a table, a constant of ours
