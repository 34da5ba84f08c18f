"""Holding what a token asks of Temporal against what is its tenant's; raises Problem (403).

The refusal is the same whether the workflow is another tenant's, nobody's or not there at all.
"""

from __future__ import annotations

from http import HTTPStatus

from correlation.triggers import Trigger
from routing.ownership import may_launch
from routing.tokens import Scope
from worker.api.parts import Parts
from worker.api.principal import Principal
from worker.api.problems import Problem


def check_launch(parts: Parts, caller: Principal, trigger: Trigger) -> None:
    """Raise Problem unless the caller may make a trigger that starts this."""
    if caller.sees_every_tenant or may_launch(
        parts.settings.ownership_terms,
        trigger.tenant,
        trigger.workflow_type,
        trigger.task_queue,
        is_admin=caller.may(Scope.ADMIN),
    ):
        return
    raise Problem(
        HTTPStatus.FORBIDDEN,
        "triggers of this tenant may not start this workflow type on this task queue",
        field="task_queue",
        fix="use a token with the scope admin, or let an operator list them in "
        "POINTSMAN_TENANT_LAUNCHES",
        code="LAUNCH_NOT_ALLOWED",
    )
