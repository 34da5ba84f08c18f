"""What the commands show of payloads and entries: all but the secrets.

Where nothing is hidden the text or the bytes stay exactly as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from ingress.envelope import fields_from_raw, raw_bytes
from routing.audit_records import EventStory
from worker.api.exact_writing import write_json
from worker.cli.reading import settings_with_warnings
from worker.redaction import HIDDEN, Redaction


def redaction() -> Redaction:
    """What the settings call a secret."""
    return Redaction.of(settings_with_warnings().redacted_names)


def story_without_secrets(story: EventStory, hiding: Redaction) -> EventStory:
    """The story as it may be shown."""
    event = story.event
    if event is not None:
        event = replace(event, payload=_text(event.payload, hiding))
    rejected = tuple(replace(entry, raw=_raw(entry.raw, hiding)) for entry in story.rejected)
    return replace(story, event=event, rejected=rejected)


def fields_without_secrets(fields: Mapping[bytes, bytes], hiding: Redaction) -> dict[bytes, bytes]:
    """An entry's fields as they may be shown."""
    return {name: _field(name, value, hiding) for name, value in fields.items()}


def _raw(raw: bytes, hiding: Redaction) -> bytes:
    try:
        fields = fields_from_raw(raw)
    except ValueError:
        return _field(b"", raw, hiding)
    shown = fields_without_secrets(fields, hiding)
    return raw if shown == fields else raw_bytes(shown)


def _field(name: bytes, value: bytes, hiding: Redaction) -> bytes:
    if hiding.hides(name.decode("utf-8", "backslashreplace")):
        return HIDDEN.encode()
    text = value.decode("utf-8", "backslashreplace")
    shown = _text(text, hiding)
    return value if shown == text else shown.encode()


def _text(text: str, hiding: Redaction) -> str:
    value = hiding.payload(text)
    shown = value if isinstance(value, str) else write_json(value)
    return shown if HIDDEN in shown else text
