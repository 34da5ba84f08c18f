"""A service whose every word is kept, to be searched for what nobody asked it to say."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.acceptance.program import Pointsman
from tests.waiting import wait_until

CANARY: Final = "canary-5f1d0c7e"


@dataclass(frozen=True)
class Site:
    """A service that has taken secrets in every way there is, and what it says of them."""

    pointsman: Pointsman
    log: Path
    redis_url: str
    stream: str
    passwords: frozenset[str]

    def leaks(self, text: str, *further: str) -> list[str]:
        return sorted(word for word in {CANARY, *self.passwords, *further} if word in text)


def logged(log: Path, event: str) -> dict[str, Any]:
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return next((line for line in lines if line["event"] == event), {})


async def addresses(log: Path) -> tuple[str, str]:
    """Of the API, and of the metrics."""
    api = await wait_until(lambda: logged(log, "api.served"), description="API", timeout=120)
    shown = await wait_until(
        lambda: logged(log, "observation.served"), description="metrics", timeout=120
    )
    return f"http://{api['host']}:{api['port']}", str(shown["address"])
