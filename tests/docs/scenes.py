"""What is there before the first block of a page: servers, a running service, events to ask about.

A page whose blocks begin from nothing but a clone says so here with `Stage.CLONE`; a page that is
not listed finds a service running on empty servers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from tests.docs.blocks import ROOT


class Stage(Enum):
    """How much runs already."""

    CLONE = auto()
    """Nothing: no server and no setting, as after `git clone` and `make setup`."""
    SERVERS = auto()
    """Redis, Postgres with the schema, Temporal; their addresses are exported."""
    SERVICE = auto()
    """`pointsman run` beside them; `$TOKEN` may do everything, and the rules are the examples'."""
    DEMO = auto()
    """`make demo KEEP=1` has gone through and runs on; one for all pages of this stage."""


@dataclass(frozen=True, slots=True)
class Scene:
    """What a page begins with; `script` is run before its first block."""

    stage: Stage
    script: str = ""


NOT_LISTED: Final = Scene(Stage.SERVICE)

# A second service of a page takes free ports beside the first one's.
FREE_PORTS: Final = "export POINTSMAN_HTTP_PORT=0 POINTSMAN_METRICS_PORT=0"

_START: Final = f"cd {ROOT} && python -m tests.docs.start_order"


def start_order(invoice: str, **names: str) -> str:
    """A script that starts an order; RUN and WAIT are given to these variables."""
    renamed = "; ".join(f"{name}=${what}" for name, what in names.items())
    return f'eval "$({_START} {invoice})" && {renamed}\n'


SCENES: Final[Mapping[str, Scene]] = {
    "README.md": Scene(Stage.DEMO, FREE_PORTS),
    "docs/tutorial.md": Scene(Stage.CLONE),
    "docs/console.md": Scene(Stage.CLONE),
    "docs/waiting.md": Scene(Stage.CLONE),
    "docs/from-hand-written-signals.md": Scene(Stage.SERVERS),
    "docs/from-your-own-system.md": Scene(Stage.SERVERS),
    "docs/outbox.md": Scene(Stage.SERVICE),
    "docs/production.md": Scene(Stage.SERVERS, FREE_PORTS),
    "docs/rules.md": Scene(Stage.SERVERS),
    "docs/runbook.md": Scene(Stage.SERVERS),
    "docs/securing.md": Scene(Stage.SERVERS),
    "docs/debugging.md": Scene(Stage.DEMO, start_order("INV-D1", WAIT_ID="WAIT")),
    "docs/human-tasks.md": Scene(Stage.DEMO),
    "docs/launching.md": Scene(Stage.SERVERS),
    "docs/runs.md": Scene(
        Stage.DEMO,
        start_order("INV-R1", OTHER_RUN_ID="RUN") + start_order("INV-R2", RUN_ID="RUN"),
    ),
}

ELSEWHERE: Final[Mapping[str, str]] = {
    "docs/deploying.md": "tests/deploy/test_running.py",
    "docs/testing.md": "tests/acceptance/test_testing_page.py",
}
"""Pages whose blocks are run by a test of their own, which names the page."""

API: Final = "127.0.0.1:8088"
METRICS: Final = "127.0.0.1:9464"
USUAL: Final[Mapping[str, str]] = {
    "redis://localhost:6379/0": "POINTSMAN_REDIS_URL",
    "postgresql://localhost:5432/pointsman": "POINTSMAN_DATABASE_URL",
    "localhost:7233": "TEMPORAL_ADDRESS",
}
"""Addresses as pages write them; a test reaches its own servers instead."""
