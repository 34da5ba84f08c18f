"""`pointsman dev`: all servers and the service on one machine, until Ctrl-C."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from routing.migrations import migrate
from worker.addresses import as_exports, environment_for
from worker.embedded import embedded_servers
from worker.local_service import local_service
from worker.programs import until_interrupted


async def dev(folder: Path | None, exports: Path | None = None) -> int:
    """Run until Ctrl-C; the exit code. With a folder the servers' data outlives this run.

    What another terminal has to export is written to the file `exports`, too.

    Raises ServerUnavailable, or ProgramEnded when the service ends by itself.
    """
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
                _say(f"For another terminal:\n\n{as_exports(environment)}\n")
                if exports is not None:
                    _write(exports, f"{as_exports(environment)}\n")
                    _say(f"or: . {exports}\n")
                await until_interrupted([service])
    return 0


@contextmanager
def _data_folder(folder: Path | None) -> Generator[Path]:
    if folder is not None:
        yield folder.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="pointsman-dev-") as temporary:
        yield Path(temporary)


def _write(file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - this is what the command prints
