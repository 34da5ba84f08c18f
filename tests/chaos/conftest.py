"""Chaos has servers of its own: it kills them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chaos.site import Site, open_site


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """One server of each kind for all tests of this process, which start what they have killed."""
    with asyncio.Runner() as runner:
        opening = open_site()
        yield runner.run(opening.__aenter__())
        runner.run(opening.__aexit__(None, None, None))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Connections are broken on purpose here: how the proxy's own end goes is no finding."""
    folder = Path(__file__).parent
    ignored = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
    for item in items:
        if folder in item.path.parents:
            item.add_marker(ignored)
