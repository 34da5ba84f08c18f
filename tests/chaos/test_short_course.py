"""The short form of `make chaos`: the most important faults, one after the other, in a minute."""

from __future__ import annotations

import pytest

from tests.chaos.course import ALL_FAULTS, IMPORTANT, endure
from tests.chaos.site import Site


@pytest.mark.timeout(400)
async def test_nothing_is_lost_doubled_crossed_or_stuck_through_a_minute_of_faults(
    site: Site,
) -> None:
    faults = [ALL_FAULTS[name] for name in IMPORTANT]

    findings = await endure(site, faults, seed=7, entries=900, seconds=30)

    assert findings.clean, str(findings)
    assert findings.entries > 600
    assert findings.signals > 300
    assert findings.launches > 20
