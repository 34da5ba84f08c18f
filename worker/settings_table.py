"""The settings as rows and as a page: generated, so that neither can fall behind the code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from worker.audit_settings import AuditSettings
from worker.bounded.settings import BudgetSettings
from worker.codec_settings import CodecSettings
from worker.http_settings import HttpSettings
from worker.observe.settings import ObserveSettings
from worker.redaction import redact_urls
from worker.settings import PREFIX, Settings
from worker.settings_error import variable_name

PAGE = """\
# Settings

Every setting is an environment variable, read once at start. A wrong value stops the start with the
variable's name; a variable that begins with `POINTSMAN_` and is not listed here is named in a
warning. An empty variable counts as unset. Durations have a unit (`500ms`, `30s`, `5m`, `1h30m`,
`7d`), sizes may have one (`512KiB`, `8MiB`). `pointsman settings` shows the values in force.

This page is made by `pointsman settings --markdown`.

| variable | default | meaning |
|---|---|---|
"""


@dataclass(frozen=True, slots=True)
class SettingRow:
    """One setting; the value and the default are texts that could be given again."""

    variable: str
    value: str
    default: str
    description: str


def settings_rows(settings: Settings) -> Sequence[SettingRow]:
    """One row per setting in the order of the model, passwords hidden."""
    values = settings.model_dump(mode="json")
    defaults = _defaults()
    return [
        SettingRow(
            variable=variable_name(Settings, name, PREFIX),
            value=_text(values[name]),
            default=_text(defaults[name]),
            description=field.description or "",
        )
        for name, field in sorted(Settings.model_fields.items(), key=_own_first)
    ]


def settings_markdown() -> str:
    """The page `docs/settings.md`."""
    return PAGE + _table(settings_rows(_without_environment()))


def settings_rows_of(names: Sequence[str]) -> str:
    """The rows of some settings, as they stand in the page."""
    variables = {f"{PREFIX}{name.upper()}" for name in names}
    rows = settings_rows(_without_environment())
    return _table([row for row in rows if row.variable in variables])


def _table(rows: Sequence[SettingRow]) -> str:
    return "".join(
        f"| `{row.variable}` | {f'`{row.default}`' if row.default else ''} "
        f"| {row.description.replace('|', chr(92) + '|')} |\n"
        for row in rows
    )


def _own_first(item: tuple[str, Any]) -> int:
    name = item[0]
    if name.startswith("temporal_") or name in CodecSettings.model_fields:
        return 2
    beside = (HttpSettings, ObserveSettings, AuditSettings, BudgetSettings)
    return 1 if any(name in each.model_fields for each in beside) else 0


def _defaults() -> dict[str, Any]:
    defaults = _without_environment().model_dump(mode="json")
    # It differs with every process.
    return {**defaults, "consumer": None}


def _without_environment() -> Settings:
    plain = {
        name: field.get_default(call_default_factory=True)
        for name, field in Settings.model_fields.items()
    }
    return Settings.model_construct(**plain)


def _text(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case _:
            return redact_urls(str(value))
