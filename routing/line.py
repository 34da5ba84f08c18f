"""The order in which one workflow is signalled: nothing goes out before what it follows.

There is no time in it. A process that gave deliveries back sends nothing that follows them until
it has claimed them again, or until a later one comes that follows nothing: then they have ended.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TypeAlias

from routing.incoming import Delivery

Target: TypeAlias = tuple[str, str]
"""(tenant, workflow id): deliveries to one target go out one after the other."""


def target_of(delivery: Delivery) -> Target:
    """Whom a delivery goes to."""
    return delivery.tenant, delivery.workflow_id


class Line:
    """Up to which position each workflow's deliveries have gone out from here, or soon will.

    Of a workflow that has been forgotten nothing is admitted that follows anything: it goes to the
    table, from where it is claimed in its order.
    """

    def __init__(self, remembered: int) -> None:
        self._remembered = remembered
        self._last: OrderedDict[Target, int] = OrderedDict()

    def admits(self, delivery: Delivery) -> bool:
        """Whether all that must go out before this one has, or stands before it in memory."""
        if delivery.follows is None:
            return True
        last = self._last.get(target_of(delivery))
        return last is not None and last >= delivery.follows

    def extend(self, delivery: Delivery) -> None:
        """It stands in memory now, behind the workflow's others."""
        target = target_of(delivery)
        self._last[target] = max(delivery.position, self._last.get(target, 0))
        self._last.move_to_end(target)
        if len(self._last) > self._remembered:
            self._last.popitem(last=False)

    def broken(self, target: Target) -> None:
        """Something of the workflow goes back to the table."""
        self._last.pop(target, None)
