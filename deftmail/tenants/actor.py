"""In whose name something is done: every action takes one, every audit row names one."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from deftmail.kit.errors import Forbidden
from deftmail.tenants.models import Role
from deftmail.tenants.policies import Action, may_act_on, rights_of, rights_of_scopes


@dataclass(frozen=True)
class Actor:
    """A person, an API key, the system or an operator, inside one company.

    label: how the log names him when his row is gone
    user_id: null for keys, jobs and operators' commands
    """

    tenant_id: UUID
    label: str
    rights: frozenset[Action]
    role: str = ""
    user_id: UUID | None = None
    ip: str | None = None
    request_id: str = field(default="", compare=False)

    def can(self, action: Action) -> bool:
        """Whether the actor's rights include `action`."""
        return action in self.rights

    def require(self, action: Action) -> None:
        """Raises Forbidden unless the actor may."""
        if action not in self.rights:
            raise Forbidden

    def require_not_stronger(self, other_role: str) -> None:
        """Raises Forbidden when the other holds a right the actor lacks."""
        if not may_act_on(self.rights, other_role):
            raise Forbidden

    @classmethod
    def person(
        cls, tenant_id: UUID, role: str, user_id: UUID, email: str, *, ip: str | None = None, request_id: str = ""
    ) -> Actor:
        """A signed-in person with the rights of his role."""
        return cls(tenant_id, email, rights_of(role), role, user_id, ip, request_id)

    @classmethod
    def key(cls, tenant_id: UUID, name: str, scopes: list[str], *, ip: str | None, request_id: str = "") -> Actor:
        """An API key with the rights of its scopes."""
        return cls(tenant_id, f"API key {name}", rights_of_scopes(scopes), "", None, ip, request_id)

    @classmethod
    def system(cls, tenant_id: UUID, label: str = "DeftMail") -> Actor:
        """A job or an operator's command: an owner's rights, named as what it is."""
        return cls(tenant_id, label, rights_of(Role.OWNER))
