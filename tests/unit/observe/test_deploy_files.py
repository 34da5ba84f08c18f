"""The dashboard and the alert rules ask only for what the service shows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from worker.observe.catalogue import CATALOGUE, Kind

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
DASHBOARD = DEPLOY / "grafana" / "pointsman.json"
RULES = DEPLOY / "prometheus" / "pointsman.rules.yml"
RULE_TESTS = DEPLOY / "prometheus" / "pointsman.rules.test.yml"

METRIC = re.compile(r"\b(pointsman_\w+|process_\w+)\b(?:\{([^}]*)\})?")
LABEL = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
FROM_SCRAPING = {"job", "instance"}
OF_EVERY_PROCESS = {"process_resident_memory_bytes", "process_cpu_seconds_total"}
GROUPED = re.compile(r"\bby \(([^)]*)\)")


def dashboard_expressions() -> list[str]:
    panels: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", ())]


def rules() -> list[dict[str, Any]]:
    [group] = yaml.safe_load(RULES.read_text())["groups"]
    found: list[dict[str, Any]] = group["rules"]
    return found


def series_of_the_rule_tests() -> list[str]:
    tests: list[dict[str, Any]] = yaml.safe_load(RULE_TESTS.read_text())["tests"]
    return [series["series"] for test in tests for series in test["input_series"]]


def labels_by_shown_name() -> dict[str, set[str]]:
    names: dict[str, set[str]] = {}
    for metric in CATALOGUE.values():
        labels = set(metric.labels) | FROM_SCRAPING
        if metric.kind is Kind.HISTOGRAM:
            names[f"{metric.name}_bucket"] = labels | {"le"}
            names[f"{metric.name}_sum"] = names[f"{metric.name}_count"] = labels
        else:
            names[metric.name] = labels
    return names | dict.fromkeys(OF_EVERY_PROCESS, FROM_SCRAPING)


@pytest.mark.parametrize(
    "expressions",
    [
        pytest.param(dashboard_expressions(), id="dashboard"),
        pytest.param([rule["expr"] for rule in rules()], id="alert rules"),
        pytest.param(series_of_the_rule_tests(), id="tests of the alert rules"),
    ],
)
def test_every_metric_and_label_that_is_asked_for_is_shown(expressions: list[str]) -> None:
    shown = labels_by_shown_name()

    for expression in expressions:
        asked = METRIC.findall(expression)
        grouped = {
            label.strip() for labels in GROUPED.findall(expression) for label in labels.split(",")
        }
        allowed: set[str] = set()
        for name, selector in asked:
            assert name in shown, f"{name} in {expression}"
            assert set(LABEL.findall(selector)) <= shown[name], expression
            allowed |= shown[name]
        assert not asked or grouped <= allowed, expression


def test_every_gauge_of_trouble_has_its_alert() -> None:
    expressions = " ".join(rule["expr"] for rule in rules())

    for name in (
        "pointsman_stream_lag_seconds",
        "pointsman_stream_oldest_pending_seconds",
        "pointsman_outbox_oldest_seconds",
        "pointsman_outbox_launches_oldest_seconds",
        "pointsman_dead_letters",
        "pointsman_stream_trimmed_unread_entries",
        "pointsman_loop_silent_seconds",
        'dependency="postgres"',
        'dependency="temporal"',
        'dependency="redis"',
    ):
        assert name in expressions


def test_every_alert_is_tested_and_says_what_to_do() -> None:
    tests = RULE_TESTS.read_text()

    for rule in rules():
        assert rule["alert"] in tests
        assert rule["annotations"]["action"].endswith(".")
        assert rule["labels"]["severity"] in {"warning", "critical"}


def test_every_panel_says_in_which_unit_it_counts() -> None:
    panels = json.loads(DASHBOARD.read_text())["panels"]

    for panel in panels:
        if panel["type"] != "row":
            assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
            assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
