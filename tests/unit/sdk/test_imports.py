"""What importing the SDK costs and needs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import pointsman

# What an installation without the extras lacks.
EXTRAS = "import sys; sys.modules.update(temporalio=None, redis=None)"


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    "statement", ["import pointsman", "import pointsman.contract", "pointsman.DomainEvent"]
)
def test_importing_needs_neither_extra(statement: str) -> None:
    done = run(f"{EXTRAS}; import pointsman; {statement}")

    assert done.returncode == 0, done.stderr


def test_importing_the_package_loads_no_library() -> None:
    done = run("import pointsman, sys; print({'pydantic', 'redis', 'temporalio'} & {*sys.modules})")

    assert done.stdout.strip() == "set()"


def test_every_public_name_can_be_had() -> None:
    assert {name: getattr(pointsman, name) for name in pointsman.__all__}.keys() <= {
        *dir(pointsman)
    }
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        pointsman.Nonsense  # noqa: B018 - the look-up is the point
