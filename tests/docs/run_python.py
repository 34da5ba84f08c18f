"""Runs one Python block as a program of its own, in which `await` may stand anywhere.

`python run_python.py block.py`: the file's lines keep their numbers in tracebacks.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import sys
from pathlib import Path


def main() -> None:
    path = Path(sys.argv[1])
    flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    code = compile(path.read_text(encoding="utf-8"), str(path), "exec", flags=flags)
    sys.path.insert(0, str(Path.cwd()))
    namespace: dict[str, object] = {"__name__": "__main__", "__file__": str(path)}
    awaited = eval(code, namespace)  # noqa: S307 - the documentation's own text
    if inspect.iscoroutine(awaited):
        asyncio.run(awaited)


main()
