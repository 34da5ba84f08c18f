"""Every metric: its name, its labels, what it means. The reference page is made of this.

No label has a value from outside: tenants, event names and ids are never among them, so the number
of series is bounded whatever is published.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """How a metric behaves, in Prometheus' words."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric; `shown_by` says which processes have it."""

    name: str
    kind: Kind
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    shown_by: str = "every process"


FAST: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SLOW: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)

RECORDING: Final = "processes that record (roles consumer, api)"
READING: Final = "role consumer"
SENDING: Final = "role delivery"
SERVING: Final = "role worker"
SWEEPING: Final = "role sweeper"

EVENTS: Final = Metric(
    "pointsman_events_total",
    Kind.COUNTER,
    "Events and entries that got their outcome in the audit; `reason` is empty for a match.",
    ("outcome", "reason"),
    shown_by=RECORDING,
)
REDELIVERED: Final = Metric(
    "pointsman_events_redelivered_total",
    Kind.COUNTER,
    "Events that were recorded before and changed nothing.",
    shown_by=RECORDING,
)
MATCHES: Final = Metric(
    "pointsman_matches_total",
    Kind.COUNTER,
    "Pairs of event and wait; `by` is `event` (the wait was there first) or `lookback`.",
    ("by",),
    shown_by="roles consumer, api (`event`) and worker, api (`lookback`)",
)
RECORDING_FAILURES: Final = Metric(
    "pointsman_recording_failures_total",
    Kind.COUNTER,
    "Batches that could not be recorded; `cause` is `unavailable` (tried again), `contended` "
    "(others held the same keys for too long; tried again) or `refused` (halved around the bad "
    "entry).",
    ("cause",),
    shown_by=RECORDING,
)
DEAD_LETTERED: Final = Metric(
    "pointsman_entries_dead_lettered_total",
    Kind.COUNTER,
    "Entries that this process set aside.",
    shown_by=READING,
)
STAGE: Final = Metric(
    "pointsman_stage_seconds",
    Kind.HISTOGRAM,
    "Duration of one step: `read` (waiting for entries included; reads that bring nothing are not "
    "counted), `resolve` (decoding included), `record`, `ack` per batch; `hand_over` (waiting for "
    "room in delivery included) per batch; `signal` per delivery; `claim`, `settle` per batch; "
    "`start` per launch.",
    ("stage",),
    FAST,
    shown_by="roles consumer, delivery, api",
)
BATCH: Final = Metric(
    "pointsman_batch_events",
    Kind.HISTOGRAM,
    "Events and entries that were recorded together.",
    (),
    (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000),
    shown_by=RECORDING,
)
DELIVERIES: Final = Metric(
    "pointsman_deliveries_total",
    Kind.COUNTER,
    "Attempts to signal that were written back; `state` is `delivered`, `retried` or `dead`.",
    ("state", "reason"),
    shown_by=SENDING,
)
DELIVERY_AGE: Final = Metric(
    "pointsman_delivery_age_seconds",
    Kind.HISTOGRAM,
    "From the commit of a match to the note that its signal went through. Compares the clocks of "
    "this process and of Postgres.",
    (),
    SLOW,
    shown_by=SENDING,
)
IN_MEMORY: Final = Metric(
    "pointsman_deliveries_in_memory",
    Kind.GAUGE,
    "Deliveries that this process holds, sent but unsettled ones included.",
    shown_by=SENDING,
)
IN_FLIGHT: Final = Metric(
    "pointsman_signals_in_flight", Kind.GAUGE, "Calls to Temporal under way.", shown_by=SENDING
)
LAUNCHES: Final = Metric(
    "pointsman_launches_total",
    Kind.COUNTER,
    "Attempts to launch that were written back; `state` is `launched` (with the reason "
    "`already_started` when the workflow id was taken), `retried` or `dead`.",
    ("state", "reason"),
    shown_by=SENDING,
)
LAUNCH_AGE: Final = Metric(
    "pointsman_launch_age_seconds",
    Kind.HISTOGRAM,
    "From the recording of an event to the start of its workflow, for launches that went through. "
    "Compares the clocks of this process and of Postgres.",
    (),
    SLOW,
    shown_by=SENDING,
)
WAITS_REGISTERED: Final = Metric(
    "pointsman_waits_registered_total",
    Kind.COUNTER,
    "Registrations of waits that were answered, repeated ones included.",
    shown_by="roles worker, api",
)
WAITS_CLOSED: Final = Metric(
    "pointsman_waits_closed_total",
    Kind.COUNTER,
    "What workflows said of events and waits.",
    ("disposition",),
    shown_by=SERVING,
)
EXPIRED: Final = Metric(
    "pointsman_events_expired_total",
    Kind.COUNTER,
    "Buffered events whose time for a look-back was over and that nobody had taken.",
    shown_by=SWEEPING,
)
OPEN_WAITS: Final = Metric(
    "pointsman_open_waits",
    Kind.GAUGE,
    "Open waits in the database; above 10,000 an estimate.",
    shown_by=SWEEPING,
)
BUFFERED: Final = Metric(
    "pointsman_buffered_events",
    Kind.GAUGE,
    "Events with a key that a look-back may still take; above 10,000 an estimate.",
    shown_by=SWEEPING,
)
OUTBOX: Final = Metric(
    "pointsman_outbox_deliveries",
    Kind.GAUGE,
    "Deliveries that are pending in the database; above 10,000 an estimate.",
    shown_by=SWEEPING,
)
OUTBOX_AGE: Final = Metric(
    "pointsman_outbox_oldest_seconds",
    Kind.GAUGE,
    "Age of the oldest of them (of the first 10,000 that are due); 0 without any.",
    shown_by=SWEEPING,
)
UNATTEMPTED: Final = Metric(
    "pointsman_outbox_unattempted_seconds",
    Kind.GAUGE,
    "How long nobody has attempted the oldest of them; 0 below a minute.",
    shown_by="roles delivery, sweeper",
)
UNSERVED: Final = Metric(
    "pointsman_unserved_seconds",
    Kind.GAUGE,
    "Age of the oldest delivery or launch of a namespace that no process works on, after a minute.",
    labels=("namespace",),
    shown_by=SWEEPING,
)
LAUNCH_OUTBOX: Final = Metric(
    "pointsman_outbox_launches",
    Kind.GAUGE,
    "Launches that are pending in the database; above 10,000 an estimate.",
    shown_by=SWEEPING,
)
LAUNCH_OUTBOX_AGE: Final = Metric(
    "pointsman_outbox_launches_oldest_seconds",
    Kind.GAUGE,
    "Age of the oldest of them (of the first 10,000 that are due); 0 without any.",
    shown_by=SWEEPING,
)
LEADS: Final = Metric(
    "pointsman_leads",
    Kind.GAUGE,
    "1 while this process does a duty for all; 0 while another one does. `duty` is `sweeping` "
    "(expiry and retention) or `following/` with a Temporal namespace.",
    ("duty",),
    shown_by=SWEEPING,
)
VISIBILITY: Final = Metric(
    "pointsman_visibility_up",
    Kind.GAUGE,
    "1 while Temporal's visibility tells the process that follows a namespace which runs have "
    "closed; 0 while it is away or refuses, and all runs are asked for one by one.",
    ("namespace",),
    shown_by=SWEEPING,
)
STREAM_LENGTH: Final = Metric(
    "pointsman_stream_entries", Kind.GAUGE, "Length of the stream.", ("stream",), shown_by=READING
)
STREAM_LAG: Final = Metric(
    "pointsman_stream_lag_entries",
    Kind.GAUGE,
    "Entries that nobody of the group has read; not a number where Redis cannot tell.",
    ("stream",),
    shown_by=READING,
)
STREAM_LAG_AGE: Final = Metric(
    "pointsman_stream_lag_seconds",
    Kind.GAUGE,
    "Age of the oldest entry that nobody has read; 0 without any.",
    ("stream",),
    shown_by=READING,
)
PENDING: Final = Metric(
    "pointsman_stream_pending_entries",
    Kind.GAUGE,
    "Entries that were read and are not acknowledged.",
    ("stream",),
    shown_by=READING,
)
PENDING_AGE: Final = Metric(
    "pointsman_stream_oldest_pending_seconds",
    Kind.GAUGE,
    "Age of the oldest of them, since it was added; 0 without any.",
    ("stream",),
    shown_by=READING,
)
TRIMMED: Final = Metric(
    "pointsman_stream_trimmed_unread_entries",
    Kind.GAUGE,
    "Entries that were removed before the group read them: the most that this process has seen.",
    ("stream",),
    shown_by=READING,
)
DEAD_LETTERS: Final = Metric(
    "pointsman_dead_letters",
    Kind.GAUGE,
    "Entries that stand in the stream's dead-letter stream.",
    ("stream",),
    shown_by=READING,
)
DEPENDENCY: Final = Metric(
    "pointsman_dependency_up",
    Kind.GAUGE,
    "1 while the server (`redis`, `postgres`, `temporal`) is there, as `/readyz` says it.",
    ("dependency",),
)
SILENT: Final = Metric(
    "pointsman_loop_silent_seconds",
    Kind.GAUGE,
    "How long ago a loop came by (such as `consumer`, `delivery`, `launcher`, `worker`, `api`).",
    ("loop",),
)
SILENCE_LIMIT: Final = Metric(
    "pointsman_loop_silence_limit_seconds",
    Kind.GAUGE,
    "How long it may be silent before `/healthz` calls it stuck.",
    ("loop",),
)
BUILD: Final = Metric("pointsman_build_info", Kind.GAUGE, "1; the version that runs.", ("version",))

CATALOGUE: Final[Mapping[str, Metric]] = {
    metric.name: metric for metric in list(globals().values()) if isinstance(metric, Metric)
}

PAGE: Final = """\
# Metrics

Every process answers `/metrics` at `POINTSMAN_METRICS_HOST:POINTSMAN_METRICS_PORT` (by default
127.0.0.1:9464) in Prometheus' text format. No label has a value from outside: neither tenants nor
event names nor ids are among them. `reason` has the values of the audit's one list of reasons.

What stands in a database or a stream is shown by every process of the role that looks at it:
aggregate such gauges with `max`, counters and histograms with `sum`.

This page is made by `pointsman metrics --markdown`.

| metric | type | labels | shown by | meaning |
|---|---|---|---|---|
"""


def metrics_markdown() -> str:
    """The page `docs/metrics.md`."""
    return PAGE + "".join(
        f"| `{metric.name}` | {metric.kind} | {_code(metric.labels)} | {metric.shown_by} "
        f"| {metric.meaning} |\n"
        for metric in CATALOGUE.values()
    )


def _code(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
