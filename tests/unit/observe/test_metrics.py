from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from correlation.reason import Outcome, Reason
from ingress.backlog import StreamBacklog
from ingress.entry import StreamName
from routing.delivery_store import DeliveryStatus, Settlement
from routing.incoming import (
    Delivery,
    Origin,
    Recorded,
    RecordedEvent,
    RejectedEntry,
    RunId,
    WorkflowId,
)
from routing.launches import Launch, LaunchEnd, LaunchStatus
from tests.builders import a_wait, an_event
from worker.observe.catalogue import CATALOGUE, Kind, metrics_markdown
from worker.observe.metrics import Metrics

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "metrics.md"
FORBIDDEN_LABELS = {"tenant", "event_name", "event_id", "key", "workflow_id", "wait_id", "consumer"}
STREAM = StreamName("events")


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def an_end(outcome: Outcome, reason: Reason | None, *, duplicate: bool = False) -> RecordedEvent:
    return RecordedEvent(outcome, reason, 2, duplicate=duplicate)


def a_delivery() -> Delivery:
    event, wait = an_event(), a_wait()
    return Delivery(
        tenant=event.tenant,
        event_id=event.event_id,
        wait_id=wait.wait_id,
        event_name=event.name,
        correlation_key=wait.correlation_key,
        workflow_id=wait.workflow_id,
        signal_name="signal",
        payload_text="{}",
        received_at=datetime.now(UTC),
        created_at=datetime.now(UTC),
    )


def a_launch(*, received_at: datetime) -> Launch:
    event = an_event()
    return Launch(
        tenant=event.tenant,
        event_id=event.event_id,
        trigger_id="onboarding",
        workflow_id=WorkflowId("w"),
        workflow_type="Onboarding",
        task_queue="onboarding",
        input_text=None,
        event_name=event.name,
        correlation_key=None,
        payload_text="{}",
        received_at=received_at,
    )


def test_every_event_of_a_batch_is_counted_under_its_outcome() -> None:
    metrics = Metrics()
    rejected = RejectedEntry(
        Origin("s", "1-0"), Outcome.MALFORMED, Reason.INVALID_JSON, "detail", b""
    )

    metrics.batch_recorded(
        Recorded(
            [
                an_end(Outcome.MATCHED, None),
                an_end(Outcome.MATCHED, None, duplicate=True),
                an_end(Outcome.UNRESOLVED, Reason.NO_RULE),
            ]
        ),
        [rejected],
    )

    assert value(metrics, "pointsman_events_total", outcome="matched", reason="") == 1
    assert value(metrics, "pointsman_events_total", outcome="unresolved", reason="no_rule") == 1
    assert value(metrics, "pointsman_events_total", outcome="malformed", reason="invalid_json") == 1
    assert value(metrics, "pointsman_events_redelivered_total") == 1
    assert value(metrics, "pointsman_batch_events_sum") == 4


def test_a_delivery_that_is_dead_only_after_its_grace_counts_as_retried_until_then() -> None:
    metrics = Metrics()
    missing = Settlement(a_delivery(), DeliveryStatus.DEAD, Reason.RUN_NOT_FOUND)
    dead = Settlement(a_delivery(), DeliveryStatus.DEAD, Reason.RUN_CLOSED)
    given_back = Settlement(a_delivery(), DeliveryStatus.PENDING, tried=False)
    delivered = Settlement(a_delivery(), DeliveryStatus.DELIVERED)

    metrics.deliveries_settled([missing, dead, given_back, delivered], [dead], time.time())

    def counted(state: str, reason: str) -> float | None:
        return value(metrics, "pointsman_deliveries_total", state=state, reason=reason)

    assert counted("retried", "run_not_found") == 1
    assert counted("retried", "run_closed") is None
    assert counted("dead", "run_closed") == 1
    assert counted("dead", "run_not_found") == 0
    assert counted("delivered", "") == 1


def test_every_attempt_to_launch_is_counted_and_the_way_of_those_that_went_through_measured() -> (
    None
):
    metrics = Metrics()
    now = datetime.now(UTC)
    launch = a_launch(received_at=now - timedelta(seconds=2))
    run_id = RunId("r")

    metrics.launches_settled(
        [
            LaunchEnd(launch, LaunchStatus.LAUNCHED, run_id=run_id),
            LaunchEnd(launch, LaunchStatus.LAUNCHED, Reason.ALREADY_STARTED, run_id=run_id),
            LaunchEnd(launch, LaunchStatus.PENDING, Reason.TEMPORAL_UNAVAILABLE),
            LaunchEnd(launch, LaunchStatus.DEAD, Reason.INVALID_TARGET),
        ],
        now.timestamp(),
    )

    def counted(state: str, reason: str) -> float | None:
        return value(metrics, "pointsman_launches_total", state=state, reason=reason)

    assert counted("launched", "") == 1
    assert counted("launched", "already_started") == 1
    assert counted("retried", "temporal_unavailable") == 1
    assert counted("dead", "invalid_target") == 1
    assert counted("dead", "payload_too_large") == 0
    assert value(metrics, "pointsman_launch_age_seconds_count") == 2
    assert value(metrics, "pointsman_launch_age_seconds_sum") == 4


def test_a_loss_of_unread_entries_stays_seen_when_redis_does_not_show_it_any_more() -> None:
    metrics = Metrics()

    metrics.streams([StreamBacklog(STREAM, trimmed_unread=3, pending=1)])
    metrics.streams([StreamBacklog(STREAM, oldest_pending=timedelta(seconds=2), unread=None)])

    assert value(metrics, "pointsman_stream_trimmed_unread_entries", stream=STREAM) == 3
    assert value(metrics, "pointsman_stream_pending_entries", stream=STREAM) == 0
    assert value(metrics, "pointsman_stream_oldest_pending_seconds", stream=STREAM) == 2


def test_every_metric_of_the_catalogue_is_shown_and_no_other_of_ours() -> None:
    families = {family.name: family for family in Metrics().registry.collect()}
    ours = {name for name in families if name.startswith("pointsman_")}

    assert ours == {name.removesuffix("_total") for name in CATALOGUE}
    for metric in CATALOGUE.values():
        family = families[metric.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (metric.kind, metric.meaning)


def test_expired_events_and_registered_waits_are_counted() -> None:
    metrics = Metrics()

    metrics.events_expired(3)
    metrics.waits_registered(2, looked_back=1)

    assert value(metrics, "pointsman_events_expired_total") == 3
    assert value(metrics, "pointsman_waits_registered_total") == 2
    assert value(metrics, "pointsman_matches_total", by="lookback") == 1


def test_the_names_of_metrics_say_their_kind_and_unit() -> None:
    for metric in CATALOGUE.values():
        assert metric.name.endswith("_total") == (metric.kind is Kind.COUNTER), metric.name
        assert bool(metric.buckets) == (metric.kind is Kind.HISTOGRAM), metric.name


def test_no_label_has_values_from_outside() -> None:
    assert {label for metric in CATALOGUE.values() for label in metric.labels} & (
        FORBIDDEN_LABELS
    ) == set()


def test_two_processes_in_one_have_registries_of_their_own() -> None:
    first, second = Metrics(), Metrics()

    first.entry_dead_lettered()

    assert value(first, "pointsman_entries_dead_lettered_total") == 1
    assert value(second, "pointsman_entries_dead_lettered_total") == 0


def test_every_metric_is_documented() -> None:
    assert DOCUMENT.read_text() == metrics_markdown(), (
        "write it anew: pointsman metrics --markdown > docs/metrics.md"
    )
