"""Who may do what: one table, role × action. Pure; walked by a generated test.

Rules the table must keep: a role's rights contain those of every role below it, so "nobody acts on someone
stronger" is a subset test (`may_act_on`).
"""

from __future__ import annotations

from enum import StrEnum

from deftmail.tenants.models import Role, Scope


class Action(StrEnum):
    """Everything a person, a key or a job may be allowed. `<object>.<verb>`."""

    CONSOLE_VIEW = "console.view"
    COMPANY_CHANGE = "company.change"
    COMPANY_DELETE = "company.delete"
    OWNERSHIP_CHANGE = "ownership.change"
    BILLING_MANAGE = "billing.manage"
    PEOPLE_VIEW = "people.view"
    PEOPLE_MANAGE = "people.manage"
    DOMAIN_VIEW = "domain.view"
    DOMAIN_MANAGE = "domain.manage"
    MAILBOX_VIEW = "mailbox.view"
    MAILBOX_MANAGE = "mailbox.manage"
    APIKEY_MANAGE = "apikey.manage"
    AUDIT_VIEW = "audit.view"
    MAIL_USE = "mail.use"
    PROFILE_CHANGE = "profile.change"


_USER = frozenset({Action.MAIL_USE, Action.PROFILE_CHANGE})
_ADMIN = _USER | {
    Action.CONSOLE_VIEW,
    Action.COMPANY_CHANGE,
    Action.PEOPLE_VIEW,
    Action.PEOPLE_MANAGE,
    Action.DOMAIN_VIEW,
    Action.DOMAIN_MANAGE,
    Action.MAILBOX_VIEW,
    Action.MAILBOX_MANAGE,
    Action.APIKEY_MANAGE,
    Action.AUDIT_VIEW,
}
_OWNER = _ADMIN | {Action.COMPANY_DELETE, Action.OWNERSHIP_CHANGE, Action.BILLING_MANAGE}

MATRIX: dict[str, frozenset[Action]] = {Role.USER: _USER, Role.ADMIN: _ADMIN, Role.OWNER: _OWNER}

# What each scope of an API key allows. A key never exceeds the admin role.
SCOPES: dict[str, frozenset[Action]] = {
    Scope.DOMAINS_READ: frozenset({Action.DOMAIN_VIEW}),
    Scope.DOMAINS_WRITE: frozenset({Action.DOMAIN_VIEW, Action.DOMAIN_MANAGE}),
    Scope.MAILBOXES_READ: frozenset({Action.MAILBOX_VIEW}),
    Scope.MAILBOXES_WRITE: frozenset({Action.MAILBOX_VIEW, Action.MAILBOX_MANAGE}),
}


def rights_of(role: str) -> frozenset[Action]:
    """The rights of a role; none for a role nobody knows."""
    return MATRIX.get(role, frozenset())


def rights_of_scopes(scopes: list[str]) -> frozenset[Action]:
    """The rights of an API key."""
    return frozenset().union(*(SCOPES.get(scope, frozenset()) for scope in scopes))


def may_act_on(rights: frozenset[Action], other_role: str) -> bool:
    """True when the other's rights are a subset: nobody acts on someone stronger than himself."""
    return rights_of(other_role) <= rights
