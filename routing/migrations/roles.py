"""The two group roles that row-level security needs, and what somebody else must do to have them.

To create them takes CREATEROLE, which a service's role is seldom given. Whoever has it runs the
statements once; migrating goes on with what it finds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlalchemy import Connection, text

from routing.faults import RoutingError

GROUP_ROLES: Final = ("pointsman_service", "pointsman_tenant")

# In Postgres before 16 CREATEROLE was enough to grant any role.
_FOUND: Final = """
SELECT current_user AS login, current_database() AS database, current_schema() AS schema,
       has_schema_privilege(current_user, current_schema(), 'CREATE') AS creates_tables,
       current_setting('server_version_num')::integer AS version,
       me.rolsuper OR me.rolcreaterole AS creates_roles, me.rolsuper AS grants_all,
       ARRAY(SELECT rolname::text FROM pg_roles WHERE rolname = ANY (:names)) AS existing,
       ARRAY(SELECT rolname::text FROM pg_roles WHERE rolname = ANY (:names)
             AND pg_has_role(current_user, oid, 'MEMBER')) AS member,
       ARRAY(SELECT rolname::text FROM pg_roles WHERE rolname = ANY (:names)
             AND pg_has_role(current_user, oid, 'USAGE')) AS inherited,
       ARRAY(SELECT rolname::text FROM pg_roles WHERE rolname = ANY (:names)
             AND pg_has_role(current_user, oid, 'MEMBER WITH ADMIN OPTION')) AS granted
FROM pg_roles AS me WHERE me.rolname = current_user
"""


class RolesMissing(RoutingError):
    """The role that migrates may not do what is left to do: a database administrator has to."""

    def __init__(self, login: str, statements: Sequence[str]) -> None:
        self.statements = tuple(statements)
        lines = "\n".join(f"  {statement}" for statement in statements)
        super().__init__(
            f"the database role {login!r} may not prepare the database itself. Let an "
            f"administrator run this, once, and migrate again:\n{lines}"
        )


def refuse_without_roles(connection: Connection) -> None:
    """Raise RolesMissing, with the statements that help, unless a migration can succeed."""
    row = connection.execute(text(_FOUND), {"names": list(GROUP_ROLES)}).mappings().one()
    found = {str(name): value for name, value in row.items()}
    connection.rollback()
    missing = [*_missing_roles(found), *_missing_memberships(found)]
    if found["schema"] is None or not found["creates_tables"]:
        schema = found["schema"] or "public"
        missing.append(f"GRANT CREATE, USAGE ON SCHEMA {_quoted(schema)} TO {_login(found)};")
    if missing:
        raise RolesMissing(found["login"], missing)


def role_statements(login: str, database: str) -> str:
    """All that an administrator has to run for a role without CREATEROLE; harmless again."""
    created = "\n".join(
        f"    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{name}') THEN\n"
        f"        CREATE ROLE {name} NOLOGIN;\n"
        "    END IF;"
        for name in GROUP_ROLES
    )
    return (
        "-- Once for each Postgres server, by a superuser or a role with CREATEROLE:\n"
        f"DO $$\nBEGIN\n{created}\nEND\n$$;\n"
        f"GRANT {', '.join(GROUP_ROLES)} TO {_quoted(login)};\n"
        f"-- In the database {_quoted(database)}, unless the role owns it:\n"
        f"GRANT CREATE, USAGE ON SCHEMA public TO {_quoted(login)};\n"
    )


def _missing_roles(found: Mapping[str, Any]) -> list[str]:
    if found["creates_roles"]:
        return []
    return [f"CREATE ROLE {name} NOLOGIN;" for name in GROUP_ROLES if name not in found["existing"]]


def _missing_memberships(found: Mapping[str, Any]) -> list[str]:
    grants_any = found["grants_all"] or (found["creates_roles"] and found["version"] < 160_000)
    statements = []
    for name in GROUP_ROLES:
        may = grants_any or name in found["granted"]
        creates = name not in found["existing"] and found["creates_roles"]
        if may or creates or (name in found["member"] and name in found["inherited"]):
            continue
        if name in found["member"] and found["version"] < 160_000:
            statements.append(f"ALTER ROLE {_login(found)} INHERIT;")
        elif name in found["member"]:
            statements.append(f"GRANT {name} TO {_login(found)} WITH INHERIT TRUE;")
        else:
            statements.append(f"GRANT {name} TO {_login(found)};")
    return list(dict.fromkeys(statements))


def _login(found: Mapping[str, Any]) -> str:
    return _quoted(found["login"])


def _quoted(name: str) -> str:
    """As Postgres writes an identifier that may be anything."""
    return '"' + name.replace('"', '""') + '"'
