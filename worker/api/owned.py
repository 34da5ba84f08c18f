"""Holding what a token asks of Temporal against what is its tenant's; raises Problem (403).

The refusal is the same whether the workflow is another tenant's, nobody's or not there at all.
Administrators of every tenant are the one exception.
"""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Final

from correlation.triggers import Trigger
from pointsman.contract import EVENT_SIGNAL, HUMAN_TASK_SIGNAL
from routing.incoming import RunId
from routing.ownership import Basis, Target, Voucher, may_launch
from routing.run_records import RunLine
from routing.tokens import Scope
from routing.waits import Wait
from worker.api.parts import Parts
from worker.api.principal import Principal
from worker.api.problems import Problem

DEFAULT_SIGNALS: Final = frozenset({EVENT_SIGNAL, HUMAN_TASK_SIGNAL})


async def owned_wait(parts: Parts, caller: Principal, wait: Wait) -> Wait:
    """The wait as it may be registered: with who vouches for it, and bound to the owned run."""
    if wait.run_id is not None and not wait.run_id.strip():
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "run_id is blank",
            field="run_id",
            fix="name the run, or leave run_id out",
        )
    if wait.signal_name not in DEFAULT_SIGNALS and not caller.may(Scope.ADMIN):
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "a signal of another name than the default takes the scope admin",
            field="signal_name",
            fix="leave signal_name out, or use a token with the scope admin",
            code="SIGNAL_NOT_ALLOWED",
        )
    if caller.sees_every_tenant:
        return replace(wait, vouched_by=Voucher.ADMINISTRATOR)
    target = Target(wait.namespace, wait.workflow_id, wait.run_id)
    run = await parts.owners.owned(wait.tenant, target)
    if run is None:
        raise _not_owned("workflow_id")
    vouched = replace(wait, vouched_by=Voucher.TOKEN)
    if run.run_id is None:
        return vouched
    # The workflow id may be another tenant's later: the wait dies with the chain that was proved.
    first = None if run.first_run_id is None else RunId(run.first_run_id)
    return replace(vouched, run_id=RunId(run.run_id), first_run_id=first)


async def check_run(parts: Parts, caller: Principal, run: RunLine) -> None:
    """Raise Problem unless the run, one of the tenant's rows, is the tenant's in Temporal."""
    target = Target(run.namespace, run.workflow_id, run.run_id)
    if not caller.sees_every_tenant and await parts.owners.owned(run.tenant, target) is None:
        raise _not_owned("run_id")


async def check_wait(parts: Parts, caller: Principal, tenant: str, wait_id: str) -> None:
    """Raise Problem unless the wait's workflow is the tenant's; of no wait it says nothing."""
    if not caller.sees_every_tenant and not await parts.owners.owns_wait(tenant, wait_id):
        raise _not_owned("wait_id")


def check_launch(parts: Parts, caller: Principal, trigger: Trigger) -> None:
    """Raise Problem unless the caller may make a trigger that starts this."""
    if caller.sees_every_tenant:
        return
    ownership = parts.settings.ownership_terms
    namespace = trigger.namespace or parts.settings.temporal_namespace
    if ownership.basis is Basis.NAMESPACE and namespace != ownership.namespaces.of(trigger.tenant):
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "triggers of this tenant may start workflows in its own namespace only",
            field="namespace",
            fix="name the tenant's namespace",
            code="LAUNCH_NOT_ALLOWED",
        )
    if not may_launch(
        ownership,
        trigger.tenant,
        trigger.workflow_type,
        trigger.task_queue,
        is_admin=caller.may(Scope.ADMIN),
    ):
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "triggers of this tenant may not start this workflow type on this task queue",
            field="task_queue",
            fix="use a token with the scope admin, or let an operator list them in "
            "POINTSMAN_TENANT_LAUNCHES",
            code="LAUNCH_NOT_ALLOWED",
        )


def _not_owned(field: str) -> Problem:
    return Problem(
        HTTPStatus.FORBIDDEN,
        "the workflow is not known to be this tenant's",
        field=field,
        fix="let the workflow register the wait through the worker, or see POINTSMAN_OWNERSHIP",
        code="WORKFLOW_NOT_OWNED",
    )
