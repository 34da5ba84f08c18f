"""How request bodies look, for the OpenAPI document: the routes read them by hand, exactly."""

from __future__ import annotations

from typing import Any, Final

from pointsman.contract import RegisterWait

_TEXT: Final = {"type": "string"}
NATIVE_EVENT: Final[dict[str, Any]] = {
    "type": "object",
    "description": "The fields of a stream entry; the payload as an object. Others are ignored.",
    "properties": {
        "event_id": {**_TEXT, "maxLength": 512, "description": "Unique per tenant."},
        "event_type": {**_TEXT, "maxLength": 255, "description": "The event's name."},
        "event_name": {**_TEXT, "description": "The name where event_type is blank."},
        "tenant": {**_TEXT, "description": "May be left out with a token of one tenant."},
        "timestamp": {**_TEXT, "description": "RFC 3339."},
        "workflow_correlation_key": {"type": ["string", "number", "boolean", "null"]},
        "payload": {"type": ["object", "null"], "additionalProperties": True},
        "payload_json": {**_TEXT, "description": "The payload as JSON text, instead."},
        "execution_id": _TEXT,
        "user_id": _TEXT,
        "from_state": _TEXT,
        "to_state": _TEXT,
        "payload_schema_ref": _TEXT,
        "traceparent": _TEXT,
        "tracestate": _TEXT,
    },
    "additionalProperties": True,
}
CLOUDEVENT: Final[dict[str, Any]] = {
    "type": "object",
    "description": "A CloudEvent 1.0 in the JSON format.",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {**_TEXT, "minLength": 1},
        "source": {**_TEXT, "minLength": 1},
        "type": {**_TEXT, "minLength": 1, "description": "The event's name."},
        "tenantid": {**_TEXT, "description": "May be left out with a token of one tenant."},
        "correlationkey": {"type": ["string", "number", "boolean"]},
        "time": {**_TEXT, "format": "date-time"},
        "datacontenttype": {**_TEXT, "description": "A JSON type."},
        "data": {"type": ["object", "null"]},
        "data_base64": _TEXT,
        "traceparent": _TEXT,
    },
    "additionalProperties": True,
}
POSTED_EVENTS: Final[dict[str, Any]] = {
    "required": True,
    "description": "A CloudEvent in binary mode has its attributes in `ce-` headers, and its data "
    "as the body.",
    "content": {
        "application/json": {
            "schema": {
                "anyOf": [
                    {"$ref": "#/components/schemas/NativeEvent"},
                    {"$ref": "#/components/schemas/NativeBatch"},
                ]
            }
        },
        "application/cloudevents+json": {"schema": {"$ref": "#/components/schemas/CloudEvent"}},
        "application/cloudevents-batch+json": {
            "schema": {
                "type": "array",
                "minItems": 1,
                "maxItems": 1000,
                "items": {"$ref": "#/components/schemas/CloudEvent"},
            }
        },
    },
}
REGISTERED_WAIT: Final[dict[str, Any]] = {
    "required": True,
    "content": {
        "application/json": {"schema": {"$ref": "#/components/schemas/RegisterWait"}},
    },
}


def schemas() -> dict[str, Any]:
    """The schemas that the bodies refer to."""
    wait = RegisterWait.model_json_schema(ref_template="#/components/schemas/{model}")
    return {
        "NativeEvent": NATIVE_EVENT,
        "NativeBatch": {
            "type": "object",
            "required": ["events"],
            "properties": {
                "events": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": 1000,
                    "items": {"$ref": "#/components/schemas/NativeEvent"},
                }
            },
        },
        "CloudEvent": CLOUDEVENT,
        **wait.pop("$defs", {}),
        "RegisterWait": wait,
    }
