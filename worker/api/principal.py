"""Who asks, what they may do, and for which tenants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from routing.tokens import EVERY_TENANT, Scope, effective_scopes
from worker.api.problems import Problem


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller who has proved who they are."""

    actor: str
    """Stands in the audit of what operators did."""
    identity: str
    """Tells callers apart for the rate limit."""
    scopes: frozenset[Scope]
    tenants: frozenset[str]
    token_id: str | None = None
    """The API token that proved it; None: something else did."""
    valid_until: datetime | None = None
    """When that proof ends; None: at no time that is known."""

    def may(self, scope: Scope) -> bool:
        """Whether a scope is theirs, by itself or included in another."""
        return scope in effective_scopes(self.scopes)

    @property
    def sees_every_tenant(self) -> bool:
        """Whether they are bound to no tenant in particular: administrators only."""
        return EVERY_TENANT in self.tenants and Scope.ADMIN in self.scopes

    def sees(self, tenant: str) -> bool:
        """Whether a tenant is theirs."""
        return self.sees_every_tenant or (tenant != EVERY_TENANT and tenant in self.tenants)

    @property
    def only_tenant(self) -> str | None:
        """Their tenant when they have one only."""
        if self.sees_every_tenant or len(self.tenants) != 1:
            return None
        return next(iter(self.tenants))

    def reach(self, tenant: str | None) -> Sequence[str] | None:
        """The tenants to look into for a list; None for every one. Raises Problem (403)."""
        if tenant is not None:
            self.check_tenant(tenant)
            return [tenant]
        return None if self.sees_every_tenant else sorted(self.tenants - {EVERY_TENANT})

    def reach_of_object(self, tenant: str | None) -> Sequence[str] | None:
        """The tenants in which an object may be found: of another's there is none."""
        if tenant is not None:
            return [tenant] if self.sees(tenant) else []
        return self.reach(None)

    def check_tenant(self, tenant: str) -> None:
        """Raise Problem (403) unless the tenant is theirs; says nothing of its existence."""
        if not self.sees(tenant):
            raise Problem(
                HTTPStatus.FORBIDDEN,
                "this token is not bound to the tenant that the request names",
                field="tenant",
                fix="name a tenant of the token's, or use a token of that tenant",
            )
