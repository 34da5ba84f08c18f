"""`./dev`: a signal to it alone leaves nothing behind of what it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
# A program that ends well when it is told to, and says so.
STARTED: Final = """
import signal, sys, time
def end(number, frame):
    print("told", signal.Signals(number).name, flush=True)
    sys.exit(7)
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, end)
print("started", flush=True)
signal.pause()
"""
WRAPPER: Final = f"""
import sys
from pathlib import Path
from workshop.passing_on import run_to_the_end
sys.exit(run_to_the_end([sys.executable, "-c", {STARTED!r}], folder=Path(".")))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_what_it_is_told_the_program_is_told_and_its_end_is_waited_for(
    number: signal.Signals,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRAPPER],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as wrapper:
        assert wrapper.stdout is not None
        started = wrapper.stdout.readline()

        os.kill(wrapper.pid, number)
        said = wrapper.stdout.read()

    assert (started, said) == ("started\n", f"told {number.name}\n")
    assert wrapper.returncode == 7


def test_a_program_that_a_signal_ended_ends_as_shells_report_it() -> None:
    killed = WRAPPER.replace("signal.pause()", "import os; os.kill(os.getpid(), signal.SIGKILL)")

    finished = subprocess.run(
        [sys.executable, "-c", killed], cwd=ROOT, stdout=subprocess.DEVNULL, check=False
    )

    assert finished.returncode == 128 + signal.SIGKILL
