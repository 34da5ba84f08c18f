"""What a container runtime would start, as processes of this machine.

There is neither Docker nor a cluster where the tests run. The program is the same, with the
arguments, environment and files that it would be given; the image's own part of them is read from
its recipe. Each container has an address of its own on the loopback interface, so that all may
listen on the ports that the image says, and the names of other hosts become addresses wherever
they stand. What only a runtime does (building, isolation, limits) is not tried here. Takes Linux,
where all of 127.0.0.0/8 is this machine.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx

from tests.acceptance.program import PROGRAM, environment
from worker.embedded.processes import die_with_parent
from workshop.manifests import DEPLOY

RECIPE: Final = DEPLOY / "Dockerfile"
ANYWHERE: Final = "0.0.0.0"  # noqa: S104  what the image says; a container listens on its own alone
COMMAND_SECONDS: Final = 60
HEALTHY_SECONDS: Final = 60
CHECK_SECONDS: Final = 10
CLOSING_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class Image:
    """What the recipe's last stage says of every container."""

    environment: Mapping[str, str]
    entrypoint: Sequence[str]
    health_check: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container of the image."""

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    files: Mapping[str, str] = field(default_factory=dict)
    """Text by path."""
    probe: str | None = None
    """`PORT/PATH` to ask by HTTP; None: the image's own health check."""


def read_image(recipe: Path = RECIPE) -> Image:
    """Read the last stage; raises KeyError for an instruction that is not there."""
    stage = recipe.read_text(encoding="utf-8").rpartition("\nFROM ")[2]
    lines = [line for line in stage.splitlines() if not line.startswith("#")]
    said: dict[str, str] = {}
    for line in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines()[1:]:
        instruction, _, rest = line.partition(" ")
        said[instruction] = f"{said[instruction]} {rest}" if instruction in said else rest
    pairs = (word.partition("=")[::2] for word in shlex.split(said["ENV"]))
    check = said["HEALTHCHECK"]
    return Image(
        # The programs lie elsewhere here.
        environment={name: text for name, text in pairs if name != "PATH"},
        entrypoint=json.loads(said["ENTRYPOINT"]),
        health_check=json.loads(check[check.index("[") :]),
    )


class Machine:
    """Runs containers; what is still running is ended by `close`."""

    def __init__(self, folder: Path, hosts: Mapping[str, str], namespace: str) -> None:
        """`hosts` are the addresses here by what is written for them, `postgres:5432` or a URL.

        `namespace` is Temporal's; in the usual one there are others with the same task queues.
        """
        self.image = read_image()
        self._folder = folder
        self._hosts = hosts
        self._namespace = {"TEMPORAL_NAMESPACE": namespace}
        self._addresses: dict[str, str] = {}
        self._running: dict[str, tuple[Container, subprocess.Popen[bytes]]] = {}

    def address(self, name: str) -> str:
        """The container's own; the same at every call."""
        others = len(self._addresses)
        number = os.getpid()
        return self._addresses.setdefault(
            name, f"127.{1 + (number >> 8) % 250}.{number % 256}.{2 + others}"
        )

    def run(self, container: Container) -> str:
        """Run it to its end; what it wrote.

        Raises AssertionError unless it ended well, and TimeoutExpired when it does not end.
        """
        self._write_files(container)
        done = subprocess.run(
            self._command(container),
            cwd="/",
            env=self._environment(container),
            capture_output=True,
            text=True,
            check=False,
            timeout=COMMAND_SECONDS,
        )
        assert done.returncode == 0, f"{container.name}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def start(self, container: Container) -> None:
        """Start it; it runs on."""
        self._write_files(container)
        with self._log(container).open("ab") as log:
            process = subprocess.Popen(
                self._command(container),
                cwd="/",
                env=self._environment(container),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Unsafe only for what takes locks between fork and exec; this takes none.
                preexec_fn=die_with_parent(signal.SIGTERM),  # noqa: PLW1509
            )
        self._running[container.name] = container, process

    def wait_until_all_are_healthy(self) -> None:
        """What ends before is started again, as runtimes do; raises AssertionError in the end."""
        deadline = time.monotonic() + HEALTHY_SECONDS
        while unhealthy := [name for name in self._running if not self._is_up(name)]:
            first = self._running[unhealthy[0]][0]
            log = self._log(first).read_text(errors="replace")
            assert time.monotonic() < deadline, f"{first.name} is not healthy:\n{log}"
            for container, process in map(self._running.__getitem__, unhealthy):
                if process.poll() is not None:
                    self.start(container)
            time.sleep(0.3)

    def close(self) -> None:
        """End all that runs, as a runtime does: they have a grace period."""
        for _, process in self._running.values():
            process.terminate()
        for _, process in self._running.values():
            try:
                process.wait(CLOSING_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _is_up(self, name: str) -> bool:
        container, process = self._running[name]
        if process.poll() is not None:
            return False
        if container.probe is None:
            check = [self._here(container, word) for word in self.image.health_check]
            check = [word.replace("127.0.0.1", self.address(container.name)) for word in check]
            environment = self._environment(container)
            try:
                subprocess.run(
                    check, env=environment, capture_output=True, check=True, timeout=CHECK_SECONDS
                )
            except subprocess.SubprocessError:
                return False
            return True
        return self.answers(name, container.probe)

    def answers(self, name: str, probe: str) -> bool:
        """Whether the container answers at `PORT/PATH`, and with success."""
        url = f"http://{self.address(name)}:{probe}"
        try:
            return httpx.get(url, timeout=CHECK_SECONDS, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def _command(self, container: Container) -> Sequence[str]:
        program, *first = self.image.entrypoint
        assert program == PROGRAM.name
        return [str(PROGRAM), *first, *container.arguments]

    def _environment(self, container: Container) -> Mapping[str, str]:
        said = {**self.image.environment, **container.environment}
        own = {name: self._here(container, text) for name, text in said.items()}
        path = f"{PROGRAM.parent}{os.pathsep}{os.environ['PATH']}"
        return {**environment({}), **own, **self._namespace, "PATH": path}

    def _here(self, container: Container, text: str) -> str:
        """A text of the container's with the files and addresses of this machine."""
        for path in container.files:
            text = text.replace(path, str(self._file(container, path)))
        for written, address in self._hosts.items():
            text = text.replace(written, address)
        return text.replace(ANYWHERE, self.address(container.name))

    def _write_files(self, container: Container) -> None:
        for path, text in container.files.items():
            file = self._file(container, path)
            # Another container of this name may be reading it.
            if not file.exists():
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")

    def _file(self, container: Container, path: str) -> Path:
        return self._folder / container.name / path.lstrip("/")

    def _log(self, container: Container) -> Path:
        return self._folder / f"{container.name}.log"
