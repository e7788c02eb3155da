"""Mail to a person about his own account."""

from __future__ import annotations

from uuid import UUID

from deftmail.kit.jobs import enqueue
from deftmail.tenants.models import User


def tell_person(tenant_id: UUID, user: User, mail: str, *, also: str = "") -> None:
    """Enqueue the notice `mail`, in the caller's transaction: to the address he signs in with, to his recovery address,
    and to `also`."""
    from deftmail.tenants import tasks  # tasks need the actions in turn

    current = User.objects.get(pk=user.pk)
    recovery = current.recovery_email if current.recovery_email_verified_at else ""
    for to in dict.fromkeys((current.email, recovery, also)):
        if to and not to.endswith(".invalid"):  # tenants.displaced
            enqueue(tasks.tell_person, tenant_id=str(tenant_id), user_id=str(user.pk), mail=mail, to=to)
