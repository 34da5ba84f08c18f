"""What one process of the role `sweeper` does for all of them."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from worker.composition import Sweeping
from worker.leading import Loops, lead_for_ever
from worker.observe.observation import Observation
from worker.settings import Settings
from worker.sweeping import keep_for_ever, sweep_for_ever, trim_for_ever


def duties(
    parts: Sweeping, wake: Callable[[], None], settings: Settings, observation: Observation
) -> list[Coroutine[Any, Any, None]]:
    """The loops that wait for their turn to lead, and do their duty then."""

    def sweeping() -> Loops:
        loops = [
            sweep_for_ever(parts.sweeper, wake, settings.sweep_period),
            keep_for_ever(parts.retention, settings.retention_period),
        ]
        if parts.stream_retention is not None:
            loops.append(trim_for_ever(parts.stream_retention, settings.retention_period))
        return loops

    def following(namespace: str) -> Loops:
        follower = parts.follower(namespace, wake)
        return [
            follower.follow_for_ever(),
            follower.walk_waits_for_ever(),
            follower.walk_runs_for_ever(),
        ]

    return [
        lead_for_ever(parts.sweeping, sweeping, observation),
        *(
            lead_for_ever(lease, partial(following, namespace), observation)
            for namespace, lease in parts.following.items()
        ),
    ]
