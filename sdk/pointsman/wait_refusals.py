"""What of a wait the service would refuse, known before it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from pointsman.contract import RegisterWait, problems_in
from pointsman.keys import key_text


def refusal_of(request: Mapping[str, Any]) -> str | None:
    """The fields that the contract does not allow, with the fix; None when it can be sent."""
    try:
        key_text(request["correlation_key"])
        RegisterWait.model_validate(request)
    except ValidationError as error:
        return problems_in(error)
    except ValueError as error:
        return str(error)
    return None
