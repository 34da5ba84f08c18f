"""Environments beside `.venv`, each with what one lock file pins."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path


def prepared(uv: str, folder: Path, lock: Path) -> Path:
    """The programs of the environment, which is made anew when the lock file has changed.

    Raises CalledProcessError.
    """
    stamp, wanted = folder / "synced", hashlib.sha256(lock.read_bytes()).hexdigest()
    if not stamp.is_file() or stamp.read_text() != wanted:
        make = ["venv", "--quiet", "--clear", "--python", sys.executable, str(folder)]
        python = ["--quiet", "--python", str(folder / "bin" / "python")]
        for arguments in (make, ["pip", "sync", *python, "--require-hashes", str(lock)]):
            subprocess.run([uv, *arguments], check=True)
        stamp.write_text(wanted)
    return folder / "bin"
