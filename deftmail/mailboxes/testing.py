"""Mailboxes for tests."""

from __future__ import annotations

import itertools
from typing import Any

from django.utils.timezone import now

from deftmail.domains.models import Domain
from deftmail.kit.models import SyncState
from deftmail.kit.tenancy import tenant_tx
from deftmail.kit.testing import GOOD_PASSWORD, cheap_hash
from deftmail.mailboxes.models import MailUser
from deftmail.tenants.models import Role, Tenant, User
from deftmail.tenants.testing import Person, make_member

_number = itertools.count(1)
_good_hash = cheap_hash(GOOD_PASSWORD)


def make_mailbox(
    domain: Domain, local: str = "", *, ready: bool = True, person: User | None = None, **values: Any
) -> MailUser:
    """A mailbox with `GOOD_PASSWORD`, in the engine unless `ready=False`; of `person`, or of nobody."""
    columns: dict[str, Any] = {"password_hash": _good_hash, "user": person}
    if ready:
        columns |= {"sync_state": SyncState.READY, "synced_at": now()}
    mailbox = MailUser(
        tenant_id=domain.tenant_id, domain=domain, email=f"{local or f'box{next(_number)}'}@{domain.domain}",
        **(columns | values),
    )  # fmt: skip
    with tenant_tx(domain.tenant_id):
        mailbox.save(force_insert=True)
    return mailbox


def make_mailbox_person(tenant: Tenant, domain: Domain, local: str = "", **values: Any) -> tuple[Person, MailUser]:
    """A mailbox and the person (role user, signed in) who reads it."""
    local = local or f"box{next(_number)}"
    person = make_member(tenant, Role.USER, f"{local}@{domain.domain}")
    return person, make_mailbox(domain, local, person=person.user, **values)


def reload(mailbox: MailUser) -> MailUser:
    """The row as it is now."""
    with tenant_tx(mailbox.tenant_id):
        return MailUser.objects.get(pk=mailbox.pk)
