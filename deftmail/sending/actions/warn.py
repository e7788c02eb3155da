"""Tell the people of a mailbox that a limit is near, once a day."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from django.db.models import Q
from django.utils.timezone import now

from deftmail.domains.selectors import owner_addresses
from deftmail.kit.jobs import enqueue
from deftmail.mailboxes.models import MailUser

ONCE_IN = timedelta(hours=24)


def warn_near(tenant_id: UUID, mailbox_id: UUID, names: list[str]) -> bool:
    """Enqueue the mails to its person and the owners, unless they were told within a day. Call inside `tenant_tx`.

    names: the limits that are near. Says whether anything was enqueued.
    """
    from deftmail.sending.tasks import tell_of_limit_job  # tasks need the actions in turn

    moment = now()
    # One conditional write decides: two workers at once tell once.
    told = (
        MailUser.objects.filter(tenant_id=tenant_id, pk=mailbox_id)
        .filter(Q(sending_told_at__isnull=True) | Q(sending_told_at__lte=moment - ONCE_IN))
        .update(sending_told_at=moment)
    )
    if not told:
        return False
    address = MailUser.objects.values_list("email", flat=True).get(tenant_id=tenant_id, pk=mailbox_id)
    for to in dict.fromkeys([address, *owner_addresses(tenant_id)]):
        enqueue(tell_of_limit_job, tenant_id=str(tenant_id), mailbox_id=str(mailbox_id), names=names, to=to)
    return True
