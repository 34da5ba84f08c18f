"""Where Temporal's command line program is, and how it is fetched or built when it is nowhere."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from worker.embedded.file_lock import exclusive_lock
from worker.embedded.ladder import (
    Announce,
    Part,
    Program,
    ServerUnavailable,
    first_line,
    program_on_path,
)

PATH_VARIABLE: Final = "POINTSMAN_TEMPORAL_PATH"
# The newest version whose go.mod has no replacements, which `go install` refuses.
VERSION: Final = "v1.5.1"
MODULE: Final = f"github.com/temporalio/cli/cmd/temporal@{VERSION}"
GO_FALLBACK: Final = Path("/usr/local/go/bin/go")
PROGRESS_SECONDS: Final = 10.0
LOG_LINES_SHOWN: Final = 5

REMEDY: Final = (
    "install Temporal's command line program (temporal) or Go, "
    f"or set {PATH_VARIABLE} to the program, or TEMPORAL_ADDRESS to a server of your own"
)


class Download(Protocol):
    """Puts Temporal's program into the folder; raises anything when it cannot."""

    async def __call__(self, folder: Path) -> None:
        """Leave an executable whose name begins with `temporal`."""
        ...


@dataclass(frozen=True, slots=True)
class Cache:
    """The folder that keeps the program from one run to the next."""

    folder: Path

    @property
    def built(self) -> Path:
        """Where `go install` puts it."""
        return self.folder / VERSION / "temporal"

    @property
    def downloads(self) -> Path:
        """Where the SDK puts it, under a name of its own."""
        return self.folder / "download"

    def downloaded(self) -> Path | None:
        """The newest program the SDK has put there."""
        files = [path for path in self.downloads.glob("temporal*") if os.access(path, os.X_OK)]
        return max(files, key=lambda path: path.stat().st_mtime, default=None)


def user_cache(environment: Mapping[str, str]) -> Cache:
    """Below `XDG_CACHE_HOME`, or `~/.cache`."""
    root = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Cache(Path(root) / "pointsman" / "temporal")


async def find_temporal(
    environment: Mapping[str, str], announce: Announce, *, download: Download | None = None
) -> Program:
    """The program by the first way that leads to one; raises ServerUnavailable.

    Building takes minutes, once; two runs that need it at the same time build it once.
    """
    cache = user_cache(environment)
    program = _explicit(environment) or _present(environment, cache)
    if program is None:
        cache.folder.mkdir(parents=True, exist_ok=True)
        async with exclusive_lock(cache.folder / "lock"):
            # Another run may have put it there while this one waited for the lock.
            program = _present(environment, cache)
            if program is None:
                fetch = download or _download_by_sdk
                program = await _obtain(environment, cache, announce, fetch)
    version = await first_line(str(program.path), "--version")
    return Program(program.path, f"{program.origin} ({program.path}, {version or 'no version'})")


def _explicit(environment: Mapping[str, str]) -> Program | None:
    value = environment.get(PATH_VARIABLE, "").strip()
    if not value:
        return None
    path = Path(value)
    if path.is_file() and os.access(path, os.X_OK):
        return Program(path.absolute(), PATH_VARIABLE)
    tried = (f"{PATH_VARIABLE}: {path} is no program that can be run",)
    raise ServerUnavailable(Part.TEMPORAL, tried=tried, remedy=f"correct or unset {PATH_VARIABLE}")


def _present(environment: Mapping[str, str], cache: Cache) -> Program | None:
    on_path = program_on_path("temporal", environment)
    if on_path is not None:
        return Program(on_path, "temporal on PATH")
    if os.access(cache.built, os.X_OK):
        return Program(cache.built, "built earlier with Go")
    downloaded = cache.downloaded()
    return None if downloaded is None else Program(downloaded, "downloaded earlier")


async def _obtain(
    environment: Mapping[str, str], cache: Cache, announce: Announce, download: Download
) -> Program:
    tried = ["TEMPORAL_ADDRESS", PATH_VARIABLE, "temporal on PATH", f"cache {cache.folder}"]
    announce("Temporal: trying the SDK's own download of the dev server ...")
    failure = await _try_download(cache, download)
    downloaded = cache.downloaded()
    if downloaded is not None:
        return Program(downloaded, "downloaded by the SDK")
    announce(f"Temporal: the download is not possible ({failure})")
    tried.append(f"the SDK's own download ({failure})")
    go = program_on_path("go", environment) or (GO_FALLBACK if GO_FALLBACK.is_file() else None)
    if go is None:
        tried.append("go install (there is no go on PATH)")
        raise ServerUnavailable(Part.TEMPORAL, tried=tried, remedy=REMEDY)
    failure = await _build(go, environment, cache, announce)
    if failure:
        tried.append(f"{go} install {MODULE} ({failure})")
        raise ServerUnavailable(Part.TEMPORAL, tried=tried, remedy=REMEDY)
    return Program(cache.built, "built with Go")


async def _try_download(cache: Cache, download: Download) -> str:
    cache.downloads.mkdir(parents=True, exist_ok=True)
    try:
        await download(cache.downloads)
    except Exception as error:  # noqa: BLE001 - the SDK has no type for "cannot be fetched here"
        return (str(error) or type(error).__name__).splitlines()[0]
    return "it left no program"


async def _download_by_sdk(folder: Path) -> None:
    # Imported on use: half of the time of whoever only names an error of these servers.
    from temporalio.testing import WorkflowEnvironment

    environment = await WorkflowEnvironment.start_local(download_dest_dir=str(folder))
    await environment.shutdown()


async def _build(go: Path, environment: Mapping[str, str], cache: Cache, announce: Announce) -> str:
    """Build the program into the cache; "" when that went well, else why it did not."""
    folder = cache.built.parent
    unfinished = folder / "unfinished"
    unfinished.mkdir(parents=True, exist_ok=True)
    log = folder / "build.log"
    announce(f"Temporal: building {MODULE} with {go}, once; this takes two to five minutes ...")
    # No C compiler is needed: the dev server's SQLite is in pure Go.
    settings = {**environment, "GOBIN": str(unfinished), "CGO_ENABLED": "0"}
    code = await _run_with_progress((str(go), "install", "-v", MODULE), settings, log, announce)
    if code != 0:
        lines = log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
        return f"ended with {code}: {' | '.join(lines)}"
    (unfinished / "temporal").rename(cache.built)
    announce(f"Temporal: built, and kept as {cache.built}")
    return ""


async def _run_with_progress(
    command: Sequence[str], environment: Mapping[str, str], log: Path, announce: Announce
) -> int:
    started = time.monotonic()
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=dict(environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        while True:
            try:
                return await asyncio.wait_for(process.wait(), PROGRESS_SECONDS)
            except TimeoutError:
                lines = log.read_bytes().count(b"\n")
                elapsed = time.monotonic() - started
                announce(f"Temporal: still building, {elapsed:.0f} s, {lines} steps done")
    finally:
        if process.returncode is None:
            # Go's own children (compilers) share its session.
            os.killpg(process.pid, signal.SIGTERM)
            await process.wait()
