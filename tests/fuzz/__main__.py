"""Fuzzing with atheris for a while: `./dev fuzz [SECONDS]`.

It begins with the committed corpus, keeps what it finds on the way outside of the repository, and
ends with a file of the bytes that broke something; put that into `corpus` with the mending.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["correlation", "ingress"]):
    from tests.fuzz.decoding import check

SECONDS = "60"


def main() -> None:
    seconds = sys.argv[1] if len(sys.argv) > 1 else SECONDS
    here = Path(__file__).parent
    found = here.parents[1] / "build" / "fuzz"
    found.mkdir(parents=True, exist_ok=True)
    options = [
        f"-max_total_time={seconds}",
        "-max_len=8192",
        f"-dict={here / 'names.dict'}",
        f"-artifact_prefix={found}/broken-",
    ]
    atheris.Setup([sys.argv[0], *options, str(found), str(here / "corpus")], check)
    atheris.Fuzz()


main()
