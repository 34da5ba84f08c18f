"""Every alert names its section of the runbook, and every section is an alert's."""

from __future__ import annotations

from typing import Any

import yaml

from tests.docs.blocks import ROOT

RULES = ROOT / "deploy" / "prometheus" / "pointsman.rules.yml"
RUNBOOK = ROOT / "docs" / "runbook.md"


def alerts() -> dict[str, dict[str, Any]]:
    document = yaml.safe_load(RULES.read_text())
    rules = [rule for group in document["groups"] for rule in group["rules"]]
    return {rule["alert"]: rule["annotations"] for rule in rules if "alert" in rule}


def test_every_alert_names_its_section_of_the_runbook() -> None:
    named = {alert: annotations.get("runbook") for alert, annotations in alerts().items()}

    assert named == {alert: f"docs/runbook.md#{alert.lower()}" for alert in named}


def test_the_runbook_has_a_section_for_every_alert_and_no_other() -> None:
    lines = RUNBOOK.read_text().splitlines()

    assert [line[3:] for line in lines if line.startswith("## ")] == list(alerts())
