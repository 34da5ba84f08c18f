"""The examples of docs/testing.md, run by pytest in a project of their own, as a user has it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.conftest import TemporalTarget

PAGE: Final = Path(__file__).parents[2] / "docs" / "testing.md"
BLOCK: Final = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# The server of this run stands in for the one that Temporal's SDK would fetch.
SKIPPING: Final = "await WorkflowEnvironment.start_time_skipping()"
GIVEN: Final = "WorkflowEnvironment.from_client(await Client.connect(ADDRESS, namespace=NAMESPACE))"


def files_of_the_page() -> dict[str, str]:
    files = {}
    for language, text in BLOCK.findall(PAGE.read_text()):
        if language == "json":
            files["recorded.jsonl"] = text
            continue
        name = text.partition("\n")[0].removeprefix("# ")
        assert name not in files, f"two blocks are named {name}"
        files[name] = text
    return files


def run_pytest(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}
    # By the names of their entry points, and none of this repository's other plugins.
    plugins = ("-ppointsman", "-pasyncio", "-pno:cacheprovider")
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    command = [sys.executable, "-m", "pytest", *plugins, *arguments]
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
