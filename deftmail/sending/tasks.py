"""Jobs of this room: mail to people about their sending."""

from __future__ import annotations

from django.urls import reverse
from procrastinate.contrib.django import app

from deftmail.kit.jobs import MAIL_RETRY
from deftmail.kit.mail import send_mail_to
from deftmail.kit.tenancy import tenant_tx
from deftmail.sending.models import Block, ReviewCase


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
