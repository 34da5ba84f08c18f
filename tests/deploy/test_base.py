"""The plain manifests: what Kubernetes makes of them, and that each process is put in its place."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from tests.deploy.manifests import faults, manifests_of, named, newest_versions, pods
from worker.settings import Role, Settings
from workshop.manifests import BASE

ROLES = sorted(role.value for role in Role)


@pytest.fixture(scope="module")
def base() -> list[Mapping[str, Any]]:
    return list(manifests_of(BASE.read_text()))


@pytest.mark.parametrize("version", newest_versions())
def test_kubernetes_takes_the_base(base: list[Mapping[str, Any]], version: str) -> None:
    assert faults(base, version) == []


def test_a_member_that_kubernetes_does_not_know_is_a_fault(base: list[Mapping[str, Any]]) -> None:
    deployment = dict(next(iter(named(base, "Deployment").values())))

    wrong = {**deployment, "spec": {**deployment["spec"], "replica": 2}}

    assert "replica" in faults([wrong], newest_versions()[-1])[0]


def test_every_role_is_a_deployment_of_its_own(base: list[Mapping[str, Any]]) -> None:
    commands = {
        name: pod["containers"][0]["args"]
        for name, pod in pods(base).items()
        if name != "pointsman-migrate"
    }

    assert commands == {f"pointsman-{role}": ["run", "--roles", role] for role in ROLES}


def test_every_pod_runs_without_privileges_on_a_file_system_that_it_cannot_write(
    base: list[Mapping[str, Any]],
) -> None:
    for name, pod in pods(base).items():
        container = pod["containers"][0]

        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["automountServiceAccountToken"] is False, name
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert container["resources"]["limits"]["memory"], name


def test_every_process_is_asked_whether_it_lives_and_whether_it_is_ready(
    base: list[Mapping[str, Any]],
) -> None:
    for name in named(base, "Deployment"):
        container = pods(base)[name]["containers"][0]
        asked = {
            probe: container[probe]["httpGet"] for probe in ("livenessProbe", "readinessProbe")
        }
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}

        assert asked == {
            "livenessProbe": {"path": "/healthz", "port": "metrics"},
            "readinessProbe": {"path": "/readyz", "port": "metrics"},
        }
        assert str(ports["metrics"]) == _variables(container)["POINTSMAN_METRICS_PORT"]


def test_a_pod_is_given_longer_to_end_than_its_process_takes(
    base: list[Mapping[str, Any]],
) -> None:
    longest_drain = Settings.model_fields["shutdown_grace"].default
    assert isinstance(longest_drain, timedelta)

    for name in named(base, "Deployment"):
        pod = pods(base)[name]
        before = pod["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {})
        needed = longest_drain.total_seconds() + before.get("seconds", 0)

        assert pod["terminationGracePeriodSeconds"] >= needed + 5, name


def test_secrets_are_named_and_never_written_down(base: list[Mapping[str, Any]]) -> None:
    assert named(base, "Secret") == {}

    for pod in pods(base).values():
        for variable in pod["containers"][0]["env"]:
            if variable["name"] in {"POINTSMAN_REDIS_URL", "POINTSMAN_DATABASE_URL"}:
                assert set(variable["valueFrom"]) == {"secretKeyRef"}


def _variables(container: Mapping[str, Any]) -> Mapping[str, str | None]:
    return {variable["name"]: variable.get("value") for variable in container["env"]}
