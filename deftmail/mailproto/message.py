"""Building messages: RFC 5322 with MIME, by the standard library, with nothing injected.

The webmail's messages are built by the engine over JMAP; this is for the product's own mail, the demo and the tests.
"""

import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import Address as HeaderAddress
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from deftmail.mailproto.addresses import Recipient, clean_header
from deftmail.mailproto.errors import HeaderError
from deftmail.mailproto.filenames import clean_filename
from deftmail.mailproto.sentences import gettext_noop as _

_CONTENT_TYPE = re.compile(r"([a-z0-9!#$&^_.+-]{1,60})/([a-z0-9!#$&^_.+-]{1,120})\Z")  # RFC 6838 §4.2
_ID = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]+@[A-Za-z0-9.:\[\]-]+\Z")


@dataclass(frozen=True, slots=True)
class Attachment:
    """One attached file; with ``cid`` (without angle brackets) an inline part of the HTML body (RFC 2392)."""

    name: str
    content_type: str
    data: bytes
    cid: str = ""


def new_message_id(domain: str) -> str:
    """Return a fresh Message-ID with its angle brackets, under the sender's domain (RFC 5322 §3.6.4)."""
    return f"<{int(time.time() * 1000):x}.{secrets.token_hex(10)}@{domain}>"


def build_message(
    *,
    sender: Recipient,
    to: Sequence[Recipient],
    subject: str,
    text: str,
    cc: Sequence[Recipient] = (),
    html: str | None = None,
    attachments: Sequence[Attachment] = (),
    in_reply_to: Sequence[str] = (),
    references: Sequence[str] = (),
    message_id: str | None = None,
    date: datetime | None = None,
    headers: Sequence[tuple[str, str]] = (),
) -> EmailMessage:
    """Build a message with CRLF line ends (``email.policy.SMTP``); Bcc is the envelope's matter and never a header.

    Identifiers come with or without angle brackets; ``date`` is aware, now by default; ``headers`` are further ones,
    as ``("Auto-Submitted", "auto-generated")``. Raises :class:`HeaderError` for a value that cannot stand in a header.
    """
    message = EmailMessage(policy=SMTP)
    message["Date"] = format_datetime(date or datetime.now(UTC))
    message["From"] = _header_address(sender)
    for name, people in (("To", to), ("Cc", cc)):
        if people:
            message[name] = [_header_address(person) for person in people]
    message["Subject"] = clean_header(subject)
    message["Message-ID"] = _bracketed(message_id or new_message_id(sender.address.domain.ascii))
    if in_reply_to:
        message["In-Reply-To"] = " ".join(map(_bracketed, in_reply_to))
    if references:
        message["References"] = " ".join(map(_bracketed, references))
    for name, value in headers:
        message[_header_name(name)] = clean_header(value)
    message.set_content(_encodable(text), cte=None)
    if html is not None:
        message.add_alternative(_encodable(html), subtype="html")
    for attachment in attachments:
        _attach(message, attachment)
    return message


def _attach(message: EmailMessage, attachment: Attachment) -> None:
    match = _CONTENT_TYPE.match(attachment.content_type.lower().partition(";")[0].strip())
    maintype, subtype = (match[1], match[2]) if match else ("application", "octet-stream")
    if maintype in ("message", "multipart"):  # would have to be parsed and re-written; a file stays as it is
        maintype, subtype = "application", "octet-stream"
    filename = clean_filename(attachment.name)
    if attachment.cid:
        html_part = message.get_body(("html",))
        if html_part is not None:
            cid = _bracketed(attachment.cid)
            html_part.add_related(attachment.data, maintype, subtype, cid=cid, filename=filename, disposition="inline")
            return
    message.add_attachment(attachment.data, maintype, subtype, filename=filename)


def _header_address(person: Recipient) -> HeaderAddress:
    return HeaderAddress(clean_header(person.name, limit=200), person.address.local, person.address.domain.ascii)


def _bracketed(identifier: str) -> str:
    inner = clean_header(identifier).removeprefix("<").removesuffix(">")
    if not _ID.match(inner) or len(inner) > 500:
        raise HeaderError("bad_id", _("This is not a message identifier."))
    return f"<{inner}>"


def _header_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,60}", name):  # RFC 5322 §3.6.8
        raise HeaderError("bad_name", _("This is not the name of a header."))
    return name


def _encodable(text: str) -> str:
    return re.sub("[\x00\ud800-\udfff]", "\ufffd", text)
