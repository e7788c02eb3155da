"""Tell people that a limit of sending is near, once a day."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db.models import Q
from django.utils.timezone import now

from deftmail.domains.models import Domain
from deftmail.domains.selectors import manager_addresses, owner_addresses
from deftmail.kit.jobs import enqueue
from deftmail.mailboxes.models import MailUser
from deftmail.sending.limits import Whose

ONCE_IN = timedelta(hours=24)


def warn_near(tenant_id: UUID, whose: Whose, pk: UUID, names: list[str]) -> bool:
    """Enqueue the mails, unless they were told within a day: of a mailbox to its person and the owners, of what a whole
    domain shares to the owners and admins. Call inside `tenant_tx`.

    names: the limits that are near. Says whether anything was enqueued.
    """
    from deftmail.sending.tasks import tell_of_limit_job  # tasks need the actions in turn

    moment = now()
    model: type[MailUser | Domain] = MailUser if whose is Whose.MAILBOX else Domain
    # One conditional write decides: two workers at once tell once.
    told = (
        model._default_manager.filter(tenant_id=tenant_id, pk=pk)
        .filter(Q(sending_told_at__isnull=True) | Q(sending_told_at__lte=moment - ONCE_IN))
        .update(sending_told_at=moment)
    )
    if not told:
        return False
    if whose is Whose.MAILBOX:
        address = MailUser.objects.values_list("email", flat=True).get(tenant_id=tenant_id, pk=pk)
        people = list(dict.fromkeys([address, *owner_addresses(tenant_id)]))
    else:
        people = manager_addresses(tenant_id)
    for to in people:
        enqueue(tell_of_limit_job, tenant_id=str(tenant_id), whose=whose, pk=str(pk), names=names, to=to)
    return True
