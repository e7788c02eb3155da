"""Jobs of this room: the engine's copy of a mailbox, and how full mailboxes are."""

from __future__ import annotations

from collections import defaultdict
from uuid import UUID

import structlog
from django.urls import reverse
from procrastinate.contrib.django import app
from pydantic import SecretStr

from deftmail.engine.errors import EngineBusy, EngineError
from deftmail.engine.port import MailboxSpec, MailboxState
from deftmail.engine.registry import engine
from deftmail.engine.sync import Work, mailbox_lock, run_removal, run_sync
from deftmail.kit.jobs import DATABASE_RETRY, MAIL_RETRY, enqueue
from deftmail.kit.mail import send_mail_to
from deftmail.kit.tenancy import tenant_tx
from deftmail.mailboxes.actions.record import record_usage
from deftmail.mailboxes.fullness import MAIL_WAITS
from deftmail.mailboxes.models import MailUser
from deftmail.mailboxes.pages import shown_address
from deftmail.mailboxes.selectors import system, told_of

log = structlog.get_logger(__name__)


@app.task(retry=DATABASE_RETRY)
def sync_mailbox(tenant_id: str, mailbox_id: str) -> None:
    """Make the engine's copy of a mailbox as its row says."""
    run_sync(
        tenant_id,
        rows=lambda: MailUser.objects.filter(tenant_id=tenant_id, pk=mailbox_id).select_related("domain"),
        work=_work,
        task=sync_mailbox,
        kwargs={"tenant_id": tenant_id, "mailbox_id": mailbox_id},
    )


@app.task(retry=DATABASE_RETRY)
def remove_mailbox(address: str, mailbox_id: str, attempt: int = 0) -> None:
    """Erase a deleted mailbox and its mail in the engine; only what was made for that row."""
    run_removal(
        lambda: engine().remove_mailbox(address, UUID(mailbox_id)),
        task=remove_mailbox,
        kwargs={"address": address, "mailbox_id": mailbox_id},
        lock=mailbox_lock(address),
        attempt=attempt,
    )


def _work(row: MailUser) -> Work:
    if row.domain.synced_at is None:
        # The job of its domain is on its way; an engine cannot hold a mailbox before its domain.
        raise EngineBusy(f"{row.domain.domain} is not in the engine yet")
    spec = MailboxSpec(
        id=row.pk,
        address=row.email,
        password_hash=SecretStr(row.password_hash),
        display_name=row.display_name,
        quota_mb=row.quota_mb,
        state=MailboxState(row.status),
    )
    return Work(apply=lambda: engine().apply_mailbox(spec), lock=mailbox_lock(row.email))


@app.periodic(cron="*/10 * * * *")
@app.task(queueing_lock="mailboxes-usage")
def refresh_usage(timestamp: int = 0) -> None:
    """Every ten minutes: ask the engine how full each mailbox is, in batches; what fails waits for the next run."""
    for batch in system.ready_mailboxes():
        try:
            usage = engine().usage([address for _tenant, _mailbox, address in batch])
        except EngineError as error:
            log.warning("usage_refresh_stopped", error=error.code)
            return
        by_company: dict[UUID, dict[UUID, int]] = defaultdict(dict)
        for tenant_id, mailbox_id, address in batch:
            if (found := usage.get(address)) is not None:
                by_company[tenant_id][mailbox_id] = found.used_bytes
        for tenant_id, used in by_company.items():
            record_usage(tenant_id, used)


@app.task(retry=DATABASE_RETRY)
def tell_filling_job(tenant_id: str, mailbox_id: str, level: int) -> None:
    """Spread the news that a mailbox reached `level` per cent: one mail job for each who is told."""
    with tenant_tx(tenant_id):
        mailbox = MailUser.objects.select_related("user").filter(tenant_id=tenant_id, pk=mailbox_id).first()
        if mailbox is None or mailbox.quota_told < level:  # deleted, or emptied meanwhile
            return
        for address in told_of(mailbox, level):
            enqueue(send_filling_mail, tenant_id=tenant_id, mailbox_id=mailbox_id, level=level, to=address)


@app.task(retry=MAIL_RETRY)
def send_filling_mail(tenant_id: str, mailbox_id: str, level: int, to: str) -> None:
    """One mail to one address, with the figures of this moment; nothing about a deleted mailbox."""
    with tenant_tx(tenant_id):
        mailbox = MailUser.objects.filter(tenant_id=tenant_id, pk=mailbox_id).first()
    if mailbox is None or mailbox.quota_bytes is None:
        return
    context = {
        "mailbox": mailbox,
        "address": shown_address(mailbox),
        "level": level,
        "full": level >= 100,
        "days": MAIL_WAITS.days,
        "is_own": to == mailbox.email,
        "path": reverse("webmail:index") if to == mailbox.email else mailbox.get_absolute_url(),
    }
    send_mail_to(to, "mailbox_filling", context)
