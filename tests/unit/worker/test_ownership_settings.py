from __future__ import annotations

from typing import Any

import pytest

from routing.ownership import Basis, LaunchTarget, Target
from worker.settings import load_settings
from worker.settings_error import SettingsError


def test_without_a_setting_workflows_are_known_by_registering() -> None:
    terms = load_settings().ownership_terms

    assert terms.basis is Basis.REGISTERED
    assert terms.launches == {}


def test_namespaces_are_a_map_or_a_template() -> None:
    mapped = load_settings(ownership="namespace", tenant_namespaces=' {"acme": "acme-prod"}')
    template = load_settings(ownership="namespace", tenant_namespaces="{tenant}-prod")

    assert mapped.ownership_terms.namespaces.of("acme") == "acme-prod"
    assert mapped.ownership_terms.namespaces.of("beta") is None
    assert template.ownership_terms.namespaces.of("beta") == "beta-prod"


def test_a_template_of_ids_is_compiled() -> None:
    terms = load_settings(ownership="id", tenant_workflow_id="{tenant}/*").ownership_terms

    assert list(terms.readings_of(Target("default", "acme/1"))) == ["acme"]


@pytest.mark.parametrize(
    ("basis", "attribute", "expected"),
    [
        ("memo", None, "pointsman.tenant"),
        ("search_attribute", None, "PointsmanTenant"),
        ("search_attribute", "Team", "Team"),
    ],
)
def test_an_attribute_has_a_name(basis: str, attribute: str | None, expected: str) -> None:
    terms = load_settings(ownership=basis, tenant_attribute=attribute).ownership_terms

    assert terms.attribute == expected


def test_launches_are_listed_for_each_tenant() -> None:
    listed = '{"acme": [{"workflow": "Order", "task_queue": "orders"}, {"task_queue": "acme"}]}'

    launches = load_settings(tenant_launches=listed).ownership_terms.launches

    assert launches == {"acme": [LaunchTarget("Order", "orders"), LaunchTarget(None, "acme")]}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"ownership": "namespace"}, "POINTSMAN_TENANT_NAMESPACES"),
        ({"ownership": "id"}, "POINTSMAN_TENANT_WORKFLOW_ID"),
        ({"ownership": "name"}, "POINTSMAN_OWNERSHIP"),
        ({"tenant_namespaces": '{"acme": "one", "beta": "one"}'}, "one"),
        ({"tenant_namespaces": '{"*": "one"}'}, "POINTSMAN_TENANT_NAMESPACES"),
        ({"tenant_namespaces": '{"acme": 1}'}, "POINTSMAN_TENANT_NAMESPACES"),
        ({"tenant_namespaces": '{"acme"'}, "POINTSMAN_TENANT_NAMESPACES"),
        ({"tenant_namespaces": "prod"}, "POINTSMAN_TENANT_NAMESPACES"),
        ({"tenant_workflow_id": "{tenant}*"}, "POINTSMAN_TENANT_WORKFLOW_ID"),
        ({"tenant_launches": "[]"}, "POINTSMAN_TENANT_LAUNCHES"),
        ({"tenant_launches": '{"acme": ["Order"]}'}, "POINTSMAN_TENANT_LAUNCHES"),
        ({"tenant_launches": '{"acme": [{"workflow": "Order"}]}'}, "POINTSMAN_TENANT_LAUNCHES"),
        ({"tenant_launches": '{"acme": [{"task_queue": ""}]}'}, "POINTSMAN_TENANT_LAUNCHES"),
        ({"tenant_launches": '{"*": [{"task_queue": "q"}]}'}, "POINTSMAN_TENANT_LAUNCHES"),
    ],
)
def test_settings_that_tell_no_tenants_apart_are_refused(given: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(**given)

    assert named in str(caught.value)
