"""What a process needs of Temporal; imported by the roles that do, for its library is large."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from temporalio.client import Client

from routing.delivery_store import DeliveryStore
from routing.dispatch import Dispatcher
from routing.launch_store import LaunchStore
from routing.launcher import Launcher, LaunchLimits
from routing.temporal import TemporalSignaller
from routing.temporal_runs import TemporalRun
from routing.temporal_start import TemporalStarter
from routing.temporal_tasks import TemporalTasks
from worker.observe.dependencies import Check
from worker.observe.temporal_check import temporal_check
from worker.outgoing import Outgoing
from worker.room_settings import dispatch_limits
from worker.temporal_worker import connect_lazily

if TYPE_CHECKING:
    from worker.ground import Ground


@dataclass(frozen=True)
class TemporalParts:
    """The adapters to Temporal, on one client that connects with its first call."""

    ground: Ground
    client: Client

    @cached_property
    def runs(self) -> TemporalRun:
        """Where runs are asked about, and controlled."""
        return TemporalRun(self.client, self.ground.settings.signal_timeout)

    @cached_property
    def tasks(self) -> TemporalTasks:
        """Where it is asked why a run stands still."""
        return TemporalTasks(self.client, self.ground.settings.signal_timeout)

    def check(self) -> Check:
        """Whether Temporal is there, for readiness."""
        return temporal_check(self.client)

    def outgoing(self) -> Outgoing:
        """The two loops of the role `delivery`."""
        return Outgoing(self._dispatcher(), self._launcher())

    def _dispatcher(self) -> Dispatcher:
        ground, settings = self.ground, self.ground.settings
        observation = ground.observation
        store = DeliveryStore(ground.database, ground.owner, settings.delivery_lease)
        dispatcher = Dispatcher(
            observation.deliveries(store),
            observation.signaller(TemporalSignaller(self.client, settings.signal_timeout)),
            dispatch_limits(settings, ground.backoff),
        )
        observation.metrics.hold_deliveries_at(lambda: dispatcher.in_memory)
        return dispatcher

    def _launcher(self) -> Launcher:
        ground, settings = self.ground, self.ground.settings
        store = LaunchStore(ground.database, ground.owner, settings.delivery_lease)
        return Launcher(
            ground.observation.launches(store),
            ground.observation.starter(TemporalStarter(self.client, settings.signal_timeout)),
            LaunchLimits(concurrency=settings.delivery_concurrency, backoff=ground.backoff),
        )


async def open_temporal(ground: Ground) -> TemporalParts:
    """The adapters; nothing is connected yet. Raises CodecUnusable."""
    return TemporalParts(ground, await connect_lazily(ground.settings, ground.codecs))
