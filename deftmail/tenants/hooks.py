"""What rooms above hang on a person. They register here at start (`AppConfig.ready`), because imports go down only.

Every hook is called inside `tenant_tx` of the person's company.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from uuid import UUID

from django.utils.functional import Promise

from deftmail.tenants.models import User

PasswordChanged = Callable[[User, str], None]
MaySignIn = Callable[[User], "str | Promise | None"]
SignedIn = Callable[[User], object]
HasMailbox = Callable[[User], bool]
HostsDomain = Callable[[UUID, str], bool]
LastSignIns = Callable[[UUID, Collection[UUID]], Mapping[UUID, datetime]]

password_changed_hooks: list[PasswordChanged] = []
"""Called with the person and the bare `$2b$…` hash in the transaction of the change: a refusal or fault undoes it."""

may_sign_in_hooks: list[MaySignIn] = []
"""Asked at each sign-in, after the password was right: a sentence why he may not, or None."""

signed_in_hooks: list[SignedIn] = []
"""Told of each sign-in on the web."""

has_mailbox_hooks: list[HasMailbox] = []
"""Does this person read his mail here? Then his address is fixed, and a password reset never goes to it."""

hosts_domain_hooks: list[HostsDomain] = []
"""Asked with (company, domain in A-labels): is it one of the company's own? A recovery address must be elsewhere."""


last_sign_ins_hooks: list[LastSignIns] = []
"""Asked with (company, people): when did they last sign in elsewhere than on the web? Who never did is left out."""


def refusal_to_sign_in(user: User) -> str:
    """Why he may not sign in, or ""."""
    return next((str(reason) for hook in may_sign_in_hooks if (reason := hook(user))), "")


def has_mailbox(user: User) -> bool:
    """Whether the person reads his mail here."""
    return any(hook(user) for hook in has_mailbox_hooks)


def hosts_domain(tenant_id: UUID, domain: str) -> bool:
    """Whether the domain is one of the company's own."""
    return any(hook(tenant_id, domain) for hook in hosts_domain_hooks)


def last_sign_ins(tenant_id: UUID, people: Collection[User]) -> dict[UUID, datetime | None]:
    """When each of these people last signed in, on the web or elsewhere; None for never."""
    found = [hook(tenant_id, [user.pk for user in people]) for hook in last_sign_ins_hooks]
    return {
        user.pk: max(filter(None, (user.last_login, *(moments.get(user.pk) for moments in found))), default=None)
        for user in people
    }
