"""What the checker of deploy/checker says of chart, base and compose file."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.manifests import faults, manifests_of, named, newest_versions, pods
from worker.settings import Role
from workshop.manifests import BASE, CHART, DEPLOY, checked, rendered_base, template
from workshop.problem import Problem

pytestmark = pytest.mark.deploy

VALUES = {path.stem: path for path in sorted((DEPLOY / "helm" / "values").glob("*.yaml"))}
CHOICES = [[], *([path] for path in VALUES.values()), [VALUES["everything"], VALUES["small"]]]
COMPOSE = DEPLOY / "compose.yaml"


def ids(paths: list[Path]) -> str:
    return "+".join(path.stem for path in paths) or "defaults"


@pytest.mark.parametrize("values", CHOICES, ids=ids)
def test_helm_finds_nothing_in_the_chart(checker: Path, values: list[Path]) -> None:
    assert checked(checker, "lint", CHART, *values) == ""


@pytest.mark.parametrize("version", newest_versions())
@pytest.mark.parametrize("values", CHOICES, ids=ids)
def test_kubernetes_takes_what_the_chart_makes(
    checker: Path, values: list[Path], version: str
) -> None:
    rendered = manifests_of(template(checker, values))

    assert faults(rendered, version) == []


def test_every_part_of_the_chart_can_be_switched_on(checker: Path) -> None:
    rendered = manifests_of(template(checker, [VALUES["everything"]]))

    assert {manifest["kind"] for manifest in rendered} == {
        *("ConfigMap", "Deployment", "Job", "NetworkPolicy", "PodDisruptionBudget"),
        *("PrometheusRule", "ScaledObject", "Service", "ServiceAccount", "ServiceMonitor"),
        "TriggerAuthentication",
    }


def test_consumers_are_scaled_by_the_lag_of_their_group_on_every_stream(checker: Path) -> None:
    rendered = manifests_of(template(checker, [VALUES["everything"]]))
    consumers = named(rendered, "Deployment")["pointsman-consumer"]
    scaled = named(rendered, "ScaledObject")["pointsman-consumer"]["spec"]

    triggers = [trigger["metadata"] for trigger in scaled["triggers"]]

    assert "replicas" not in consumers["spec"]
    assert scaled["scaleTargetRef"] == {"name": "pointsman-consumer"}
    assert [trigger["stream"] for trigger in triggers] == ["orders:events", "billing:events"]
    assert {trigger["consumerGroup"] for trigger in triggers} == {"pointsman"}
    assert {trigger["lagCount"] for trigger in triggers} == {"2000"}


def test_the_schema_is_migrated_before_anything_is_installed_or_replaced(checker: Path) -> None:
    rendered = manifests_of(template(checker, [VALUES["everything"]]))
    job = named(rendered, "Job")["pointsman-migrate"]
    container = pods(rendered)["pointsman-migrate"]["containers"][0]

    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert container["args"] == ["migrate"]
    assert container["env"][0]["valueFrom"]["secretKeyRef"]["key"] == "owner-url"


def test_rules_are_mounted_and_a_change_of_them_replaces_the_processes(
    checker: Path, tmp_path: Path
) -> None:
    changed = tmp_path / "rules.yaml"
    changed.write_text(yaml.safe_dump({"rules": 'PAID = ["id"]\n'}))

    first = manifests_of(template(checker, [VALUES["everything"]]))
    second = manifests_of(template(checker, [VALUES["everything"], changed]))

    assert named(second, "ConfigMap")["pointsman-files"]["data"]["rules.toml"] == 'PAID = ["id"]\n'
    assert _annotations(first)["pointsman/files"] != _annotations(second)["pointsman/files"]


def test_wrong_values_are_refused_by_their_name(checker: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(yaml.safe_dump({"settings": {"POINTSMAN_STREAMS": "orders"}}))

    with pytest.raises(Problem, match="POINTSMAN_STREAMS"):
        template(checker, [wrong])


def test_the_base_is_what_the_chart_makes(checker: Path) -> None:
    assert BASE.read_text() == rendered_base(checker), "run `./dev deploy-render`"


@pytest.mark.parametrize("folder", ["base", "example"])
def test_kustomize_builds(checker: Path, folder: str) -> None:
    built = manifests_of(checked(checker, "kustomize", DEPLOY / "kustomize" / folder))

    assert [faults(built, version) for version in newest_versions()] == [[], [], []]
    assert len(named(built, "Deployment")) == len(Role)


def test_an_overlay_changes_image_namespace_and_address(checker: Path) -> None:
    built = manifests_of(checked(checker, "kustomize", DEPLOY / "kustomize" / "example"))
    container = pods(built)["pointsman-consumer"]["containers"][0]

    assert container["image"] == "registry.example.com/pointsman:0.1.0"
    assert {"name": "TEMPORAL_ADDRESS", "value": "temporal.example.com:7233"} in container["env"]
    assert {manifest["metadata"]["namespace"] for manifest in built} == {"pointsman"}


def test_the_compose_file_runs_every_role_after_the_migration(checker: Path) -> None:
    services = yaml.safe_load(checked(checker, "compose", COMPOSE))["services"]
    roles = {
        name: service
        for name, service in services.items()
        if service.get("command", [""])[0] == "run"
    }

    assert {name: service["command"] for name, service in roles.items()} == {
        role.value: ["run", "--roles", role.value] for role in Role
    }
    assert all("migrate" in service["depends_on"] for service in roles.values())
    assert all(service["read_only"] for service in roles.values())


def test_what_watches_is_started_only_on_request(checker: Path) -> None:
    watched = yaml.safe_load(checked(checker, "compose", COMPOSE, "watch"))["services"]
    plain = yaml.safe_load(checked(checker, "compose", COMPOSE))["services"]

    assert set(watched) - set(plain) == {"prometheus", "grafana"}


def test_every_image_of_the_compose_file_is_an_exact_version(checker: Path) -> None:
    services: dict[str, Any] = yaml.safe_load(checked(checker, "compose", COMPOSE, "watch"))[
        "services"
    ]

    foreign = [service["image"] for service in services.values() if "build" not in service]

    assert all(re.search(r":v?\d+\.\d+(\.\d+)?(-\w+)?$", image) for image in foreign), foreign


def _annotations(manifests: Any) -> Any:
    deployment = named(manifests, "Deployment")["pointsman-consumer"]
    return deployment["spec"]["template"]["metadata"]["annotations"]
