"""The examples of docs/testing.md, run by pytest in a project of their own, as a user has it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from importlib.metadata import distribution
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import TemporalTarget
from tests.docs.blocks import ROOT, blocks_of
from tests.docs.shell import commands_of, differs

BLOCKS: Final = blocks_of("docs/testing.md")
FILES: Final = {"python", "toml"}
# The server of this run stands in for the one that Temporal's SDK would fetch.
SKIPPING: Final = "await WorkflowEnvironment.start_time_skipping()"
GIVEN: Final = "WorkflowEnvironment.from_client(await Client.connect(ADDRESS, namespace=NAMESPACE))"


def files_of_the_page() -> dict[str, str]:
    files = {}
    for block in BLOCKS:
        if block.language == "json":
            files["recorded.jsonl"] = block.text
        elif block.language in FILES:
            name = block.first_line.removeprefix("# ")
            assert name not in files, f"two blocks are named {name}"
            files[name] = block.text
        else:
            assert block.language in {"console", "sh"}, block.place
    return files


def run_pytest(
    folder: Path,
    *arguments: str,
    python: Path = Path(sys.executable),
    plugins: Sequence[str] = ("-pasyncio",),
) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    # By the names of their entry points, and none of this repository's other plugins.
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    environment["PYTHONDONTWRITEBYTECODE"] = "1"
    options = ("-ppointsman", "-pno:cacheprovider", *plugins)
    command = [str(python), "-m", "pytest", *options, *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in files_of_the_page().items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_examples_without_a_server_pass(project: Path) -> None:
    done = run_pytest(project, "test_matching.py", "test_rules.py")

    assert done.returncode == 0, done.stdout
    assert "10 passed" in done.stdout


def environment_with(folder: Path, command: str) -> Path:
    """A new environment with what a line of the page installs, and nothing else; its Python.

    pip looks for nothing elsewhere: what the distribution needs, here and by name, is taken from
    the packages that run this test.
    """
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    (site,) = folder.glob("lib/python*/site-packages")
    everything = site / "everything.pth"
    everything.write_text(sysconfig.get_path("purelib"))
    program, *words = shlex.split(command, comments=True)
    pip = [sys.executable, "-m", program, "--python", str(python), *words]
    done = subprocess.run(
        [*pip, "--no-index", "--no-build-isolation"],
        cwd=folder.parent,
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "does not provide the extra" not in done.stdout + done.stderr
    everything.unlink()
    for name in set(re.findall(r"already satisfied: ([\w.-]+)", done.stdout)):
        needed = distribution(name)
        for top in {file.parts[0] for file in needed.files or ()} - {"..", "__pycache__"}:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(needed.locate_file(top))))
    return python


def test_what_the_page_installs_is_enough_for_its_examples(project: Path) -> None:
    shutil.copytree(ROOT / "sdk", project / "sdk")
    (block,) = (block for block in BLOCKS if block.language == "sh")
    matching, workflows = block.text.splitlines()
    smaller = environment_with(project / "smaller", matching)
    larger = environment_with(project / "larger", workflows)
    beginning = project / "beginning"
    beginning.mkdir()
    for name in ("test_matching.py", "test_rules.py", "recorded.jsonl"):
        shutil.copy(project / name, beginning)

    run = run_pytest(beginning, "--confcutdir=.", python=smaller, plugins=[])
    collected = run_pytest(project, "test_order.py", "--collect-only", python=larger)

    assert run.returncode == 0, run.stdout
    assert "10 passed" in run.stdout
    assert collected.returncode == 0, collected.stdout


def test_a_failure_says_what_the_page_shows(project: Path) -> None:
    (block,) = (block for block in BLOCKS if block.language == "console")
    (command,) = commands_of(block.text)
    program, *arguments = shlex.split(command.text)

    done = run_pytest(project, *arguments)

    assert program == "pytest"
    assert done.returncode == 1
    assert not differs(command.shown, done.stdout), done.stdout


def test_the_workflow_of_the_examples_is_woken(project: Path, temporal: TemporalTarget) -> None:
    conftest = project / "conftest.py"
    text = conftest.read_text()
    assert SKIPPING in text
    conftest.write_text(
        "from temporalio.client import Client\n"
        f"ADDRESS, NAMESPACE = {temporal.address!r}, {temporal.namespace!r}\n"
        + text.replace(SKIPPING, GIVEN)
    )
    order = project / "test_order.py"
    order.write_text(order.read_text().replace('"orders"', f'"{temporal.task_queue}"'))

    done = run_pytest(project, "test_order.py")

    assert done.returncode == 0, done.stdout


def test_below_a_failed_test_stands_what_the_twin_knows(project: Path) -> None:
    (project / "test_failing.py").write_text(
        "def test_nothing_comes(pointsman):\n"
        "    pointsman.wait_for('INVOICE_PAID', key='7', tenant='acme', workflow_id='order-1')\n"
        "    assert False\n"
    )

    done = run_pytest(project, "test_failing.py")

    assert done.returncode == 1
    assert "pointsman: events and waits" in done.stdout
    assert "no event was published" in done.stdout
    assert "order-1 (wait wait-1) of tenant 'acme' waits for INVOICE_PAID, key '7'" in done.stdout
