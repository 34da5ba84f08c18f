"""`docker compose`, as far as the documentation asks for it, over `tests.deploy.containers`."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.containers import Container, Machine

_VARIABLE = re.compile(r"\$\{\w+:-([^}]*)\}")
COMPLETED = "service_completed_successfully"


def read_compose(file: Path) -> Mapping[str, Any]:
    """The file, each variable replaced by its default. What Compose makes of it: test_chart.py."""
    read: Mapping[str, Any] = yaml.safe_load(_VARIABLE.sub(r"\1", file.read_text(encoding="utf-8")))
    return read


class Docker:
    """Runs the services of our own image; `Machine` knows where the others are."""

    def __init__(self, root: Path, machine: Machine) -> None:
        self._root = root
        self._machine = machine

    def __call__(self, words: Sequence[str]) -> str:
        """Carry out a command of `docker`; what it writes."""
        parser = argparse.ArgumentParser(exit_on_error=False)
        compose = parser.add_subparsers(required=True).add_parser("compose", exit_on_error=False)
        compose.add_argument("--file", type=Path, required=True)
        commands = compose.add_subparsers(dest="command", required=True)
        up = commands.add_parser("up")
        up.add_argument("--build", action="store_true", required=True)
        up.add_argument("--wait", action="store_true", required=True)
        run = commands.add_parser("run")
        run.add_argument("--rm", action="store_true", required=True)
        run.add_argument("service")
        run.add_argument("arguments", nargs=argparse.REMAINDER)
        given = parser.parse_args(list(words))
        file = self._root / given.file
        composed = read_compose(file)
        if given.command == "run":
            return self._machine.run(_container(file, composed, given.service, given.arguments))
        self._up(file, composed)
        return ""

    def _up(self, file: Path, composed: Mapping[str, Any]) -> None:
        services: Mapping[str, Any] = composed["services"]
        ours = {name: service for name, service in services.items() if "build" in service}
        firsts = {
            needed
            for service in ours.values()
            for needed, how in service["depends_on"].items()
            if how["condition"] == COMPLETED
        }
        for name in firsts:
            self._machine.run(_container(file, composed, name))
        for name in ours.keys() - firsts:
            self._machine.start(_container(file, composed, name))
        self._machine.wait_until_all_are_healthy()


def _container(
    file: Path, composed: Mapping[str, Any], name: str, arguments: Sequence[str] = ()
) -> Container:
    service = composed["services"][name]
    return Container(
        name=name,
        arguments=arguments or service["command"],
        environment=service["environment"],
        files={
            config["target"]: _content(file, composed["configs"][config["source"]])
            for config in service["configs"]
        },
    )


def _content(file: Path, config: Mapping[str, str]) -> str:
    if "content" in config:
        return config["content"]
    return (file.parent / config["file"]).read_text(encoding="utf-8")
