"""Mail to the owner about a domain: it works, it broke, it was given up."""

from __future__ import annotations

from deftmail.domains import tasks
from deftmail.domains.models import Domain
from deftmail.domains.selectors import owner_addresses
from deftmail.kit.jobs import enqueue

KINDS = ("active", "degraded", "failed")


def tell_owner(domain: Domain, kind: str) -> None:
    """Enqueue the mail `domain_<kind>` in the caller's transaction: it leaves exactly when the change is committed."""
    assert kind in KINDS
    for address in owner_addresses(domain.tenant_id):
        enqueue(
            tasks.tell_owner_job,
            tenant_id=str(domain.tenant_id),
            domain_id=str(domain.pk),
            kind=kind,
            to=address,
        )
