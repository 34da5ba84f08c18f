"""The fixtures that pytest finds by itself once `pointsman[testing]` is installed.

Nothing of Pointsman is imported before a test asks for it.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pointsman.testing import InMemoryPointsman, RulesSource

FIXTURE = "pointsman"


@pytest.fixture
def pointsman_rules() -> RulesSource:
    """The rules of the fixture `pointsman`; none, unless your conftest.py overrides this."""
    return None


@pytest.fixture
def pointsman(pointsman_rules: RulesSource) -> InMemoryPointsman:
    """Pointsman in memory, new for each test. If the test fails, its report tells what happened."""
    from pointsman.testing import InMemoryPointsman

    return InMemoryPointsman(pointsman_rules)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Tell, below a failed test, whom each event woke and whom it missed."""
    report = yield
    used: Any = getattr(item, "funcargs", {}).get(FIXTURE)
    if call.when == "call" and report.failed and used is not None and hasattr(used, "explain"):
        report.sections.append(("pointsman: events and waits", used.explain()))
    return report
