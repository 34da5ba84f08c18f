"""What a process needs of Temporal; imported by the roles that do, for its library is large."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from temporalio.client import Client

from routing.chained_waits import ChainedWaits
from routing.delivery_store import DeliveryStore
from routing.dispatch import Dispatcher
from routing.launch_store import LaunchStore
from routing.launcher import Launcher, LaunchLimits
from routing.ownership import Basis
from routing.temporal import TemporalSignaller
from routing.temporal_chains import TemporalChains
from routing.temporal_owners import TemporalAttributes
from routing.temporal_runs import TemporalRun
from routing.temporal_start import TemporalStarter
from routing.temporal_tasks import TemporalTasks
from worker.observe.dependencies import Check
from worker.observe.temporal_check import temporal_check
from worker.outgoing import Outgoing
from worker.room_settings import dispatch_limits
from worker.temporal_worker import by_namespace, connect_lazily

if TYPE_CHECKING:
    from worker.ground import Ground


@dataclass(frozen=True)
class TemporalParts:
    """The adapters to Temporal, on one connection that is made with the first call."""

    ground: Ground
    clients: Mapping[str, Client]
    """For each namespace that is served; the first one first."""

    @cached_property
    def runs(self) -> TemporalRun:
        """Where runs are asked about, and controlled."""
        first, *others = self.clients.values()
        return TemporalRun(first, self.ground.settings.signal_timeout, others=others)

    @cached_property
    def chains(self) -> TemporalChains:
        """Where chains of runs are asked about."""
        first = next(iter(self.clients.values()))
        return TemporalChains(
            first, self.ground.settings.signal_timeout, namespaces=self.clients.keys()
        )

    @cached_property
    def attributes(self) -> TemporalAttributes:
        """Where runs are asked for the tenant that their memo or search attribute names."""
        terms = self.ground.settings.ownership_terms
        return TemporalAttributes(
            self.clients,
            terms.attribute,
            is_memo=terms.basis is Basis.MEMO,
            timeout=self.ground.settings.signal_timeout,
        )

    @cached_property
    def waits(self) -> ChainedWaits:
        """Where waits are registered with their chain."""
        return ChainedWaits(self.ground.database, self.chains)

    @cached_property
    def tasks(self) -> TemporalTasks:
        """Where it is asked why a run stands still."""
        first = next(iter(self.clients.values()))
        return TemporalTasks(first, self.ground.settings.signal_timeout)

    def check(self) -> Check:
        """Whether Temporal is there with all namespaces, for readiness."""
        return temporal_check(next(iter(self.clients.values())), list(self.clients))

    def outgoing(self) -> Outgoing:
        """The two loops of the role `delivery`, for each namespace."""
        dispatchers = {name: self._dispatcher(client) for name, client in self.clients.items()}
        self.ground.observation.metrics.hold_deliveries_at(
            lambda: sum(dispatcher.in_memory for dispatcher in dispatchers.values())
        )
        launchers = {name: self._launcher(client) for name, client in self.clients.items()}
        return Outgoing(dispatchers, launchers)

    def _dispatcher(self, client: Client) -> Dispatcher:
        ground, settings = self.ground, self.ground.settings
        observation = ground.observation
        here = [client.namespace]
        store = DeliveryStore(ground.database, ground.owner, settings.delivery_lease, here)
        signaller = TemporalSignaller(client, settings.signal_timeout, self.chains)
        return Dispatcher(
            observation.deliveries(store),
            observation.signaller(signaller),
            dispatch_limits(settings, ground.backoff),
        )

    def _launcher(self, client: Client) -> Launcher:
        ground, settings = self.ground, self.ground.settings
        here = [client.namespace]
        store = LaunchStore(ground.database, ground.owner, settings.delivery_lease, here)
        return Launcher(
            ground.observation.launches(store),
            ground.observation.starter(
                TemporalStarter(client, settings.signal_timeout, settings.ownership_terms)
            ),
            LaunchLimits(concurrency=settings.delivery_concurrency, backoff=ground.backoff),
        )


async def open_temporal(ground: Ground) -> TemporalParts:
    """The adapters; nothing is connected yet. Raises CodecUnusable."""
    client = await connect_lazily(ground.settings, ground.codecs)
    return TemporalParts(ground, by_namespace(client, ground.settings, ground.codecs))
