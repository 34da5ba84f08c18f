"""Folders that an unprivileged account can reach although root's home is closed to it."""

from __future__ import annotations

import hashlib
import os
import pwd
import stat
import tempfile
from pathlib import Path
from typing import Final

from worker.embedded.processes import Account

UNPRIVILEGED_NAMES: Final = ("postgres", "nobody")


def unprivileged_account() -> Account | None:
    """The account that root runs Postgres under (it refuses to run as root); None for others."""
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED_NAMES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    return Account(65534, 65534)  # "nobody" of every Linux without such a name


def others_can_reach(path: Path) -> bool:
    """Whether any account may pass all parent folders of `path`."""
    return all(_others_may_pass(folder) for folder in path.absolute().parents)


def folder_for(account: Account | None, wanted: Path) -> Path:
    """`wanted`, made and owned by the account, or a stand-in below the temporary folder.

    The stand-in is the same one for the same `wanted`, so that data is found again.
    """
    if account is not None and not others_can_reach(wanted):
        digest = hashlib.sha256(os.fsencode(wanted.absolute())).hexdigest()[:16]
        return lasting_folder(f"pointsman-{digest}", owner=account, mode=0o700)
    wanted.mkdir(parents=True, exist_ok=True, mode=0o700)
    if account is not None:
        os.chown(wanted, account.uid, account.gid)
    return wanted


def lasting_folder(name: str, *, owner: Account | None, mode: int) -> Path:
    """A folder below the temporary one that is found again by its name.

    Its name can be guessed, and everybody may write there: raises PermissionError when the
    folder, or a link in its place, belongs to somebody else.
    """
    path = Path(tempfile.gettempdir()) / name
    uid = os.geteuid() if owner is None else owner.uid
    try:
        path.mkdir(mode=mode)
    except FileExistsError:
        found = path.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != uid:
            raise PermissionError(f"{path} belongs to somebody else; remove it") from None
        return path
    path.chmod(mode)
    if owner is not None:
        os.chown(path, owner.uid, owner.gid)
    return path


def _others_may_pass(folder: Path) -> bool:
    try:
        return bool(folder.stat().st_mode & stat.S_IXOTH)
    except FileNotFoundError:
        return True  # will be made, with the default mode, by the one who asks
