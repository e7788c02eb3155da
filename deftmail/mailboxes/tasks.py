"""Jobs of this room: the engine's copy of a mailbox, and how full mailboxes are."""

from __future__ import annotations

from collections import defaultdict
from uuid import UUID

import structlog
from procrastinate.contrib.django import app
from pydantic import SecretStr

from deftmail.engine.errors import EngineBusy, EngineError
from deftmail.engine.port import MailboxSpec, MailboxState
from deftmail.engine.registry import engine
from deftmail.engine.sync import Work, mailbox_lock, run_removal, run_sync
from deftmail.kit.jobs import DATABASE_RETRY
from deftmail.mailboxes.actions.record import record_usage
from deftmail.mailboxes.models import MailUser
from deftmail.mailboxes.selectors import system

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
