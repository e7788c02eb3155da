"""Bytes of messages: bodies in a frame of their own, attachments, pictures, the source. All of it hostile."""

from __future__ import annotations

import re
from urllib.parse import quote

from csp.decorators import csp
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.clickjacking import xframe_options_sameorigin
from django.views.decorators.http import require_safe

from deftmail.jmap import PICTURES, JmapError, MailAccount
from deftmail.kit.errors import NotFound
from deftmail.mailproto.filenames import content_disposition
from deftmail.mailproto.html import sanitize_html
from deftmail.webmail import bodies
from deftmail.webmail.access import Mail, mail_view
from deftmail.webmail.reading import trusted

_TYPE = re.compile(r"^[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}$")

# Nothing runs, nothing is fetched but what is named; `sandbox` holds also when the address is opened by itself.
BODY_POLICY = {
    "default-src": ["'none'"],
    "style-src": ["'unsafe-inline'"],
    "img-src": ["'self'", "data:"],
    "frame-ancestors": ["'self'"],
    "base-uri": ["'none'"],
    "form-action": ["'none'"],
    "sandbox": ["allow-same-origin", "allow-popups", "allow-popups-to-escape-sandbox"],
}
IMAGES_POLICY = {**BODY_POLICY, "img-src": ["'self'", "data:", "https:", "http:"]}


@mail_view(ahead=lambda _request, email_id: [(MailAccount.email, email_id)])
@require_safe
@xframe_options_sameorigin
def body(request: HttpRequest, mail: Mail, email_id: str) -> HttpResponseBase:
    """The HTML body of a message for its sandboxed frame (docs/decisions/0004)."""
    images = request.GET.get("images") == "1"
    try:
        email = bodies.readable(mail.ask(MailAccount.email, email_id), mail.account)
    except JmapError as error:
        if not error.temporary:
            raise
        return render(request, "webmail/body_away.html", status=503)
    pictures = {part.cid: part for part in email.inline if part.cid and part.blob_id}

    def cid_url(cid: str) -> str | None:
        part = pictures.get(cid)
        if part is None or part.blob_id is None:
            return None
        return reverse("webmail:picture", args=[part.blob_id]) + f"?type={quote(part.type)}"

    clean = sanitize_html(email.html or "", cid_url=cid_url, remote_images=images, fold_quotes=_("Quoted text"))
    response = render(request, "webmail/body.html", {"clean": trusted(clean.html), "blocked": clean.blocked_remote})
    response["Referrer-Policy"] = "no-referrer"
    response["Cache-Control"] = "private, max-age=600"
    policy = csp(IMAGES_POLICY if images else BODY_POLICY)
    return policy(lambda _request: response)(request)


@mail_view
@require_safe
def attachment(request: HttpRequest, mail: Mail, blob_id: str, name: str) -> HttpResponseBase:
    """An attachment, always as a download: what a stranger sent is never opened in our origin."""
    kind = request.GET.get("type", "").lower()
    return _download(
        request, mail, blob_id, kind if _TYPE.match(kind) else "application/octet-stream", name, inline=False
    )


@mail_view
@require_safe
def picture(request: HttpRequest, mail: Mail, blob_id: str) -> HttpResponseBase:
    """A picture that a body shows by `cid:`. Raster formats only: an SVG is a document with scripts."""
    kind = request.GET.get("type", "").lower()
    if kind not in PICTURES:
        raise NotFound
    return _download(request, mail, blob_id, kind, "picture", inline=True)


@mail_view
@require_safe
def source(request: HttpRequest, mail: Mail, email_id: str) -> HttpResponseBase:
    """The message as it came, byte for byte."""
    email = mail.account.email(email_id)
    return _download(
        request, mail, email.blob_id, "message/rfc822", f"{email.subject[:80] or 'message'}.eml", inline=False
    )


def _download(
    request: HttpRequest, mail: Mail, blob_id: str, kind: str, name: str, *, inline: bool
) -> HttpResponseBase:
    try:
        download = mail.account.download(blob_id, name="file", type_=kind)
    except JmapError as error:
        if error.temporary:
            raise
        raise NotFound from error
    response = StreamingHttpResponse(download, content_type=kind)
    if download.size is not None:
        response["Content-Length"] = str(download.size)
    response["Content-Disposition"] = content_disposition(name, inline=inline)
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, max-age=3600"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response
