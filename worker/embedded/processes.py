"""One server process: started, watched until it answers, frozen, killed, stopped by its id."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from worker.embedded.process_tree import descendants, is_running

LOOPBACK: Final = "127.0.0.1"
START_ATTEMPTS: Final = 3
START_TIMEOUT_SECONDS: Final = 60.0
STOP_TIMEOUT_SECONDS: Final = 10.0
POLL_SECONDS: Final = 0.02
LOG_LINES_SHOWN: Final = 12
LOWEST_PORT: Final = 12_000
PORT_ATTEMPTS: Final = 100
OUTGOING_PORTS: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
IANA_LOWEST_OUTGOING_PORT: Final = 49_152  # RFC 6335, section 6

PR_SET_PDEATHSIG: Final = 1  # from <linux/prctl.h>


class ServerFailed(Exception):
    """A server's program ended, or stayed silent, instead of answering; its log is quoted."""


@dataclass(frozen=True, slots=True)
class Account:
    """The unprivileged account a server runs under; root only can choose one."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a server is run. `answers(port)` is true once it serves; it may raise while it does not.

    `stop_signal` asks for an orderly end without waiting for clients that stay connected.
    """

    name: str
    command: Callable[[int], Sequence[str]]
    answers: Callable[[int], Awaitable[bool]]
    folder: Path
    log: Path
    stop_signal: signal.Signals = signal.SIGTERM
    account: Account | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))


class ServerProcess:
    """A running server on a loopback port that stays the same through `kill` and `start`.

    Safe to use from several event loops in turn: it holds nothing that belongs to one.
    On Linux the server also ends when the thread that started it does, however that dies.
    """

    def __init__(self, recipe: Recipe, *, port: int | None = None) -> None:
        self._recipe = recipe
        self._port = port
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """The port, known from the first start on."""
        if self._port is None:
            raise ServerFailed(f"{self._recipe.name} was never started")
        return self._port

    @property
    def address(self) -> str:
        """`host:port`."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        if self._popen is None or self._popen.poll() is not None:
            raise ServerFailed(f"{self._recipe.name} is not running")
        return self._popen.pid

    @property
    def running(self) -> bool:
        """True from `start` until the process has ended, even while it is suspended."""
        return self._popen is not None and self._popen.poll() is None

    async def start(self) -> None:
        """Run the server and wait until it answers; again on the same port after `kill` or `stop`.

        Raises ServerFailed with the end of the server's log.
        """
        if self.running:
            raise ServerFailed(f"{self._recipe.name} is running already")
        fixed = self._port
        for attempt in range(1, START_ATTEMPTS + 1):
            # A free port may be taken by somebody else before the server binds it.
            self._port = fixed if fixed is not None else free_port()
            try:
                await self._start_once()
            except ServerFailed:
                if attempt == START_ATTEMPTS:
                    raise
                await asyncio.sleep(POLL_SECONDS * 10)
            else:
                return

    async def stop(self) -> None:
        """End it in an orderly way, by force after ten seconds; nothing to do when it has ended."""
        if self._popen is None or not self.running:
            return
        self.resume()
        self._popen.send_signal(self._recipe.stop_signal)
        if not await self._ended_within(STOP_TIMEOUT_SECONDS):
            await self.kill()

    async def kill(self) -> None:
        """SIGKILL for the process and all its children, as when its machine is lost."""
        pids = self.kill_now()
        deadline = time.monotonic() + STOP_TIMEOUT_SECONDS
        while (self.running or any(map(is_running, pids))) and time.monotonic() < deadline:
            await asyncio.sleep(POLL_SECONDS)

    def kill_now(self) -> Sequence[int]:
        """`kill` without waiting; the ids that were sent the signal."""
        return self._signal_all(signal.SIGKILL)

    def suspend(self) -> None:
        """SIGSTOP for the process and its children: connections stay open, nothing answers."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a suspended server go on."""
        self._signal_all(signal.SIGCONT)

    def _signal_all(self, number: signal.Signals) -> Sequence[int]:
        if self._popen is None or not self.running:
            return ()
        # The parent comes first, or it would replace or miss the children it sees falling.
        root = self._popen.pid
        children = descendants(root)
        self._popen.send_signal(number)
        pids = (root, *sorted({*children, *descendants(root)}))
        for pid in pids[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return pids

    async def _start_once(self) -> None:
        self._popen = _spawn(self._recipe, self.port)
        try:
            await self._wait_until_it_answers()
        except BaseException:
            await self.kill()
            raise

    async def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            if not self.running:
                raise ServerFailed(self._failure("ended at once"))
            # Whatever a probe raises while the server comes up means "not yet".
            with contextlib.suppress(Exception):
                if await asyncio.wait_for(self._recipe.answers(self.port), 5):
                    return
            await asyncio.sleep(POLL_SECONDS)
        raise ServerFailed(self._failure(f"did not answer within {START_TIMEOUT_SECONDS:.0f} s"))

    async def _ended_within(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self.running:
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(POLL_SECONDS)
        return True

    def _failure(self, what: str) -> str:
        lines = self._recipe.log.read_text(errors="replace").splitlines()[-LOG_LINES_SHOWN:]
        quoted = "\n".join(f"    {line}" for line in lines) or "    (its log is empty)"
        return f"{self._recipe.name} {what}; the end of {self._recipe.log}:\n{quoted}"


def free_port() -> int:
    """A TCP port that was free on the loopback address a moment ago.

    It is none of those that the kernel gives to outgoing connections: one of these could take it
    before a server does.
    """
    for _ in range(PORT_ATTEMPTS):
        # Not from `random`: who seeds it alike in two processes would get the same ports.
        port = LOWEST_PORT + secrets.randbelow(_lowest_outgoing_port() - LOWEST_PORT)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind((LOOPBACK, port))
            return port
    raise ServerFailed(f"no free port found on {LOOPBACK} in {PORT_ATTEMPTS} attempts")


def _lowest_outgoing_port() -> int:
    try:
        lowest = int(OUTGOING_PORTS.read_text().split()[0])
    except (OSError, ValueError):
        return IANA_LOWEST_OUTGOING_PORT
    return lowest if lowest > LOWEST_PORT else IANA_LOWEST_OUTGOING_PORT


async def is_listening(port: int) -> bool:
    """Whether something accepts connections on this port of the loopback address."""
    _, writer = await asyncio.open_connection(LOOPBACK, port)
    writer.close()
    await writer.wait_closed()
    return True


def _spawn(recipe: Recipe, port: int) -> subprocess.Popen[bytes]:
    account = recipe.account
    with recipe.log.open("ab") as log:
        return subprocess.Popen(
            list(recipe.command(port)),
            cwd=recipe.folder,
            env=dict(recipe.environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # A session of its own: Ctrl-C in the terminal is ours to translate into `stop`.
            start_new_session=True,
            user=None if account is None else account.uid,
            group=None if account is None else account.gid,
            extra_groups=None if account is None else (),
            # Unsafe only for what takes locks between fork and exec; this takes none.
            preexec_fn=die_with_parent(recipe.stop_signal),  # noqa: PLW1509
        )


def die_with_parent(number: signal.Signals) -> Callable[[], None] | None:
    """What a child does to get this signal when its parent ends, however that dies; Linux only.

    It does so between fork and exec: it asks the kernel, and takes no lock.

    Looked up before the fork, because loading a library after it could wait for a lock for ever.
    """
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def ask_the_kernel() -> None:
        prctl(PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)

    return ask_the_kernel
