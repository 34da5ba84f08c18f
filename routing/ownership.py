"""Whose a workflow is: the decision that stands between a tenant's token and Temporal.

How a tenant's workflows are known is a setting. The facts are fetched by `routing.owners`; nothing
here awaits.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

TENANT: Final = "{tenant}"
ANYTHING: Final = "*"
EVERY_TENANT: Final = "*"
MEMO_FIELD: Final = "pointsman.tenant"
SEARCH_ATTRIBUTE: Final = "PointsmanTenant"
MOST_READINGS: Final = 64
"""Ways to read a tenant out of a workflow id; an id with more of them is nobody's."""


class Basis(StrEnum):
    """How the workflows of a tenant are known."""

    REGISTERED = "registered"
    """A trigger of the tenant launched it, or it registered a wait through the worker itself."""
    NAMESPACE = "namespace"
    ID = "id"
    SEARCH_ATTRIBUTE = "search_attribute"
    MEMO = "memo"


class Voucher(StrEnum):
    """Who proved that a workflow is the tenant's; stored beside waits and runs.

    A run that a trigger launched needs none: its origin says so.
    """

    ACTIVITY = "activity"
    """The workflow itself, whose activity Temporal attributes to it."""
    TOKEN = "token"  # noqa: S105 - no secret
    """A token of the tenant, after the check."""
    ADMINISTRATOR = "administrator"
    """An administrator of every tenant."""
    UPGRADE = "upgrade"
    """Nobody: the row is older than the check, and was taken over with it."""


class OwnershipError(ValueError):
    """Settings that cannot tell one tenant's workflows from another's; says what to correct."""


@dataclass(frozen=True, slots=True)
class Target:
    """What a token wants Temporal to do something to."""

    namespace: str
    workflow_id: str
    run_id: str | None = None
    """None: whichever run is the newest."""


@dataclass(frozen=True, slots=True)
class OwnedRun:
    """A run of the target that was proved to be the tenant's."""

    run_id: str | None = None
    """None: every run of the workflow id is."""
    first_run_id: str | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of a target; which of these are needed depends on the basis."""

    launched: OwnedRun | None = None
    """The run asked for, or the newest, that a trigger of this tenant launched."""
    registered: OwnedRun | None = None
    """The same of those that registered a wait for this tenant through the worker."""
    known_tenants: frozenset[str] = frozenset()
    """Of `readings_of` the target's id: tenants that there are."""
    attribute: Collection[str] = ()
    """The memo, or the values of the search attribute."""
    described: OwnedRun | None = None
    """The run that the attribute was read of."""


@dataclass(frozen=True, slots=True)
class IdTemplate:
    """`{tenant}-*`: one place for the tenant, a delimiter behind it, and then anything."""

    prefix: str
    delimiter: str

    @classmethod
    def of(cls, text: str) -> IdTemplate:
        """Compile a template; raises OwnershipError."""
        prefix, found, rest = text.partition(TENANT)
        delimiter = rest.removesuffix(ANYTHING)
        if not found or rest == delimiter or not delimiter:
            raise OwnershipError(
                f"a template of workflow ids names {TENANT} once, then a delimiter, then "
                f"{ANYTHING}: {TENANT}/{ANYTHING}"
            )
        if any(part in prefix + delimiter for part in (TENANT, ANYTHING)):
            raise OwnershipError(f"{TENANT} and {ANYTHING} may each stand once in a template")
        return cls(prefix, delimiter)

    def readings_of(self, workflow_id: str) -> Sequence[str]:
        """Every tenant whose template the id fits, the shortest first.

        With `{tenant}-*` the id `acme-eu-1` reads as one of acme, and as one of acme-eu.
        """
        if not workflow_id.startswith(self.prefix):
            return ()
        pieces = workflow_id[len(self.prefix) :].split(self.delimiter)
        if len(pieces) > MOST_READINGS:
            return ()
        readings = (self.delimiter.join(pieces[:count]) for count in range(1, len(pieces)))
        return [reading for reading in readings if reading]


@dataclass(frozen=True, slots=True)
class Namespaces:
    """Tenants' own namespaces: a map, or a template such as `tenant-{tenant}`."""

    by_tenant: Mapping[str, str] = field(default_factory=dict)
    template: str | None = None

    def of(self, tenant: str) -> str | None:
        """The tenant's namespace; None when it has none."""
        if self.template is None:
            return self.by_tenant.get(tenant)
        return self.template.replace(TENANT, tenant)

    def check(self) -> None:
        """Raise OwnershipError where two tenants share a namespace."""
        if self.template is not None and self.template.count(TENANT) != 1:
            raise OwnershipError(f"a template of namespaces names {TENANT} once: team-{TENANT}")
        tenants: dict[str, str] = {}
        for tenant, namespace in self.by_tenant.items():
            if tenant in {"", EVERY_TENANT} or not namespace:
                raise OwnershipError("a tenant and its namespace may be neither blank nor *")
            other = tenants.setdefault(namespace, tenant)
            if other != tenant:
                raise OwnershipError(
                    f"the namespace {namespace} is that of {other} and of {tenant}: each needs "
                    "its own"
                )


@dataclass(frozen=True, slots=True)
class LaunchTarget:
    """A workflow type on a task queue; None: any type on it."""

    workflow_type: str | None
    task_queue: str

    def covers(self, workflow_type: str, task_queue: str) -> bool:
        """Whether a trigger may start this."""
        return self.task_queue == task_queue and self.workflow_type in {None, workflow_type}


@dataclass(frozen=True, slots=True)
class Ownership:
    """How the workflows of tenants are known, and what their triggers may start."""

    basis: Basis = Basis.REGISTERED
    namespaces: Namespaces = field(default_factory=Namespaces)
    workflow_id: IdTemplate | None = None
    attribute: str = MEMO_FIELD
    launches: Mapping[str, Sequence[LaunchTarget]] = field(default_factory=dict)

    @property
    def configured_tenants(self) -> frozenset[str]:
        """Tenants that the settings name."""
        return frozenset(self.namespaces.by_tenant).union(self.launches)

    def readings_of(self, target: Target) -> Sequence[str]:
        """The tenants whose the target's id could be; empty unless ids tell."""
        if self.basis is not Basis.ID or self.workflow_id is None:
            return ()
        return self.workflow_id.readings_of(target.workflow_id)


def owned(ownership: Ownership, tenant: str, target: Target, facts: Facts) -> OwnedRun | None:
    """The run, or runs, of the target that are the tenant's; None: it is not the tenant's."""
    if tenant in {"", EVERY_TENANT} or not target.workflow_id:
        return None
    match ownership.basis:
        case Basis.REGISTERED:
            return facts.launched or facts.registered
        case Basis.NAMESPACE:
            own = ownership.namespaces.of(tenant) == target.namespace
            return OwnedRun() if own else None
        case Basis.ID:
            if _tenant_of_id(ownership, tenant, target, facts) == tenant:
                return OwnedRun()
            return facts.launched  # Pointsman gives the ids of what triggers launch
        case Basis.MEMO | Basis.SEARCH_ATTRIBUTE:
            own = facts.described is not None and set(facts.attribute) == {tenant}
            return facts.described if own else None


def _tenant_of_id(ownership: Ownership, tenant: str, target: Target, facts: Facts) -> str | None:
    """Of all tenants whose the id could be the one with the longest name."""
    known = facts.known_tenants | ownership.configured_tenants | {tenant}
    readings = [reading for reading in ownership.readings_of(target) if reading in known]
    return readings[-1] if readings else None


def may_launch(
    ownership: Ownership, tenant: str, workflow_type: str, task_queue: str, *, is_admin: bool
) -> bool:
    """Whether a tenant's token may make a trigger that starts this type on this task queue.

    What is listed for the tenant; for its administrator also what is listed for nobody.
    """
    if any(each.covers(workflow_type, task_queue) for each in ownership.launches.get(tenant, ())):
        return True
    queues = {each.task_queue for listed in ownership.launches.values() for each in listed}
    return is_admin and task_queue not in queues
