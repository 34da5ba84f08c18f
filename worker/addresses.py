"""Where servers that were started here are found: as settings for programs, as pages for people."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from worker.api.serving import listen_on
from worker.embedded import Servers
from worker.embedded.processes import free_port
from worker.http_settings import is_loopback
from worker.operator_error import OperatorError
from worker.programs import Program
from worker.rules_source import RULES_FILE_VARIABLE, RULES_VARIABLE
from worker.settings import Role, load_settings

POLL_SECONDS: Final = 0.1
FILES: Final = (RULES_FILE_VARIABLE, "POINTSMAN_SCHEMAS_FILE")
SHARED: Final = (
    RULES_VARIABLE,
    *FILES,
    *(f"POINTSMAN_{name}" for name in ("STREAM", "STREAM_SHARDS", "GROUP")),
)
"""What another terminal has to know as well, to read and to publish as the service does."""


def environment_for(servers: Servers) -> Mapping[str, str]:
    """The variables that lead a `pointsman` command to these servers."""
    return {
        "POINTSMAN_REDIS_URL": servers.redis_url,
        "POINTSMAN_DATABASE_URL": servers.database_url,
        "TEMPORAL_ADDRESS": servers.temporal_address,
        "TEMPORAL_NAMESPACE": servers.temporal_namespace,
    }


def shared_settings(environment: Mapping[str, str], folder: Path) -> Mapping[str, str]:
    """Those of the variables that other commands have to share; files of `folder` in full."""
    shared = {name: environment[name] for name in SHARED if environment.get(name, "").strip()}
    return {
        name: str((folder / text).absolute()) if name in FILES else text
        for name, text in shared.items()
    }


def as_exports(environment: Mapping[str, str]) -> str:
    """Lines for a shell."""
    return "\n".join(f"export {name}={shlex.quote(text)}" for name, text in environment.items())


@dataclass(frozen=True, slots=True)
class Listener:
    """Where a program listens."""

    host: str
    port: int

    @property
    def url(self) -> str:
        """Without a slash at its end."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    async def answers(self) -> bool:
        """Whether somebody listens there now."""
        try:
            _, writer = await asyncio.open_connection(self.host, self.port)
        except OSError:
            return False
        writer.close()
        return True


@dataclass(frozen=True, slots=True)
class Pages:
    """What one service on this machine shows to a browser."""

    api: Listener | None
    """None where this service has another role only."""
    metrics: Listener
    temporal_ui_url: str | None = None
    """Temporal's own console."""

    @property
    def settings(self) -> Mapping[str, str]:
        """The service's settings: it listens there and, on this machine alone, asks for no token.

        Not for other processes' environment: a second service would want the same ports.
        """
        wanted = {"POINTSMAN_METRICS_PORT": str(self.metrics.port)}
        if self.api is not None:
            wanted["POINTSMAN_HTTP_PORT"] = str(self.api.port)
            wanted["POINTSMAN_INSECURE_DEV"] = str(is_loopback(self.api.host)).lower()
        if self.temporal_ui_url:
            wanted["POINTSMAN_TEMPORAL_UI_URL"] = self.temporal_ui_url
        return wanted

    @property
    def lines(self) -> str:
        """The addresses, one a line, each beside its name."""
        named = {"metrics": f"{self.metrics.url}/metrics", "health": f"{self.metrics.url}/readyz"}
        if self.api is not None:
            api = {"console": f"{self.api.url}/console", "HTTP API": f"{self.api.url}/openapi.json"}
            named = {**api, **named}
        if self.temporal_ui_url:
            named["Temporal"] = self.temporal_ui_url
        return "\n".join(f"  {name:<9} {address}" for name, address in named.items())

    async def served_by(self, program: Program) -> None:
        """Wait until all of them answer; raises ProgramEnded when the program ends before."""
        for listener in (self.api, self.metrics):
            while listener is not None and not await listener.answers():
                program.check()
                await asyncio.sleep(POLL_SECONDS)


def pages_of(servers: Servers) -> Pages:
    """Where a service beside these servers is to show its pages.

    What the environment says of them is kept; else it is the usual ports, or free ones where
    another program has those. Raises SettingsError, or OperatorError where another program has a
    port that the environment asks for.
    """
    settings = load_settings(redis_url=servers.redis_url, database_url=servers.database_url)
    chosen = settings.model_fields_set

    def listener(name: str, host: str, port: int) -> Listener:
        return _listener(host, port, f"POINTSMAN_{name.upper()}" if name in chosen else None)

    with_api = Role.API in settings.roles
    return Pages(
        api=listener("http_port", settings.http_host, settings.http_port) if with_api else None,
        metrics=listener("metrics_port", settings.metrics_host, settings.metrics_port),
        temporal_ui_url=settings.temporal_ui_url or servers.temporal_ui_url or None,
    )


def _listener(host: str, port: int, variable: str | None) -> Listener:
    """At this port where it is free, else at a free one, unless a variable asks for just this."""
    bare = host.strip("[]")
    if port and _is_free(bare, port):
        return Listener(bare, port)
    if port and variable:
        raise OperatorError(
            f"{variable}={port}: another program listens there, or this one may not; "
            "choose another port, or 0 for any free one"
        )
    return Listener(bare, free_port())


def _is_free(host: str, port: int) -> bool:
    try:
        listen_on(host, port).close()
    except OSError:
        return False
    return True
