"""Which tests run one after the other in one process, and which of all begin first."""

from __future__ import annotations

from typing import Any, Final

import pytest
from xdist.scheduler import LoadScopeScheduling

TOGETHER: Final = (
    "tests/docs/test_blocks.py::test_the_blocks_of_a_page_about_the_demo",
    "tests/integration/test_plans.py",
    "tests/integration/test_audit_plans.py",
    "tests/integration/test_audit_page_plans.py",
    "tests/integration/test_sdk_replay.py",
    "tests/browser",
    "tests/chaos",
)
"""What shares something that takes long to make, and what must have the machine to itself."""


def scheduler(config: pytest.Config, log: Any) -> Any:
    """Hands out tests in the order of collection, and the tests of a group to one process.

    pytest-xdist's own mark for groups writes into a test's id, where pytest 9.2 does not look.
    """
    config.option.loadscopereorder = False
    made = LoadScopeScheduling(config, log)
    made._split_scope = _group_of
    return made


def longest_first(items: list[pytest.Item]) -> None:
    """So that none of the long tests is begun when all others are done.

    How long a test takes is told by the time-out that it needs.
    """
    items.sort(key=_seconds, reverse=True)


def _seconds(item: pytest.Item) -> float:
    marker = item.get_closest_marker("timeout")
    return float(marker.args[0]) if marker else 0.0


def _group_of(nodeid: str) -> str:
    return next((group for group in TOGETHER if nodeid.startswith(group)), nodeid)
