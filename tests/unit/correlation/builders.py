"""Events and decoded JSON for the tests of correlation."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from correlation.event import Event, EventId, EventName, JsonScalar, Payload, TenantId
from correlation.resolution import Resolution, resolve
from correlation.rules import compile_rules


def decoded(text: str) -> Any:
    """JSON as the way in decodes it: exact numbers, never a float."""
    return json.loads(text, parse_float=Decimal)


def event(
    payload: Mapping[str, Any] | None = None,
    *,
    name: str = "INVOICE_PAID",
    key: JsonScalar = None,
    event_id: str = "evt-1",
) -> Event:
    value = payload or {}
    return Event(
        TenantId("acme"), EventId(event_id), EventName(name), Payload("{}", value), explicit_key=key
    )


def resolved(
    payload: Mapping[str, Any] | None = None,
    rules: Mapping[str, object] | None = None,
    *,
    name: str = "INVOICE_PAID",
    key: JsonScalar = None,
) -> Resolution:
    return resolve(event(payload, name=name, key=key), compile_rules(rules or {}))


texts = st.text(st.characters(codec=None), max_size=20)


def _decimal(digits: int, exponent: int) -> Decimal:
    return Decimal(f"{digits}E{exponent}")


decimals = st.decimals(allow_nan=False, allow_infinity=False) | st.builds(
    _decimal, st.integers(), st.integers(-(10**6), 10**6)
)
wait_keys = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
"""What a workflow may register a wait under."""

scalars = st.none() | st.booleans() | st.integers() | decimals | texts
names = st.sampled_from(["a", "b", "id", "correlationKey", "workflowCorrelationKey", "0", "*"])
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names | texts, inner, max_size=4),
    max_leaves=8,
)
json_objects = st.dictionaries(names | texts, json_values, max_size=4)

every_case = settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine must not make a property test fail."""
