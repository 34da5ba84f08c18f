from __future__ import annotations

import tomllib
from importlib.metadata import distribution, packages_distributions
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVICE_PACKAGES = ("correlation", "ingress", "routing", "worker")


def project(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "pyproject.toml").read_text())


def test_the_service_refuses_to_be_uploaded() -> None:
    classifiers = distribution("pointsman-service").metadata.get_all("Classifier") or []

    assert "Private :: Do Not Upload" in classifiers


def test_the_service_distribution_is_made_of_the_four_packages() -> None:
    built = project(ROOT)["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]

    assert sorted(built) == sorted(SERVICE_PACKAGES)


@pytest.mark.parametrize("name", SERVICE_PACKAGES)
def test_the_service_distribution_alone_owns(name: str) -> None:
    # An editable install lists its .pth file, not the packages that lie in the folder it names.
    others = set(packages_distributions().get(name, [])) - {"pointsman-service"}
    module = __import__(name)

    assert others == set()
    assert module.__file__ is not None
    assert Path(module.__file__).parent == ROOT / name


def test_the_sdk_is_a_distribution_of_its_own_that_needs_only_pydantic() -> None:
    required = [need for need in distribution("pointsman").requires or [] if "extra ==" not in need]

    assert [need.partition(">")[0] for need in required] == ["pydantic"]


def test_the_sdk_imports_nothing_of_the_service() -> None:
    import pointsman

    assert pointsman.__file__ is not None
    assert Path(pointsman.__file__).parent == ROOT / "sdk" / "pointsman"


def test_both_distributions_carry_the_same_version() -> None:
    assert distribution("pointsman").version == distribution("pointsman-service").version


def test_the_command_pointsman_comes_with_the_service() -> None:
    scripts = distribution("pointsman-service").entry_points.select(group="console_scripts")

    assert [(script.name, script.value) for script in scripts] == [("pointsman", "worker.cli:main")]
