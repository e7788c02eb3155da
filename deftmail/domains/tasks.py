"""Jobs of this room: the clock of background looks, one look, the engine's copy, mail to the owner."""

from __future__ import annotations

from uuid import UUID

import structlog
from django.utils.timezone import now
from procrastinate.contrib.django import app
from pydantic import SecretStr

from deftmail.domains.models import Domain
from deftmail.domains.selectors import system
from deftmail.engine.port import DkimKeySpec, DomainSpec
from deftmail.engine.registry import engine
from deftmail.engine.sync import Work, domain_lock, run_removal, run_sync
from deftmail.kit.crypto import unseal
from deftmail.kit.errors import NotFound
from deftmail.kit.jobs import DATABASE_RETRY, MAIL_RETRY, enqueue
from deftmail.kit.mail import send_mail_to
from deftmail.kit.tenancy import tenant_tx
from deftmail.tenants.actor import Actor

log = structlog.get_logger(__name__)


@app.periodic(cron="* * * * *")
@app.task(queueing_lock="domains-due")
def start_due_looks(timestamp: int = 0) -> None:
    """Each minute: enqueue one look for every domain whose time has come."""
    for ref in system.claim_due_looks(now()):
        enqueue(
            check_domain_job,
            queueing_lock=f"domain-check:{ref.domain_id}",
            tenant_id=str(ref.tenant_id),
            domain_id=str(ref.domain_id),
        )


@app.task
def check_domain_job(tenant_id: str, domain_id: str) -> None:
    """One look of the schedule, or one that waiting mail asked for."""
    from deftmail.domains.actions.checking import check_domain

    try:
        check_domain(actor=Actor.system(UUID(tenant_id)), domain_id=domain_id, asked=False)
    except NotFound:
        log.info("domain_check_of_deleted", domain_id=domain_id)


@app.task(retry=DATABASE_RETRY)
def sync_domain_job(tenant_id: str, domain_id: str) -> None:
    """Make the engine's copy of a domain as its row says."""
    run_sync(
        tenant_id,
        rows=lambda: Domain.objects.filter(tenant_id=tenant_id, pk=domain_id),
        work=_work,
        task=sync_domain_job,
        kwargs={"tenant_id": tenant_id, "domain_id": domain_id},
        on_ready=_on_ready,
    )


@app.task(retry=DATABASE_RETRY)
def remove_domain_job(name: str, domain_id: str, attempt: int = 0) -> None:
    """Take a deleted domain out of the engine; only what was made for that row."""
    run_removal(
        lambda: engine().remove_domain(name, UUID(domain_id)),
        task=remove_domain_job,
        kwargs={"name": name, "domain_id": domain_id},
        lock=domain_lock(name),
        attempt=attempt,
    )


@app.task(retry=MAIL_RETRY)
def tell_owner_job(tenant_id: str, domain_id: str, kind: str, to: str) -> None:
    """Mail `domain_<kind>` to one address, with the facts of this moment; nothing about a deleted domain."""
    from deftmail.domains.records import checks_of

    with tenant_tx(tenant_id):
        domain = Domain.objects.filter(tenant_id=tenant_id, pk=domain_id).first()
    if domain is None:
        return
    broken = [check for check in checks_of(domain) if check.state in ("fail", "missing")]
    send_mail_to(to, f"domain_{kind}", {"domain": domain, "broken": broken, "path": domain.get_absolute_url()})


def _work(row: Domain) -> Work:
    key = DkimKeySpec(
        row.dkim_selector,
        SecretStr(unseal(row.dkim_private_key, table="domains", tenant_id=row.tenant_id, row_id=row.pk)),
    )
    # Verified opens in the engine first and becomes active once that is done: mail never meets half a domain.
    opens = row.status in (Domain.Status.VERIFIED, Domain.Status.ACTIVE)
    spec = DomainSpec(id=row.pk, name=row.domain, active=opens, dkim=key)
    return Work(apply=lambda: engine().apply_domain(spec), lock=domain_lock(row.domain))


def _on_ready(row: Domain) -> None:
    from deftmail.domains.actions.checking import activate_if_ready

    current = Domain.objects.select_for_update(no_key=True).filter(tenant_id=row.tenant_id, pk=row.pk).first()
    if current is not None:
        activate_if_ready(Actor.system(row.tenant_id), current)
