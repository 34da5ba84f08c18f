from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from workshop import distribution
from workshop.problem import Problem

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("pyproject.toml", "sdk/pyproject.toml", "deploy/helm/pointsman/Chart.yaml")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A clean clone with version 1.2.3 everywhere, and in the changelog."""
    for name in PARTS:
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target)
        target.write_text(target.read_text().replace(distribution.version_of(ROOT), "1.2.3"))
    (tmp_path / "CHANGELOG.md").write_text("## [Unreleased]\n\n## [1.2.3] - 2027-01-01\n")
    who = ["-c", "user.name=tests", "-c", "user.email=tests@example.com"]
    for command in (["init", "--quiet"], ["add", "."], [*who, "commit", "--quiet", "-m", "all"]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    return tmp_path


def test_all_parts_of_the_repository_carry_one_version() -> None:
    assert distribution.version_of(ROOT)


@pytest.mark.parametrize("name", PARTS)
def test_a_part_with_another_version_is_named(tree: Path, name: str) -> None:
    path = tree / name
    path.write_text(path.read_text().replace("1.2.3", "1.2.4", 1))

    with pytest.raises(Problem, match=r"differ in their version: .*1\.2\.4"):
        distribution.version_of(tree)


def test_a_clean_tree_whose_version_the_changelog_has_is_released(tree: Path) -> None:
    distribution.refuse_unfinished(tree, "1.2.3")


def test_a_tree_with_changes_is_not_released(tree: Path) -> None:
    (tree / "more").write_text("more")

    with pytest.raises(Problem, match="the tree has changes"):
        distribution.refuse_unfinished(tree, "1.2.3")


def test_a_version_that_the_changelog_does_not_have_is_not_released(tree: Path) -> None:
    with pytest.raises(Problem, match=r"no section \[1\.2\.4\]"):
        distribution.refuse_unfinished(tree, "1.2.4")
