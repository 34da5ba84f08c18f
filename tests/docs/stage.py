"""Sets the scene of a page and runs its blocks in their order."""

from __future__ import annotations

import os
import shlex
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.acceptance.program import environment
from tests.docs.blocks import ROOT, Block
from tests.docs.scenes import API, METRICS, USUAL, Scene, Stage
from tests.docs.shell import Shell, commands_of, differs
from worker.embedded.processes import LOOPBACK, free_port

RUN_PYTHON: Final = Path(__file__).with_name("run_python.py")
OF_THE_CLONE: Final = ("benchmarks", "deploy", "dev", "docs", "examples", "Makefile", ".venv")
"""What a page finds in its folder, as in a clone; it writes beside it."""
SERVED_SECONDS: Final = 240.0
EVENTUALLY_SECONDS: Final = 120.0


@dataclass(frozen=True, slots=True)
class Theatre:
    """What a page may use: settings for `pointsman`, where what runs listens, an own folder."""

    settings: Mapping[str, str]
    folder: Path
    addresses: Mapping[str, str] = field(default_factory=dict)


class Performance:
    """One page's blocks, from its first to its last."""

    def __init__(self, theatre: Theatre, scene: Scene) -> None:
        self._folder = theatre.folder / "clone"
        self._logs = theatre.folder
        self._folder.mkdir()
        for name in OF_THE_CLONE:
            target = Path(sys.prefix) if name == ".venv" else ROOT / name
            (self._folder / name).symlink_to(target)
        settings = dict(theatre.settings) if scene.stage is not Stage.CLONE else {}
        self._addresses = {usual: settings.get(name, usual) for usual, name in USUAL.items()}
        self._addresses |= theatre.addresses
        self.shell = Shell(self._folder, self._environment(settings))
        try:
            self._set(scene, settings)
        except BaseException:
            self.shell.close()
            raise

    def play(self, block: Block) -> None:
        """Run one block; raises AssertionError with the block's place when it is not true."""
        text = self._as_here(block.text)
        if file := block.said.get("file"):
            (self._folder / file).parent.mkdir(parents=True, exist_ok=True)
            (self._folder / file).write_text(text, encoding="utf-8")
            return
        if block.language == "python":
            self._play_python(block, text)
        elif block.language == "console":
            self._play_console(block, text)
        else:
            self._expect(block, text, shown="")

    def _play_python(self, block: Block, text: str) -> None:
        path = self._logs / f"line_{block.line}.py"
        path.write_text("\n" * block.line + text, encoding="utf-8")
        command = shlex.join([sys.executable, str(RUN_PYTHON), str(path)])
        self._expect(block, command, shown="")

    def _play_console(self, block: Block, text: str) -> None:
        for command in commands_of(text):
            if "background" in block.said:
                log = self._logs / f"line_{block.line}.log"
                written = self.shell.start(command.text.removesuffix("&"), block.said["until"], log)
                self._addresses |= addresses_in(written)
            else:
                self._expect(block, command.text, command.shown)

    def _expect(self, block: Block, command: str, shown: str) -> None:
        said = self.shell.run(command)
        deadline = time.monotonic() + EVENTUALLY_SECONDS
        while "eventually" in block.said and differs(shown, said.output):
            if time.monotonic() > deadline:
                break
            said = self.shell.run(command)
        expected = int(block.said.get("exit", "0"))
        assert said.exit_code == expected, (
            f"{block.place}: exit code {said.exit_code}, not {expected}\n$ {command}\n{said.output}"
        )
        if shown:
            assert not differs(shown, said.output), (
                f"{block.place}: the page shows\n{shown}\n\nand the command says\n"
                f"$ {command}\n{said.output}"
            )

    def _environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        programs = Path(sys.executable).parent
        return environment(settings) | {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self._logs),
            "COLUMNS": "200",
            "NO_COLOR": "1",
            "TERM": "dumb",
            "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
        }

    def _set(self, scene: Scene, settings: Mapping[str, str]) -> None:
        match scene.stage:
            case Stage.SERVICE:
                self._serve()
            case Stage.CLONE | Stage.SERVERS | Stage.DEMO:
                pass
        if scene.script:
            self._succeed(self._as_here(scene.script))

    def _serve(self) -> None:
        api, metrics = (f"{LOOPBACK}:{free_port()}" for _ in range(2))
        self._addresses |= {API: api, METRICS: metrics}
        ports = {"POINTSMAN_HTTP_PORT": api, "POINTSMAN_METRICS_PORT": metrics}
        assigned = " ".join(f"{name}={text.partition(':')[2]}" for name, text in ports.items())
        self._succeed("export POINTSMAN_RULES_FILE=$PWD/examples/rules.toml")
        self._succeed(
            f"{assigned} pointsman run >{shlex.quote(str(self._logs))}/service.log 2>&1 &"
        )
        ready = f"curl -sf http://{metrics}/readyz >/dev/null"
        deadline = time.monotonic() + SERVED_SECONDS
        while self.shell.run(ready).exit_code:
            assert time.monotonic() < deadline, (self._logs / "service.log").read_text()
            time.sleep(0.1)
        token = "pointsman tokens create documentation --scope admin --tenant '*'"
        self._succeed(f"export TOKEN=$({token} | head -n 1)")

    def _succeed(self, command: str) -> None:
        said = self.shell.run(command)
        assert said.exit_code == 0, f"the scene cannot be set: {command}\n{said.output}"

    def _as_here(self, text: str) -> str:
        for usual, here in self._addresses.items():
            text = text.replace(usual, here)
        return text


def addresses_in(written: str) -> Mapping[str, str]:
    """Where a program that was started says that it listens, by the usual address."""
    lines = [line.strip() for line in written.splitlines() if "http://" in line]
    return {
        usual: line.partition("http://")[2].partition("/")[0]
        for name, usual in (("HTTP API", API), ("metrics", METRICS))
        for line in lines
        if line.startswith(name)
    }
