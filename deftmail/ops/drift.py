"""Is the engine as the rows say? Compares everything, repairs what a job can repair.

What nobody wants ("extra") is only reported: mail is never destroyed because a listing was cut short or a row was read
too early. An operator names it to have it removed, and it is looked at once more before that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from uuid import UUID

from deftmail.domains.models import Domain
from deftmail.domains.tasks import sync_domain_job
from deftmail.engine.errors import EngineRefused
from deftmail.engine.names import domain_of
from deftmail.engine.port import FoundDomain, FoundMailbox, MailEngine
from deftmail.engine.sync import request_sync
from deftmail.kit.tenancy import tenant_tx
from deftmail.mailboxes.models import MailUser
from deftmail.mailboxes.tasks import sync_mailbox
from deftmail.ops.selectors import system
from deftmail.ops.selectors.system import WantedDomain, WantedMailbox
from deftmail.tenants import audit
from deftmail.tenants.actor import Actor

EXTRA = frozenset({"domain-extra", "mailbox-extra"})


@dataclass(frozen=True, slots=True)
class Drift:
    """One difference. `name` is a domain or an address; `id` the row's, or for an extra the one it was made for."""

    kind: str
    name: str
    id: UUID | None
    tenant_id: UUID | None = None
    wanted: str = ""
    found: str = ""


@dataclass(slots=True)
class Report:
    """The outcome of one comparison."""

    engine: str
    domains: int = 0
    mailboxes: int = 0
    under_way: int = 0
    drift: list[Drift] = field(default_factory=list)


def compare(engine: MailEngine) -> Report:
    """Compare every domain, key, mailbox and quota. Raises EngineError where the engine cannot be asked.

    The engine is read before the rows, so that what is made in between is no extra.
    """
    report = Report(engine.name)
    found = {domain.name: domain for domain in engine.list_domains()}
    wanted = {domain.name: domain for domain in system.wanted_domains()}
    for name in sorted(found.keys() | wanted.keys()):
        mailboxes = {box.address: box for box in engine.list_mailboxes(name)}
        rows = {row.address: row for row in system.wanted_mailboxes(name)}
        report.domains += name in wanted
        report.mailboxes += len(rows)
        report.under_way += sum(row.under_way for row in rows.values())
        if name in wanted and wanted[name].under_way:
            report.under_way += 1
        else:
            report.drift += _domain_drift(name, wanted.get(name), found.get(name))
        for address in sorted(mailboxes.keys() | rows.keys()):
            report.drift += _mailbox_drift(engine, address, rows.get(address), mailboxes.get(address))
    return report


def _domain_drift(name: str, wanted: WantedDomain | None, found: FoundDomain | None) -> Iterator[Drift]:
    if wanted is None:
        if found is not None and (found.id is not None or found.keys):
            yield Drift("domain-extra", name, found.id)
        return
    made = (name, wanted.id, wanted.tenant_id)
    if found is None or (found.id is None and not found.keys):
        yield Drift("domain-missing", *made)
    elif found.id != wanted.id:
        yield Drift("domain-of-another-row", *made, str(wanted.id), str(found.id))
    elif found.signing is None:
        yield Drift("key-missing", *made, wanted.key.selector)
    elif found.signing != wanted.key:
        yield Drift("key-differs", *made, _shown(wanted.key), _shown(found.signing))


def _shown(key: object) -> str:
    return f"{getattr(key, 'selector', '')} {getattr(key, 'fingerprint', '')[:16]}"


def _mailbox_drift(
    engine: MailEngine, address: str, wanted: WantedMailbox | None, found: FoundMailbox | None
) -> Iterator[Drift]:
    if wanted is None:
        if found is not None:
            yield Drift("mailbox-extra", address, found.id, found=f"{found.used_bytes} bytes")
        return
    if wanted.under_way:
        return
    made = (address, wanted.id, wanted.tenant_id)
    if found is None:
        yield Drift("mailbox-missing", *made)
        return
    if found.id != wanted.id:
        yield Drift("mailbox-of-another-row", *made, str(wanted.id), str(found.id))
        return
    if found.quota_mb != wanted.quota_mb:
        yield Drift("quota-differs", *made, str(wanted.quota_mb), str(found.quota_mb))
    if found.state is not None and found.state != wanted.state:
        yield Drift("state-differs", *made, wanted.state, found.state)
    if found.display_name is not None and found.display_name != wanted.display_name:
        yield Drift("name-differs", *made, wanted.display_name, found.display_name)


def repair(drift: Drift) -> None:
    """Run the job of one row now. Nothing to do for extras. How it went is on the row, and in the next comparison."""
    if drift.tenant_id is None or drift.id is None:
        return
    mailbox = "@" in drift.name
    with tenant_tx(drift.tenant_id):
        if mailbox:
            request_sync(MailUser.objects.filter(pk=drift.id))  # tenant-scope: in the row's own company
        else:
            request_sync(Domain.objects.filter(pk=drift.id))  # tenant-scope: in the row's own company
    if mailbox:
        sync_mailbox(tenant_id=str(drift.tenant_id), mailbox_id=str(drift.id))
    else:
        sync_domain_job(tenant_id=str(drift.tenant_id), domain_id=str(drift.id))


def delete_extra(engine: MailEngine, name: str) -> None:
    """Remove from the engine a mailbox or domain that no row stands for, looked at anew. In the operators' log, and
    where a company has proven the domain, in its own. Raises EngineRefused where a row stands for it, where it is not
    there, or where it was not made by us."""
    if system.is_wanted(name):
        raise EngineRefused(f"{name} is wanted: a row stands for it")
    used = 0
    if "@" in name:
        box = next((box for box in engine.list_mailboxes(domain_of(name)) if box.address == name), None)
        made_for, used = (box.id, box.used_bytes) if box else (None, 0)
    else:
        domain = next((domain for domain in engine.list_domains() if domain.name == name), None)
        made_for = domain.id if domain else None
    if made_for is None:
        raise EngineRefused(f"{name} is not in the engine, or was not made by DeftMail: remove it by hand")
    who = audit.command_line()
    # Before the act: it can be repeated, and what is gone must not be gone without a trace.
    audit.record_operator(who, "engine.extra_erased", name, made_for=made_for, used_bytes=used)
    if "@" in name and (company := system.holder_of(domain_of(name))) is not None:
        with tenant_tx(company):
            audit.record(Actor.system(company, who), "engine.extra_erased", address=name, used_bytes=used)
    if "@" in name:
        engine.remove_mailbox(name, made_for)
    else:
        engine.remove_domain(name, made_for)
