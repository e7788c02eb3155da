"""A message being written, and how it becomes a JMAP Email (RFC 8621 §4.6)."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from deftmail.jmap.address import Address
from deftmail.jmap.email import TYPED
from deftmail.jmap.errors import InvalidMessage
from deftmail.jmap.ids import check_id

MAX_SUBJECT = 2_000  # characters
MAX_RECIPIENTS = 1_000

_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_MIME_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/[a-z0-9][a-z0-9!#$&^_.+-]{0,126}")
_MESSAGE_ID = re.compile(r"[^\s<>@\x00-\x1f\x7f]{1,200}@[A-Za-z0-9.\[\]:_-]{1,255}")
_EMAIL = re.compile(r"[^\s<>@,;:\"()\[\]\\\x00-\x1f\x7f]{1,64}@[^\s<>@,;:\"()\[\]\\\x00-\x1f\x7f]{1,255}")


def new_message_id(domain: str) -> str:
    """A Message-ID without brackets, in the sender's own domain (RFC 5322 §3.6.4); make it once per composition."""
    return f"{int(time.time()):x}.{secrets.token_hex(10)}@{domain}"


@dataclass(frozen=True, slots=True)
class OutgoingPart:
    """A file that goes with a message; ``inline`` with a ``cid`` when the HTML shows it. ``size`` in bytes."""

    blob_id: str
    name: str
    type: str = "application/octet-stream"
    size: int | None = None
    cid: str | None = None
    inline: bool = False


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """What a person wrote. Bodies are text; everything that ends in a header must be one line.

    ``message_id`` is what makes saving and sending repeatable: keep it the same through all drafts of one composition.
    """

    sender: Address
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    subject: str = ""
    text: str = ""
    html: str | None = None
    attachments: tuple[OutgoingPart, ...] = ()
    message_id: str = ""
    in_reply_to: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    sent_at: datetime | None = None
    typed: str = ""
    """Of a draft: what stands in the recipients' fields and is no address yet, as its writer will read it again."""

    @property
    def recipients(self) -> tuple[str, ...]:
        """Everybody it goes to, each once: the envelope."""
        everybody = {address.key: address.email.strip() for address in (*self.to, *self.cc, *self.bcc)}
        return tuple(everybody.values())


def check_message(message: OutgoingMessage, *, complete: bool) -> None:
    """What no engine should be asked to send: line breaks in headers, broken addresses, no recipient.

    ``complete`` is false for a draft, whose addresses may be half typed and then are left out of it.

    Raises:
        InvalidId: a file that is not a blob id.
        InvalidMessage: with the field; codes ``lineBreak``, ``address``, ``noRecipients``, ``tooMany``, ``tooLong``,
            ``messageId``.
    """
    _one_line("subject", message.subject)
    _one_line("to", message.typed)
    if len(message.subject) > MAX_SUBJECT:
        raise InvalidMessage("subject too long", field="subject", code="tooLong")
    if _MESSAGE_ID.fullmatch(message.message_id) is None:
        raise InvalidMessage("no usable Message-ID", field="message_id", code="messageId")
    for name in ("sender", "to", "cc", "bcc", "reply_to"):
        value = getattr(message, name)
        for address in value if isinstance(value, tuple) else (value,):
            _one_line(name, address.name)
            _one_line(name, address.email)
            if (complete or name == "sender") and not valid_address(address.email):
                raise InvalidMessage(f"not an address: {address.email!r}", field=name, code="address")
    for part in message.attachments:
        check_id(part.blob_id)
        _one_line("attachments", part.cid or "")
    if complete:
        count = len(message.recipients)
        if count == 0:
            raise InvalidMessage("no recipients", field="to", code="noRecipients")
        if count > MAX_RECIPIENTS:
            raise InvalidMessage("too many recipients", field="to", code="tooMany")


def valid_address(email: str) -> bool:
    """Whether an address has the plain shape every engine and mail server takes."""
    return _EMAIL.fullmatch(email.strip()) is not None


def _one_line(field: str, value: str) -> None:
    if _CONTROL.search(value):
        raise InvalidMessage(f"{field} with a line break or control character", field=field, code="lineBreak")


def _addresses(addresses: Iterable[Address]) -> list[dict[str, str | None]] | None:
    found = [Address(a.email.strip(), a.name.strip()).as_jmap() for a in addresses if valid_address(a.email)]
    return found or None


def _file(part: OutgoingPart) -> dict[str, Any]:
    type_ = part.type.split(";", 1)[0].strip().lower()
    if _MIME_TYPE.fullmatch(type_) is None or type_.startswith("multipart/"):
        type_ = "application/octet-stream"
    found: dict[str, Any] = {
        "blobId": part.blob_id,
        "type": type_,
        "name": _CONTROL.sub("_", part.name).replace("/", "_").replace("\\", "_").strip()[:200] or "file",
        "disposition": "inline" if part.inline and part.cid else "attachment",
    }
    if part.cid:
        found["cid"] = part.cid
    return found


def _multipart(kind: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
    return parts[0] if len(parts) == 1 else {"type": f"multipart/{kind}", "subParts": parts}


def as_jmap(message: OutgoingMessage, mailbox_id: str) -> dict[str, Any]:
    """The Email object to create, as a draft in a folder.

    Text first, HTML second, files last: multipart/mixed (multipart/alternative (text, multipart/related (HTML,
    pictures)), files), each level only where it has more than one part.
    """
    inline = [_file(part) for part in message.attachments if part.inline and part.cid and message.html is not None]
    files = [_file(p) for p in message.attachments if not (p.inline and p.cid and message.html is not None)]
    bodies: list[dict[str, Any]] = [{"partId": "text", "type": "text/plain"}]
    values = {"text": {"value": message.text}}
    if message.html is not None:
        bodies.append(_multipart("related", [{"partId": "html", "type": "text/html"}, *inline]))
        values["html"] = {"value": message.html}
    email: dict[str, Any] = {
        "mailboxIds": {mailbox_id: True},
        "keywords": {"$draft": True, "$seen": True},
        "from": _addresses((message.sender,)),
        "to": _addresses(message.to),
        "cc": _addresses(message.cc),
        "bcc": _addresses(message.bcc),
        "replyTo": _addresses(message.reply_to),
        "subject": message.subject,
        "messageId": [message.message_id],
        "inReplyTo": list(message.in_reply_to) or None,
        "references": list(message.references) or None,
        "bodyStructure": _multipart("mixed", [_multipart("alternative", bodies), *files]),
        "bodyValues": values,
        TYPED: message.typed or None,
    }
    if message.sent_at is not None:
        email["sentAt"] = message.sent_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {name: value for name, value in email.items() if value is not None}
