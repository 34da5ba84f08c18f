"""A wait's key reaches the service through Temporal's data converter and the wire contract."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from temporalio.converter import PayloadConverter

from correlation.key import canonical_key
from pointsman.contract import RegisterWait
from tests.unit.correlation.builders import decoded, every_case

registered_keys = (
    st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
)


@given(registered_keys)
@every_case
def test_a_registered_key_equals_the_events(value: Any) -> None:
    request = {
        "tenant": "acme",
        "wait_id": "w-1",
        "event_name": "INVOICE_PAID",
        "correlation_key": value,
        "workflow_id": "order-1",
    }

    (received,) = PayloadConverter.default.from_payloads(
        PayloadConverter.default.to_payloads([request])
    )
    wait = RegisterWait.model_validate(received)

    assert canonical_key(wait.correlation_key) == canonical_key(decoded(json.dumps(value)))
