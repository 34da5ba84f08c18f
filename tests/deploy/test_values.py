"""The chart's values: its schema knows the program's settings, and refuses what is wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import jsonschema_rs
import pytest
import yaml

from worker.settings import PREFIX, Settings
from worker.settings_error import variable_name
from workshop.manifests import BASE_VALUES, CHART, DEPLOY

# What the chart sets by itself, and files that it mounts nowhere.
MANAGED = {
    *("POINTSMAN_ROLES", "POINTSMAN_CONSUMER", "POINTSMAN_INSECURE_DEV"),
    *("POINTSMAN_METRICS_HOST", "POINTSMAN_METRICS_PORT"),
    *("POINTSMAN_HTTP_HOST", "POINTSMAN_HTTP_PORT"),
    *("POINTSMAN_RULES_FILE", "POINTSMAN_SCHEMAS_FILE"),
    *("TEMPORAL_TLS_SERVER_CA_CERT_PATH", "TEMPORAL_TLS_CLIENT_CERT_PATH"),
    *("TEMPORAL_TLS_CLIENT_KEY_PATH", "OTEL_EXPORTER_OTLP_ENDPOINT"),
}
EXAMPLES = [BASE_VALUES, *sorted((DEPLOY / "helm" / "values").glob("*.yaml"))]

WRONG: Mapping[str, tuple[dict[str, Any], str]] = {
    "an unknown member": ({"replicas": 3}, "replicas"),
    "a role that does not exist": ({"roles": {"consumers": {"replicas": 1}}}, "consumers"),
    "no process of a role": ({"roles": {"consumer": {"replicas": 0}}}, "/roles/consumer/replicas"),
    "a misspelt setting": ({"settings": {"POINTSMAN_STREAMS": "s"}}, "POINTSMAN_STREAMS"),
    "a setting that is no text": ({"settings": {"POINTSMAN_BATCH_COUNT": 500}}, "BATCH_COUNT"),
    "a secret among the settings": ({"settings": {"TEMPORAL_API_KEY": "k"}}, "TEMPORAL_API_KEY"),
    "one name for all consumers": (
        {"settings": {"POINTSMAN_CONSUMER": "me"}},
        "POINTSMAN_CONSUMER",
    ),
    "a secret written down": ({"secretRefs": {"POINTSMAN_REDIS_URL": "redis://r"}}, "REDIS_URL"),
    "a secret without a key": ({"migration": {"databaseUrlRef": {"name": "n"}}}, "databaseUrlRef"),
    "a digest that is none": ({"image": {"digest": "latest"}}, "/image/digest"),
    "less time than draining takes": ({"terminationGracePeriodSeconds": 5}, "terminationGrace"),
    "scaling without an address": ({"autoscaling": {"enabled": True}}, "address"),
    "scaling to nothing": ({"autoscaling": {"minReplicas": 0}}, "minReplicas"),
    "a budget of nothing": ({"podDisruptionBudget": {"maxUnavailable": 0}}, "maxUnavailable"),
}


def with_defaults(changes: Mapping[str, Any]) -> dict[str, Any]:
    """As Helm merges them: member by member, and a list as a whole."""
    return _merged(yaml.safe_load((CHART / "values.yaml").read_text()), changes)


def complaints(values: Mapping[str, Any]) -> list[str]:
    validator = jsonschema_rs.validator_for(json.loads((CHART / "values.schema.json").read_text()))
    return [
        f"/{'/'.join(str(step) for step in error.instance_path)}: {error.message}"
        for error in validator.iter_errors(values)
    ]


def test_the_chart_takes_its_own_values() -> None:
    assert complaints(with_defaults({})) == []


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_the_chart_takes_the_example(path: Any) -> None:
    assert complaints(with_defaults(yaml.safe_load(path.read_text()))) == []


@pytest.mark.parametrize("what", WRONG)
def test_the_chart_refuses(what: str) -> None:
    changes, named = WRONG[what]

    found = complaints(with_defaults(changes))

    assert any(named in complaint for complaint in found), found


@pytest.mark.parametrize("variable", ["POINTSMAN_REDIS_URL", "POINTSMAN_DATABASE_URL"])
def test_the_chart_refuses_to_do_without(variable: str) -> None:
    values = with_defaults({})
    del values["secretRefs"][variable]

    assert any(variable in complaint for complaint in complaints(values))


def test_the_schema_knows_every_setting_of_the_program_and_no_other() -> None:
    properties = json.loads((CHART / "values.schema.json").read_text())["properties"]
    known = {*properties["settings"]["properties"], *properties["secretRefs"]["properties"]}

    settings = {variable_name(Settings, field, PREFIX) for field in Settings.model_fields}

    assert known == settings - MANAGED, "change the chart's values.schema.json, too"


def test_the_alert_rules_of_the_chart_are_those_for_prometheus() -> None:
    own = (CHART / "files" / "pointsman.rules.yml").read_text()

    assert own == (DEPLOY / "prometheus" / "pointsman.rules.yml").read_text(), (
        "copy deploy/prometheus/pointsman.rules.yml into the chart's files"
    )


def _merged(values: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    for name, change in changes.items():
        if isinstance(change, dict) and isinstance(values.get(name), dict):
            values[name] = _merged(values[name], change)
        else:
            values[name] = change
    return values
