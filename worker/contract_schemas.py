"""The JSON Schemas of everything that crosses the border: generated, so that none falls behind.

They say what to send. Pointsman takes a little more (white space around identifiers is trimmed, a
null attribute counts as absent) and, where JSON Schema cannot say it, a little less: `maxLength`
counts characters, the bound is one of UTF-8 bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

from pydantic import BaseModel

from ingress.attributes import MAX_CONTEXT_BYTES
from pointsman.contract import (
    MAX_EVENT_ID_BYTES,
    MAX_EVENT_NAME_BYTES,
    MAX_TENANT_BYTES,
    ClosedWait,
    ClosedWaits,
    CloseWait,
    CloseWaits,
    EventSignal,
    HumanTaskCompleted,
    RegisteredWait,
    RegisterWait,
)

Schema: TypeAlias = dict[str, Any]

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
NO_CONTROL_CHARACTERS: Final = "^[^\\u0000-\\u001f\\u007f]*$"

MODELS: Final[Mapping[str, tuple[type[BaseModel], Literal["validation", "serialization"]]]] = {
    "register_wait": (RegisterWait, "validation"),
    "registered_wait": (RegisteredWait, "serialization"),
    "close_wait": (CloseWait, "validation"),
    "closed_wait": (ClosedWait, "serialization"),
    "close_waits": (CloseWaits, "validation"),
    "closed_waits": (ClosedWaits, "serialization"),
    "event_signal": (EventSignal, "serialization"),
    "human_task_completed": (HumanTaskCompleted, "validation"),
}


def contract_schemas() -> dict[str, Schema]:
    """A schema for each contract, by its name."""
    models = {
        name: {"$schema": DIALECT, **model.model_json_schema(mode=mode)}
        for name, (model, mode) in MODELS.items()
    }
    entries = {
        "stream_entry_native": _native_entry(),
        "stream_entry_cloudevent_structured": _structured_entry(),
        "stream_entry_cloudevent_binary": _binary_entry(),
    }
    return models | {name: {"$schema": DIALECT, **schema} for name, schema in entries.items()}


def _native_entry() -> Schema:
    return {
        "title": "NativeStreamEntry",
        "description": "An event as flat text fields of a stream entry. An empty field counts as "
        "absent, an unknown one is ignored.",
        "type": "object",
        "properties": {
            "event_id": _text(
                "Unique per tenant; the same id again is the same event.", MAX_EVENT_ID_BYTES
            ),
            "event_type": _name("The event's name; `event_name` counts where this is empty."),
            "event_name": _name("The event's name, where `event_type` is empty."),
            "tenant": _text("Whose event it is.", MAX_TENANT_BYTES),
            "timestamp": {
                "type": "string",
                "description": "When it happened: RFC 3339, with an offset.",
            },
            "workflow_correlation_key": {
                "type": "string",
                "description": "The business key; it excludes any derivation from the payload.",
            },
            "payload_json": {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": {"type": "object"},
                "description": "The payload: the text of a JSON object; absent: {}.",
            },
            **{field: _context(meaning) for field, meaning in CONTEXT.items()},
        },
        "required": ["event_id", "tenant"],
        "anyOf": [{"required": ["event_type"]}, {"required": ["event_name"]}],
        "additionalProperties": True,
    }


CONTEXT: Final = {
    "execution_id": "Kept for the audit.",
    "user_id": "Kept for the audit.",
    "from_state": "Kept for the audit.",
    "to_state": "Kept for the audit.",
    "payload_schema_ref": "Names the schema of the payload.",
    "traceparent": "W3C trace context; it goes on into the signal's header.",
    "tracestate": "W3C trace state.",
}


def _structured_entry() -> Schema:
    return {
        "title": "StructuredCloudEventEntry",
        "description": "An event as one field that holds a CloudEvent in the JSON format.",
        "type": "object",
        "properties": {
            "cloudevent": {
                "type": "string",
                "contentMediaType": "application/cloudevents+json",
                "contentSchema": _cloudevent(),
            }
        },
        "required": ["cloudevent"],
        "additionalProperties": True,
    }


def _cloudevent() -> Schema:
    return {
        "type": "object",
        "properties": {
            "specversion": {"const": "1.0"},
            "id": _text("With `source`, what makes the event one event."),
            "source": _text("Who publishes."),
            "type": _text("The event's name.", MAX_EVENT_NAME_BYTES),
            "tenantid": {"type": ["string", "integer"], "description": "Whose event it is."},
            "correlationkey": {
                "type": ["string", "number", "boolean"],
                "description": "The business key.",
            },
            "time": {"type": "string", "description": "When it happened: RFC 3339."},
            "dataschema": _context("Names the schema of the data."),
            "traceparent": _context("W3C trace context."),
            "tracestate": _context("W3C trace state."),
            "data": {"description": "The payload: a JSON object.", "type": ["object", "null"]},
            "data_base64": {
                "type": "string",
                "contentEncoding": "base64",
                "description": "The payload's JSON text, encoded.",
            },
        },
        "required": ["specversion", "id", "source", "type", "tenantid"],
        "additionalProperties": True,
    }


def _binary_entry() -> Schema:
    attributes = _cloudevent()
    properties = {
        f"ce_{name}": _as_text(schema)
        for name, schema in attributes["properties"].items()
        if name not in {"data", "data_base64"}
    }
    return {
        "title": "BinaryCloudEventEntry",
        "description": "An event with one field per CloudEvents attribute, and its data beside.",
        "type": "object",
        "properties": {
            **properties,
            "content-type": {"type": "string", "description": "Media type of `data`."},
            "data": {
                "type": "string",
                "contentMediaType": "application/json",
                "contentSchema": {"type": "object"},
                "description": "The payload: the text of a JSON object; absent: {}.",
            },
        },
        "required": [f"ce_{name}" for name in attributes["required"]],
        "additionalProperties": True,
    }


def _as_text(schema: Schema) -> Schema:
    """The same attribute in a field of text."""
    return schema if "const" in schema else {**schema, "type": "string"}


def _text(description: str, most_bytes: int | None = None) -> Schema:
    schema: Schema = {"type": "string", "minLength": 1, "description": description}
    if most_bytes is not None:
        schema["maxLength"] = most_bytes
        schema["pattern"] = NO_CONTROL_CHARACTERS
        schema["description"] = f"{description} At most {most_bytes} bytes of UTF-8."
    return schema


def _name(description: str) -> Schema:
    schema = _text(description, MAX_EVENT_NAME_BYTES)
    del schema["minLength"]
    return schema


def _context(description: str) -> Schema:
    return {"type": "string", "maxLength": MAX_CONTEXT_BYTES, "description": description}
