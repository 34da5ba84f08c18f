"""Postgres, Redis and Temporal for the demo and the tests, when nobody provides them."""

from __future__ import annotations

from worker.embedded.ladder import (
    ALL_PARTS,
    Announce,
    Part,
    ServersUnavailable,
    ServerUnavailable,
)
from worker.embedded.processes import ServerFailed, ServerProcess
from worker.embedded.servers import Servers, embedded_servers

__all__ = [
    "ALL_PARTS",
    "Announce",
    "Part",
    "ServerFailed",
    "ServerProcess",
    "ServerUnavailable",
    "Servers",
    "ServersUnavailable",
    "embedded_servers",
]
