"""The product's own mail as text and simple HTML from templates `emails/<name>.subject.txt`, `.txt` and `.html`."""

from __future__ import annotations

from email.utils import make_msgid
from typing import Any, NamedTuple

from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string

from deftmail.kit.conf import conf


class MailText(NamedTuple):
    """A rendered mail: subject on one line, plain text, HTML."""

    subject: str
    text: str
    html: str


def render_mail(name: str, context: dict[str, Any]) -> MailText:
    """Render the mail `name`. Both parts say the same; the base templates add the footer."""
    values = {"operator_name": "DeftMail", "base_url": conf.base_url, "support_email": conf.support_email, **context}
    subject = " ".join(render_to_string(f"emails/{name}.subject.txt", values).split())
    text = render_to_string(f"emails/{name}.txt", values).strip() + "\n"
    return MailText(subject, text, render_to_string(f"emails/{name}.html", values))


def send_mail_to(to: str, name: str, context: dict[str, Any]) -> None:
    """Render the mail `name` and hand it to Postfix for one recipient.

    Raises OSError or smtplib.SMTPException where Postfix does not take it: call it from a job, which tries again.
    """
    rendered = render_mail(name, context)
    message = EmailMultiAlternatives(rendered.subject, rendered.text, to=[to])
    message.attach_alternative(rendered.html, "text/html")
    message.extra_headers["Message-ID"] = make_msgid(domain=conf.operator_domain)  # else it names this host
    message.extra_headers["Auto-Submitted"] = "auto-generated"  # RFC 3834 §5: no vacation answers to a machine
    message.send()
