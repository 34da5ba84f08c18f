"""The addresses of servers that were started here, as the settings of another process."""

from __future__ import annotations

import shlex
from collections.abc import Mapping

from worker.embedded import Servers


def environment_for(servers: Servers) -> Mapping[str, str]:
    """The variables that lead a `pointsman` command to these servers."""
    return {
        "POINTSMAN_REDIS_URL": servers.redis_url,
        "POINTSMAN_DATABASE_URL": servers.database_url,
        "TEMPORAL_ADDRESS": servers.temporal_address,
        "TEMPORAL_NAMESPACE": servers.temporal_namespace,
    }


def as_exports(environment: Mapping[str, str]) -> str:
    """Lines for a shell."""
    return "\n".join(f"export {name}={shlex.quote(text)}" for name, text in environment.items())
