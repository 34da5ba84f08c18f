"""The service beside servers of this machine, at addresses that nobody else takes meanwhile."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from worker.addresses import Pages, pages_of
from worker.embedded import Servers
from worker.embedded.file_lock import exclusive_lock
from worker.embedded.reach import lasting_folder
from worker.programs import SERVICE, Program, running

PRIVATE: Final = 0o700


@asynccontextmanager
async def local_service(
    servers: Servers,
    *,
    environment: Mapping[str, str],
    folder: Path,
    log: Path | None = None,
) -> AsyncGenerator[tuple[Program, Pages]]:
    """The running service and its pages, once all of them answer; it ends with the block.

    Between choosing a port and listening there are seconds, in which another `pointsman dev` or
    `demo` of this user would choose the same one: they go through here one after another.
    Raises SettingsError, or ProgramEnded when the service ends before it answers.
    """
    async with AsyncExitStack() as started:
        async with exclusive_lock(_lock_folder() / "ports"):
            pages = pages_of(servers)
            service = await started.enter_async_context(
                running(
                    "the service",
                    SERVICE,
                    environment={**environment, **pages.settings},
                    folder=folder,
                    log=log,
                )
            )
            await pages.served_by(service)
        yield service, pages


def _lock_folder() -> Path:
    return lasting_folder(f"pointsman-{os.geteuid()}", owner=None, mode=PRIVATE)
