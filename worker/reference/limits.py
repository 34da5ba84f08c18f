"""`docs/limits.md`: what bounds the work that others can ask for, and what one tenant may keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from correlation.judging import FAULTS_SEARCHED, INLINE
from correlation.schema_weight import (
    LARGEST_PATTERN,
    LIGHT_PATTERN,
    MOST_LARGE_PATTERNS,
    MOST_PATTERNS,
)
from correlation.task_form import MAX_FORM_BYTES
from routing.explain_run import MOST_KEYS, MOST_RECENT
from routing.foresight import MOST_READINGS
from worker.bounded.budgets import Budget
from worker.bounded.settings import BudgetSettings
from worker.http_settings import HttpSettings
from worker.rules_source import MAX_RULES_BYTES
from worker.settings_table import settings_rows_of

PAGE: Final = """\
# Limits and quotas

What a request, an entry of a stream or a workflow can ask for is bounded before it is worked on.
Small things are done where they are. What is large, or cannot be known to be small, goes to worker
processes that the kernel holds to a processor time and to a size; they start when they are needed.

This page is made by `pointsman reference limits`.

## When a budget runs out

The answer names the budget: over HTTP in the member `reason`, with the code `BUDGET_EXCEEDED`, in
the audit in the detail of the reason `schema_too_costly`. Nothing was changed then.

| budget | what ran out | over HTTP |
|---|---|---|
"""
BUDGETS: Final[Mapping[Budget, tuple[str, int]]] = {
    Budget.TIME: ("The processor time of one piece of work.", 422),
    Budget.MEMORY: ("The memory of one piece of work.", 422),
    Budget.QUEUE: ("The pieces of work that may wait; of all tenants, or of this one.", 503),
    Budget.WORKER: ("The worker ended twice, and not by a limit of its own.", 422),
}
SCHEMAS: Final = f"""
An event whose payload schema is `enforce` is rejected then; with `enforce_launches` it launches
nothing, and with `warn` its audit row says so.

## Schemas and forms

| limit | value |
|---|---|
| Size of a form | {MAX_FORM_BYTES} bytes |
| Patterns in one schema or form | {MOST_PATTERNS} |
| One pattern, when compiled | {LARGEST_PATTERN} bytes |
| Patterns of more than {LIGHT_PATTERN} bytes when compiled | {MOST_LARGE_PATTERNS} |
| Size of a value times its schema's weight that is judged without a worker | {INLINE} |
| Values times weight in which every fault is named; beyond it the first is | {FAULTS_SEARCHED} |

The weight of a schema is the number of its keywords and parts, with each reference replaced by
what it refers to; a pattern counts as twenty. A schema that refers to itself has no weight and is
always judged by a worker. A pattern is refused when the form is registered, or at start for a
payload schema; the fault names its place. Lengths cost nothing as `maxLength`, and much as a
repetition of a class such as `\\p{{L}}{{1,200}}`.
"""
QUOTAS: Final = f"""
## Rules and previews

Rules that are tried may have {MAX_RULES_BYTES} bytes; a worker reads and compiles them. Previews of
replays and shadow rules stop after {MOST_READINGS} readings of a path, one for each event and each
of the paths that its name has. `explain run` looks at the newest {MOST_RECENT} events of a tenant
and compares {MOST_KEYS} keys of each name.

## Quotas

What one tenant may keep. One more is refused with the quota's name: over HTTP with 422, the code
`QUOTA_REACHED` and the name in `reason`; by the activity with an error of type `QuotaReached`,
which Temporal tries again. What stands beyond a quota that was lowered stays.

| quota | setting |
|---|---|
| `open_waits` | `POINTSMAN_QUOTA_OPEN_WAITS` |
| `triggers_per_event` | `POINTSMAN_QUOTA_TRIGGERS_PER_EVENT` |
| `tokens` | `POINTSMAN_QUOTA_TOKENS` |

Payload schemas are files of whoever runs Pointsman: no tenant stores any.
"""
SETTINGS: Final = """
## Settings

| variable | default | meaning |
|---|---|---|
"""
OF_HTTP: Final = ("http_max_body", "http_rate", "http_burst")
OF_ENTRIES: Final = ("max_entry_bytes", "batch_count", "batch_bytes")


def limits_markdown() -> str:
    """The page."""
    budgets = "".join(f"| `{b}` | {what} | {code} |\n" for b, (what, code) in BUDGETS.items())
    own: dict[str, Any] = {**HttpSettings.model_fields, **BudgetSettings.model_fields}
    names = [*OF_ENTRIES, *(n for n in own if n in OF_HTTP or n in BudgetSettings.model_fields)]
    return PAGE + budgets + SCHEMAS + QUOTAS + SETTINGS + settings_rows_of(names)
