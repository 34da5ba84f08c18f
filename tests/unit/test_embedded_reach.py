from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from worker.embedded.processes import Account
from worker.embedded.reach import folder_for, lasting_folder, others_can_reach

MYSELF = Account(os.getuid(), os.getgid())


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_a_folder_below_a_closed_one_is_out_of_reach(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)

    assert not others_can_reach(closed / "inside")


def test_a_folder_below_open_ones_is_in_reach() -> None:
    assert others_can_reach(Path("/usr/bin"))


def test_without_an_account_the_wanted_folder_is_taken(tmp_path: Path) -> None:
    wanted = tmp_path / "some" / "postgres"

    assert folder_for(None, wanted) == wanted
    assert stat.S_IMODE(wanted.stat().st_mode) == 0o700


def test_a_stand_in_for_a_closed_folder_is_found_again(tmp_path: Path, temporary: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)

    stand_in = folder_for(MYSELF, closed / "postgres")

    assert stand_in.parent == temporary
    assert stat.S_IMODE(stand_in.stat().st_mode) == 0o700
    assert folder_for(MYSELF, closed / "postgres") == stand_in
    assert folder_for(MYSELF, closed / "another") != stand_in


def test_a_link_in_the_place_of_a_lasting_folder_is_refused(
    tmp_path: Path, temporary: Path
) -> None:
    (temporary / "pointsman-x").symlink_to(tmp_path)

    with pytest.raises(PermissionError, match="belongs to somebody else"):
        lasting_folder("pointsman-x", owner=None, mode=0o700)
