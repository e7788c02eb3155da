"""Jobs of this room: mail to people about their sending."""

from __future__ import annotations

from uuid import UUID

from django.urls import reverse
from procrastinate.contrib.django import app

from deftmail.domains.models import Domain
from deftmail.kit.jobs import MAIL_RETRY
from deftmail.kit.mail import send_mail_to
from deftmail.kit.tenancy import tenant_tx
from deftmail.mailboxes.models import MailUser
from deftmail.mailboxes.pages import shown_address
from deftmail.sending import meters
from deftmail.sending.actions.warn import warn_near
from deftmail.sending.limits import Whose
from deftmail.sending.models import Block, ReviewCase
from deftmail.sending.selectors import system
from deftmail.tenants.models import Tenant


@app.task(retry=MAIL_RETRY)
def tell_of_block_job(tenant_id: str, block_id: str, to: str) -> None:
    """Mail `sending_blocked` or `sending_lifted` to one address: as the block stands when the mail leaves."""
    with tenant_tx(tenant_id):
        block = Block.objects.select_related("mail_user", "domain").filter(tenant_id=tenant_id, pk=block_id).first()
        if block is None:
            return
        subject = block.subject_email
    # Not called `block`: inside a template's {% block %} that name is taken.
    name = "sending_blocked" if block.lifted_at is None else "sending_lifted"
    send_mail_to(to, name, {"stop": block, "subject": subject, "path": reverse("sending:meter")})


@app.task(retry=MAIL_RETRY)
def tell_of_case_job(tenant_id: str, case_id: str, to: str) -> None:
    """Mail `review_decided` to one address."""
    with tenant_tx(tenant_id):
        case = ReviewCase.objects.filter(tenant_id=tenant_id, pk=case_id).first()
    if case is None:
        return
    send_mail_to(to, "review_decided", {"case": case, "path": reverse("sending:meter")})


@app.periodic(cron="*/5 * * * *")
@app.task(queueing_lock="sending-near")
def tell_who_is_near(timestamp: int = 0) -> None:
    """Every five minutes: tell who used 80 % of a day's limit, once a day for each mailbox and each domain."""
    for (tenant_id, whose, pk), names in system.near_limit().items():
        with tenant_tx(tenant_id):
            warn_near(tenant_id, whose, pk, names)


@app.task(retry=MAIL_RETRY)
def tell_of_limit_job(
    tenant_id: str, names: list[str], to: str, whose: str = Whose.MAILBOX, pk: str = "", mailbox_id: str = ""
) -> None:
    """Mail `sending_near` to one address, with the figures of this moment; nothing about what was deleted.

    mailbox_id: instead of `pk` in a job that waits since the release that told of mailboxes alone
    """
    pk = pk or mailbox_id
    with tenant_tx(tenant_id):
        company = Tenant.objects.filter(pk=tenant_id).first()
        mailbox = MailUser.objects.filter(tenant_id=tenant_id, pk=pk).first()
        domain = Domain.objects.filter(tenant_id=tenant_id, pk=pk).first()
    if company is None:
        return
    if mailbox is not None:
        known = meters.of_mailboxes(company, [mailbox])
        is_own, subject = to == mailbox.email, shown_address(mailbox)
    elif domain is not None:
        known = meters.of_domains(company, [domain])
        is_own, subject = False, domain.domain_unicode
    else:
        return
    shown = (known or {}).get(UUID(pk), {})
    lines = [(shown[name].meter.label, shown[name]) for name in names if name in shown]
    if not lines:
        raise OSError("the counters cannot be read now")  # tried again as every mail job is
    context = {
        "subject": subject,
        "lines": lines,
        "is_own": is_own,
        "whole_domain": whose == Whose.DOMAIN,
        "path": reverse("sending:door" if is_own else "sending:meter"),
    }
    send_mail_to(to, "sending_near", context)
