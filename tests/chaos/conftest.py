"""Chaos has servers of its own: it kills them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.chaos.site import Site, open_site


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """One server of each kind for all tests of this process, which start what they have killed."""
    with asyncio.Runner() as runner:
        opening = open_site()
        yield runner.run(opening.__aenter__())
        runner.run(opening.__aexit__(None, None, None))
