"""How the workflows of tenants are known, and what their triggers may start."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings

from correlation.exact_reading import NotJson, read_json
from routing.ownership import (
    ANYTHING,
    EVERY_TENANT,
    MEMO_FIELD,
    SEARCH_ATTRIBUTE,
    TENANT,
    Basis,
    IdTemplate,
    LaunchTarget,
    Namespaces,
    Ownership,
    OwnershipError,
)

_EXAMPLE: Final = '{"acme": [{"workflow": "OrderWorkflow", "task_queue": "orders"}]}'


class OwnershipSettings(BaseSettings):
    """What a tenant's token may reach in Temporal."""

    ownership: Basis = Field(
        default=Basis.REGISTERED,
        description="How a tenant's workflows are known, to which its tokens are confined: "
        "`registered` (its triggers launched them, or they registered a wait through the worker), "
        "`namespace`, `id`, `search_attribute` or `memo`.",
    )
    tenant_namespaces: str | None = Field(
        default=None,
        description="With `namespace`: each tenant's own Temporal namespace, as a JSON object "
        f'(`{{"acme": "acme-prod"}}`) or as a template with `{TENANT}`.',
    )
    tenant_workflow_id: str | None = Field(
        default=None,
        description=f"With `id`: a template such as `{TENANT}/{ANYTHING}`. An id that fits two "
        "tenants is that of the longer name; best is a delimiter that no tenant's name contains.",
    )
    tenant_attribute: str | None = Field(
        default=None,
        min_length=1,
        description="With `search_attribute` or `memo`: the name of the attribute that holds the "
        f"tenant. Unset: `{SEARCH_ATTRIBUTE}`, `{MEMO_FIELD}`.",
    )
    tenant_launches: str | None = Field(
        default=None,
        description="What triggers may start that are made with a token below `admin`, as a JSON "
        f"object: `{_EXAMPLE}`. Without `workflow`: any type on the task queue. A queue that is "
        "listed is refused to other tenants' administrators, too.",
    )

    @model_validator(mode="after")
    def _tells_tenants_apart(self) -> OwnershipSettings:
        _ = self.ownership_terms
        return self

    @cached_property
    def ownership_terms(self) -> Ownership:
        """The settings as the decision takes them. Raises OwnershipError, a ValueError."""
        terms = Ownership(
            basis=self.ownership,
            namespaces=_namespaces(self.tenant_namespaces or ""),
            workflow_id=_template(self.tenant_workflow_id),
            attribute=self.tenant_attribute or _DEFAULTS.get(self.ownership, MEMO_FIELD),
            launches=_launches(self.tenant_launches or ""),
        )
        if terms.basis is Basis.NAMESPACE and not self.tenant_namespaces:
            raise _missing(Basis.NAMESPACE, "POINTSMAN_TENANT_NAMESPACES")
        if terms.basis is Basis.ID and terms.workflow_id is None:
            raise _missing(Basis.ID, "POINTSMAN_TENANT_WORKFLOW_ID")
        return terms


_DEFAULTS: Final = {Basis.SEARCH_ATTRIBUTE: SEARCH_ATTRIBUTE}


def _missing(basis: Basis, variable: str) -> OwnershipError:
    return OwnershipError(f"POINTSMAN_OWNERSHIP={basis} needs {variable}")


def _template(text: str | None) -> IdTemplate | None:
    try:
        return None if text is None else IdTemplate.of(text)
    except OwnershipError as error:
        raise OwnershipError(f"POINTSMAN_TENANT_WORKFLOW_ID: {error}") from None


def _namespaces(text: str) -> Namespaces:
    variable = "POINTSMAN_TENANT_NAMESPACES"
    if not text.lstrip().startswith("{") or text.lstrip().startswith(TENANT):
        namespaces = Namespaces(template=text.strip() or None)
    else:
        by_tenant = _object(variable, text)
        if not all(isinstance(name, str) for name in by_tenant.values()):
            raise OwnershipError(f"{variable}: every tenant's namespace is a text")
        namespaces = Namespaces(by_tenant)
    try:
        namespaces.check()
    except OwnershipError as error:
        raise OwnershipError(f"{variable}: {error}") from None
    return namespaces


def _launches(text: str) -> Mapping[str, Sequence[LaunchTarget]]:
    variable = "POINTSMAN_TENANT_LAUNCHES"
    if not text.strip():
        return {}
    listed = _object(variable, text)
    if {"", EVERY_TENANT} & listed.keys():
        raise OwnershipError(f"{variable}: name each tenant; {EVERY_TENANT} is none")
    try:
        return {tenant: [_launch(each) for each in each_of] for tenant, each_of in listed.items()}
    except (TypeError, AttributeError, KeyError, OwnershipError):
        raise OwnershipError(f"{variable}: expected an object such as {_EXAMPLE}") from None


def _launch(given: Mapping[str, Any]) -> LaunchTarget:
    workflow, queue = given.get("workflow"), given["task_queue"]
    usable = isinstance(queue, str) and queue and (workflow is None or isinstance(workflow, str))
    if not usable or given.keys() - {"workflow", "task_queue"}:
        raise OwnershipError
    return LaunchTarget(workflow, queue)


def _object(variable: str, text: str) -> dict[str, Any]:
    try:
        value = read_json(text)
    except NotJson:
        value = None
    if not isinstance(value, dict):
        raise OwnershipError(f"{variable}: expected a JSON object")
    return value
