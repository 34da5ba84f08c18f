"""The argument of an activity: read exactly, or refused for good with the field and the fix.

What cannot be converted now cannot be later: no conversion may end as an error that Temporal tries
again without end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from temporalio import activity
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.converter import DefaultPayloadConverter
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from correlation.exact_reading import NotJson, read_bytes
from pointsman.contract import problems_in
from routing.faults import InvalidWait
from routing.payload_codec import CLEAR, PAGE, REFUSED, encoding_of

Model = TypeVar("Model", bound=BaseModel)

JSON_ENCODINGS: Final = frozenset({"json/plain", "json/protobuf", "binary/plain", ""})
"""Encodings whose data is read as JSON."""


class RawArguments(DefaultPayloadConverter):
    """Leaves arguments as they came where their number is not what the activity takes."""

    def from_payloads(
        self, payloads: Sequence[Payload], type_hints: list[type] | None = None
    ) -> list[Any]:
        """Convert, or hand over raw."""
        if type_hints is None:
            return [RawValue(payload) for payload in payloads]
        return super().from_payloads(payloads, type_hints)


class OneArgument(Interceptor):
    """Refuses a call with another number of arguments than one."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        """See the class."""
        return _OneArgument(next)


class _OneArgument(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        if len(input.args) != 1:
            raise ApplicationError(
                f"{activity.info().activity_type} takes one argument, a JSON object, and came with "
                f"{len(input.args)}: send one object",
                type="InvalidWait",
                non_retryable=True,
            )
        return await super().execute_activity(input)


def parsed(request: RawValue, model: type[Model], *, coded: bool = False) -> Model:
    """Decode with exact numbers: a key must not pass through a float. Raises InvalidWait.

    With `coded` an argument that came without its namespace's codec is refused: who sends such
    arguments could not read what comes back.
    """
    decoded = _decoded(request.payload, coded=coded)
    try:
        return model.model_validate(decoded)
    except ValidationError as error:
        raise InvalidWait(problems_in(error)) from error
    except Exception as error:
        # Whatever else a conversion raises: the same argument will raise it again.
        words = f"{type(error).__name__}: {error}"
        raise InvalidWait(f"the argument of the activity: {words}") from error


def _decoded(payload: Payload, *, coded: bool) -> Any:
    if REFUSED in payload.metadata:
        raise InvalidWait(f"the argument of the activity: {payload.metadata[REFUSED].decode()}")
    encoding = encoding_of(payload)
    if encoding not in JSON_ENCODINGS:
        raise InvalidWait(
            f"the argument of the activity has the encoding {encoding!r}, which this namespace's "
            f"Pointsman does not read: give it the codec that the worker has; see {PAGE}"
        )
    if coded and CLEAR in payload.metadata:
        raise InvalidWait(
            "the argument of the activity came without the codec of this namespace, so the worker "
            f"could not read the signals that it waits for: give it the codec; see {PAGE}"
        )
    try:
        return read_bytes(payload.data)
    except NotJson as error:
        raise InvalidWait(f"the argument of the activity is not JSON: {error}") from error
