from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing.ownership import (
    Basis,
    Facts,
    IdTemplate,
    LaunchTarget,
    Namespaces,
    OwnedRun,
    Ownership,
    OwnershipError,
    Target,
    may_launch,
    owned,
)

RUN = OwnedRun("run-1", "run-1")


def target(workflow_id: str = "order-1", namespace: str = "default") -> Target:
    return Target(namespace, workflow_id)


def by_id(template: str = "{tenant}-*") -> Ownership:
    return Ownership(Basis.ID, workflow_id=IdTemplate.of(template))


def owner_by_id(ownership: Ownership, workflow_id: str, *tenants: str) -> list[str]:
    """Those of the tenants whose the workflow is, when all of them are known."""
    facts = Facts(known_tenants=frozenset(tenants))
    return [each for each in tenants if owned(ownership, each, target(workflow_id), facts)]


def test_a_workflow_is_the_tenants_whose_trigger_launched_it_or_that_it_registered_for() -> None:
    registered = Ownership()

    assert owned(registered, "acme", target(), Facts(launched=RUN)) == RUN
    assert owned(registered, "acme", target(), Facts(registered=RUN)) == RUN
    assert owned(registered, "acme", target(), Facts()) is None


@pytest.mark.parametrize("basis", Basis)
@pytest.mark.parametrize("tenant", ["*", ""])
def test_no_workflow_is_that_of_a_tenant_that_is_none(basis: Basis, tenant: str) -> None:
    ownership = Ownership(basis, Namespaces(template="{tenant}"), IdTemplate.of("{tenant}/*"))
    facts = Facts(RUN, RUN, frozenset({tenant}), [tenant], RUN)

    assert owned(ownership, tenant, target(f"{tenant}/1", tenant), facts) is None


def test_a_namespace_holds_the_workflows_of_its_tenant_and_of_no_other() -> None:
    ownership = Ownership(Basis.NAMESPACE, Namespaces({"acme": "a", "beta": "b"}))

    assert owned(ownership, "acme", target(namespace="a"), Facts()) == OwnedRun()
    assert owned(ownership, "acme", target(namespace="b"), Facts(registered=RUN)) is None
    assert owned(ownership, "gamma", target(namespace="a"), Facts()) is None


def test_a_template_of_namespaces_gives_every_tenant_its_own() -> None:
    ownership = Ownership(Basis.NAMESPACE, Namespaces(template="team-{tenant}"))

    assert owned(ownership, "acme", target(namespace="team-acme"), Facts()) == OwnedRun()
    assert owned(ownership, "acme", target(namespace="team-acme-eu"), Facts()) is None


def test_an_id_that_fits_two_tenants_is_that_of_the_longer_name() -> None:
    assert owner_by_id(by_id(), "acme-1", "acme", "acme-eu") == ["acme"]
    assert owner_by_id(by_id(), "acme-eu-1", "acme", "acme-eu") == ["acme-eu"]
    assert owner_by_id(by_id(), "acme-eu-1", "acme") == ["acme"]
    assert owner_by_id(by_id(), "acme", "acme", "acme-eu") == []
    assert owner_by_id(by_id(), "acme-eu", "acme", "acme-eu") == ["acme"]


def test_tenants_that_the_settings_name_are_known() -> None:
    launches = {"acme-eu": [LaunchTarget(None, "orders")]}
    ownership = Ownership(Basis.ID, workflow_id=IdTemplate.of("{tenant}-*"), launches=launches)

    assert owned(ownership, "acme", target("acme-eu-1"), Facts()) is None


def test_what_a_tenants_trigger_launched_is_its_own_whatever_its_id() -> None:
    assert owned(by_id(), "acme", target("onboarding-1"), Facts(launched=RUN)) == RUN
    assert owned(by_id(), "acme", target("beta-1"), Facts(registered=RUN)) is None


@given(
    tenants=st.sets(st.text("ab-", min_size=1, max_size=5), min_size=1, max_size=6),
    rest=st.text("ab-", max_size=6),
    chosen=st.data(),
)
def test_no_id_is_that_of_two_tenants(tenants: set[str], rest: str, chosen: st.DataObject) -> None:
    tenant = chosen.draw(st.sampled_from(sorted(tenants)))

    owners = owner_by_id(by_id(), f"{tenant}-{rest}", *sorted(tenants))

    assert len(owners) == 1


@given(tenant=st.text("ab/", max_size=5), text=st.text("ab/", max_size=12))
def test_an_id_is_only_read_as_that_of_a_tenant_whose_template_it_fits(
    tenant: str, text: str
) -> None:
    readings = IdTemplate.of("x/{tenant}/*").readings_of(text)

    assert (tenant in readings) == (tenant != "" and text.startswith(f"x/{tenant}/"))


def test_an_id_with_very_many_delimiters_is_nobodys() -> None:
    assert owner_by_id(by_id(), "acme" + "-" * 1000, "acme") == []


@pytest.mark.parametrize(
    "template", ["", "*", "{tenant}", "{tenant}*", "orders-*", "{tenant}-{tenant}-*", "{tenant}-**"]
)
def test_a_template_of_ids_that_tells_no_tenant_apart_is_refused(template: str) -> None:
    with pytest.raises(OwnershipError):
        IdTemplate.of(template)


@pytest.mark.parametrize("basis", [Basis.MEMO, Basis.SEARCH_ATTRIBUTE])
@pytest.mark.parametrize(
    ("attribute", "expected"),
    [(["acme"], RUN), (["beta"], None), ([], None), (["acme", "beta"], None), (["Acme"], None)],
)
def test_an_attribute_names_the_one_tenant(
    basis: Basis, attribute: list[str], expected: OwnedRun | None
) -> None:
    facts = Facts(registered=OwnedRun("other"), attribute=attribute, described=RUN)

    assert owned(Ownership(basis), "acme", target(), facts) == expected


@pytest.mark.parametrize(
    ("tenant", "workflow_type", "queue", "is_admin", "expected"),
    [
        ("acme", "Order", "orders", False, True),
        ("acme", "Refund", "orders", False, False),
        ("acme", "Anything", "acme", False, True),
        ("acme", "Order", "beta", False, False),
        ("acme", "Order", "beta", True, False),
        ("acme", "Refund", "free", True, True),
        ("acme", "Refund", "free", False, False),
        ("beta", "Order", "beta", False, True),
        ("gamma", "Order", "orders", False, False),
        ("gamma", "Order", "orders", True, False),
        ("gamma", "Order", "free", True, True),
    ],
)
def test_a_trigger_starts_what_is_listed_for_its_tenant(
    tenant: str, workflow_type: str, queue: str, *, is_admin: bool, expected: bool
) -> None:
    listed = {
        "acme": [LaunchTarget("Order", "orders"), LaunchTarget(None, "acme")],
        "beta": [LaunchTarget("Order", "beta")],
    }
    ownership = Ownership(launches=listed)

    assert may_launch(ownership, tenant, workflow_type, queue, is_admin=is_admin) is expected
