"""Wait for business events inside Temporal workflows, and publish them.

    from pointsman.workflow import wait_for_event      # in a workflow; extra `temporal`
    from pointsman import DomainEvent, Publisher       # in a publisher; extra `redis`

Importing this package needs neither extra: what stands behind one is imported when it is used.
`pointsman.contract` holds the language-neutral contract.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pointsman import contract, workflow
    from pointsman.domain_event import DomainEvent, PublishError
    from pointsman.publisher import BeforePublish, Publisher

__all__ = [
    "BeforePublish",
    "DomainEvent",
    "PublishError",
    "Publisher",
    "contract",
    "workflow",
]

_HOME = {
    "BeforePublish": "pointsman.publisher",
    "DomainEvent": "pointsman.domain_event",
    "PublishError": "pointsman.domain_event",
    "Publisher": "pointsman.publisher",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in __all__:
        return importlib.import_module(f"pointsman.{name}")
    raise AttributeError(f"module 'pointsman' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
