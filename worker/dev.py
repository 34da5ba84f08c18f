"""`pointsman dev`: all servers and the service on one machine, until Ctrl-C."""

from __future__ import annotations

import asyncio
import os
import shlex
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

from routing.migrations import migrate
from worker.addresses import as_exports, environment_for, shared_settings
from worker.embedded import embedded_servers
from worker.local_service import local_service
from worker.programs import until_interrupted
from worker.room_settings import rules_of
from worker.settings import load_settings


async def dev(folder: Path | None, exports: Path | None = None) -> int:
    """Run until Ctrl-C; the exit code. With a folder the servers' data outlives this run.

    What another terminal has to export is written to the file `exports`, too.

    Raises SettingsError or RulesError before anything is started, ServerUnavailable, or
    ProgramEnded when the service ends by itself.
    """
    rules_of(load_settings())
    with _data_folder(folder) as data:
        durable = folder is not None
        async with embedded_servers(data, announce=_say, durable=durable, ui=True) as servers:
            await asyncio.to_thread(migrate, servers.database_url)
            environment = environment_for(servers)
            async with local_service(servers, environment=environment, folder=Path.cwd()) as (
                service,
                pages,
            ):
                _say(f"\nThe service is running; Ctrl-C ends everything.\n\n{pages.lines}\n")
                _tell({**environment, **shared_settings(os.environ, Path.cwd())}, exports)
                await until_interrupted([service])
    return 0


@contextmanager
def _data_folder(folder: Path | None) -> Generator[Path]:
    if folder is not None:
        yield folder.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="pointsman-dev-") as temporary:
        yield Path(temporary)


def _tell(environment: Mapping[str, str], exports: Path | None) -> None:
    lines = as_exports(environment)
    _say(f"For another terminal:\n\n{lines}\n")
    if exports is not None:
        exports.write_text(f"{lines}\n", encoding="utf-8")
        # With a folder: a shell looks for a bare name among the programs first.
        _say(f"or: . {shlex.quote(str(exports.absolute()))}\n")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - this is what the command prints
