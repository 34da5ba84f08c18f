"""Which of several streams an event goes to: always the same one for a tenant and key.

Needs the extra `correlation`: the key is worked out as the service does.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from pointsman.correlation.resolution import Resolved, resolve
from pointsman.correlation.rules import NO_RULES, Rules, compile_rules
from pointsman.shard_names import shard_stream
from pointsman.stated_event import stated_event


def shard_of(tenant: str, key: str, shards: int) -> int:
    """The shard of a tenant's key, the same in every language and release.

    The first eight bytes of the SHA-256 of tenant, NUL and canonical key in UTF-8, as a big-endian
    number without a sign, modulo the number of shards.
    """
    digest = sha256(tenant.encode() + b"\0" + key.encode()).digest()
    return int.from_bytes(digest[:8], "big") % shards


class Sharding:
    """Spreads events over the shards of one stream."""

    def __init__(
        self, stream: str, shards: int, rules: Rules | Mapping[str, Any] | None = None
    ) -> None:
        """Raises ValueError for less than one shard, RulesError for rules that cannot be used."""
        if shards < 1:
            raise ValueError(f"shards: {shards} is not a number of shards; give 1 or more")
        self._stream = stream
        self._shards = shards
        if rules is None:
            self._rules = NO_RULES
        else:
            self._rules = rules if isinstance(rules, Rules) else compile_rules(rules)

    def stream_of(self, fields: Mapping[str, str]) -> str:
        """The stream for an entry.

        An event with several keys goes by the first; one without a key by its id, for it wakes
        nobody and has no order to keep.
        """
        event = stated_event(fields)
        resolution = resolve(event, self._rules)
        key = resolution.key if isinstance(resolution, Resolved) else event.event_id
        return shard_stream(self._stream, shard_of(event.tenant, key, self._shards), self._shards)
