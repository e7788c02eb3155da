"""The product's own mail as text and simple HTML from templates `emails/<name>.subject.txt`, `.txt` and `.html`."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.template.loader import render_to_string

from deftmail.kit.conf import conf


class MailText(NamedTuple):
    """A rendered mail: subject on one line, plain text, HTML."""

    subject: str
    text: str
    html: str


def render_mail(name: str, context: dict[str, Any]) -> MailText:
    """Render the mail `name`. Both parts say the same; the base templates add greeting line and footer."""
    values = {"operator_name": "DeftMail", "base_url": conf.base_url, "support_email": conf.support_email, **context}
    subject = " ".join(render_to_string(f"emails/{name}.subject.txt", values).split())
    text = render_to_string(f"emails/{name}.txt", values).strip() + "\n"
    return MailText(subject, text, render_to_string(f"emails/{name}.html", values))
