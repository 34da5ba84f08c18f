"""How many connections there are, in all and of one address."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final, Protocol

import structlog

log = structlog.get_logger(__name__)

PATIENCE: Final = 1.0
"""A connection that has waited this many seconds for a request may have to make room."""
MOST_LINGERING: Final = 64
LOG_PERIOD: Final = 60.0
IPV6_NETWORK: Final = 64
"""One IPv6 host may have every address of its network."""


class Connection(Protocol):
    """One connection that may be ended to make room."""

    def make_room(self) -> None:
        """End the connection at once."""
        ...


@dataclass(frozen=True, slots=True)
class _Waiting:
    address: str
    since: float


class Connections:
    """Counts the connections of one listener."""

    def __init__(
        self, *, most: int, most_of_one: int, clock: Callable[[], float] = monotonic
    ) -> None:
        self._most = most
        self._most_of_one = most_of_one
        self._clock = clock
        self._address: dict[Connection, str] = {}
        self._counts: Counter[str] = Counter()
        self._waiting: dict[Connection, _Waiting] = {}
        """Those without a complete request, the one that has waited longest first."""
        self._refused = 0
        self._logged_at: float | None = None
        self.lingering = 0

    def __len__(self) -> int:
        return len(self._address)

    @property
    def most(self) -> int:
        """How many there may be."""
        return self._most

    def enter(self, connection: Connection, address: str) -> bool:
        """Count a new connection; False when there is no room for it.

        Connections that have waited long for a request make room, those of the same address first.
        """
        full = self._counts[address] >= self._most_of_one
        if (full and not self._end_one(address)) or (
            len(self._address) >= self._most and not self._end_one(None)
        ):
            self._refuse()
            return False
        self._address[connection] = address
        self._counts[address] += 1
        return True

    def leave(self, connection: Connection) -> None:
        """The connection has ended; repeating it is harmless."""
        self.busy(connection)
        address = self._address.pop(connection, None)
        if address is None:
            return
        self._counts[address] -= 1
        if not self._counts[address]:
            del self._counts[address]

    def waits(self, connection: Connection) -> None:
        """The connection waits for the head of a request."""
        if connection in self._address and connection not in self._waiting:
            self._waiting[connection] = _Waiting(self._address[connection], self._clock())

    def busy(self, connection: Connection) -> None:
        """The connection has a complete head, or has ended."""
        self._waiting.pop(connection, None)

    def _end_one(self, address: str | None) -> bool:
        latest = self._clock() - PATIENCE
        for connection, waiting in self._waiting.items():
            if waiting.since > latest:
                return False
            if address is None or waiting.address == address:
                self.leave(connection)
                connection.make_room()
                return True
        return False

    def _refuse(self) -> None:
        self._refused += 1
        now = self._clock()
        # One line a minute: an attack must not fill the log.
        if self._logged_at is None or now - self._logged_at >= LOG_PERIOD:
            log.warning("connections.refused", count=self._refused, most=self._most)
            self._logged_at, self._refused = now, 0


def network_of(host: str) -> str:
    """What counts as one address: an IPv4 address, or the network of an IPv6 address."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if address.version == 4:
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, IPV6_NETWORK), strict=False))
