"""What several actions need: their transaction, quota within the plan, a good password, the engine told."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError

from deftmail.engine.sync import mailbox_lock, request_sync
from deftmail.kit.jobs import enqueue
from deftmail.kit.names import one_line
from deftmail.kit.tenancy import tenant_tx
from deftmail.mailboxes.errors import PasswordRefused, QuotaInvalid
from deftmail.mailboxes.models import MailUser
from deftmail.tenants.actor import Actor
from deftmail.tenants.models import Tenant, User

MAX_QUOTA_MB = 10_000_000
"""10 TB: beyond it a number is a slip of the finger, and `integer` columns stay far from their end."""

MAX_NAME = 255

P = ParamSpec("P")
R = TypeVar("R")


def in_company(action: Callable[P, R]) -> Callable[P, R]:
    """Run an action of keyword arguments in one transaction of its `actor`'s company, a savepoint where one is open."""

    @functools.wraps(action)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        actor = kwargs["actor"]
        assert isinstance(actor, Actor)
        with tenant_tx(actor.tenant_id):
            return action(*args, **kwargs)

    return wrapped


def tidy_name(name: str | None) -> str:
    """A display name as it is kept; "" for none."""
    return one_line(name or "")[:MAX_NAME]


def quota_within(company: Tenant, quota_mb: int | None) -> int | None:
    """The quota to store, in MiB: what was asked, or the plan's where nothing was. Raises QuotaInvalid."""
    ceiling = company.mailbox_quota_mb
    if quota_mb is None:
        return ceiling
    if not 1 <= quota_mb <= min(MAX_QUOTA_MB, ceiling if ceiling is not None else MAX_QUOTA_MB):
        raise QuotaInvalid(ceiling)
    return quota_mb


def check_strength(password: str, *, email: str, name: str) -> None:
    """Raises PasswordRefused with the sentence for the field."""
    try:
        validate_password(password, User(email=email, name=name))
    except ValidationError as error:
        first = error.error_list[0]
        raise PasswordRefused(str(first.messages[0]), reason=str(first.code)) from None


def sync(mailbox: MailUser) -> None:
    """Ask for the engine to be made to agree with the row, in the transaction that changed it."""
    from deftmail.mailboxes.tasks import sync_mailbox  # tasks need the actions in turn

    request_sync(MailUser.objects.filter(tenant_id=mailbox.tenant_id, pk=mailbox.pk))
    mailbox.refresh_from_db(fields=("sync_state", "sync_error", "sync_attempts", "generation"))
    enqueue(
        sync_mailbox,
        lock=mailbox_lock(mailbox.email),
        tenant_id=str(mailbox.tenant_id),
        mailbox_id=str(mailbox.pk),
    )
