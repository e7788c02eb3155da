"""One message (RFC 8621 §4), read so that hostile ones do no harm."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple
from urllib.parse import unquote

from pydantic import Field, field_validator

from deftmail.jmap.address import Addresses
from deftmail.jmap.answers import get_reader
from deftmail.jmap.caller import Caller
from deftmail.jmap.errors import NotFound
from deftmail.jmap.values import Count, Flag, Keys, Line, Model, OptionalText, Text, Texts, When, as_objects

MAX_BODY_VALUE = 512 * 1024  # bytes of one body part fetched for reading
# What browsers show safely inside a page: no SVG, which is a document with scripts.
PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})

CONTENT_TYPE = "header:Content-Type"  # as it is written: `type` has no parameters

_CID = re.compile(r"""\bcid:([^\s"'<>)]{1,1000})""", re.IGNORECASE)

_LIST_HEADERS = {
    "list_id": "header:List-Id:asText",
    "list_post": "header:List-Post:asURLs",
    "list_unsubscribe": "header:List-Unsubscribe:asURLs",
    "list_unsubscribe_post": "header:List-Unsubscribe-Post:asText",
    "authentication_results": "header:Authentication-Results:asText:all",
}
TYPED = "header:X-DeftMail-Typed:asText"
READ_PROPERTIES = [
    *("id", "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt", "sentAt", "subject", "preview"),
    *("messageId", "inReplyTo", "references", "sender", "from", "to", "cc", "bcc", "replyTo", "hasAttachment"),
    *("attachments", "htmlBody", "textBody", "bodyValues"),
    *_LIST_HEADERS.values(),
    TYPED,
]
READ_ARGUMENTS: dict[str, Any] = {
    "properties": READ_PROPERTIES,
    "bodyProperties": ["partId", "blobId", "size", "name", "type", "charset", "disposition", "cid", CONTENT_TYPE],
    "fetchTextBodyValues": True,
    "fetchHTMLBodyValues": True,
    "maxBodyValueBytes": MAX_BODY_VALUE,
}


class Part(Model):
    """One body part (RFC 8621 §4.1.4); ``size`` in bytes after decoding."""

    part_id: OptionalText = Field(None, alias="partId")
    blob_id: OptionalText = Field(None, alias="blobId")
    size: Count = 0
    name: OptionalText = None
    type: Text = "application/octet-stream"
    charset: OptionalText = None
    disposition: OptionalText = None
    cid: OptionalText = None
    content_type: Text = Field("", alias=CONTENT_TYPE)

    @field_validator("type", mode="after")
    @classmethod
    def _some_type(cls, value: str) -> str:
        return value.lower() or "application/octet-stream"


class BodyValue(Model):
    value: str = ""
    is_truncated: Flag = Field(False, alias="isTruncated")
    is_encoding_problem: Flag = Field(False, alias="isEncodingProblem")

    @field_validator("value", mode="before")
    @classmethod
    def _text(cls, value: object) -> str:
        return value if isinstance(value, str) else ""


def _parts(value: object) -> tuple[Part, ...]:
    return tuple(Part.model_validate(item) for item in as_objects(value))


def _values(value: object) -> dict[str, Any]:
    return {k: v for k, v in value.items() if isinstance(v, dict)} if isinstance(value, dict) else {}


class Email(Model):
    """A message as the reading view needs it. Message ids come without angle brackets."""

    id: Text
    blob_id: Text = Field("", alias="blobId")
    thread_id: Text = Field("", alias="threadId")
    mailbox_ids: Keys = Field(frozenset(), alias="mailboxIds")
    keywords: Keys = frozenset()
    size: Count = 0
    received_at: When = Field(None, alias="receivedAt")
    sent_at: When = Field(None, alias="sentAt")
    subject: Line = ""
    preview: Line = ""
    message_id: Texts = Field((), alias="messageId")
    in_reply_to: Texts = Field((), alias="inReplyTo")
    references: Texts = ()
    sender: Addresses = ()
    from_: Addresses = Field((), alias="from")
    to: Addresses = ()
    cc: Addresses = ()
    bcc: Addresses = ()
    reply_to: Addresses = Field((), alias="replyTo")
    has_attachment: Flag = Field(False, alias="hasAttachment")
    list_id: OptionalText = Field(None, alias=_LIST_HEADERS["list_id"])
    list_post: Texts = Field((), alias=_LIST_HEADERS["list_post"])
    list_unsubscribe: Texts = Field((), alias=_LIST_HEADERS["list_unsubscribe"])
    list_unsubscribe_post: OptionalText = Field(None, alias=_LIST_HEADERS["list_unsubscribe_post"])
    authentication_results: Texts = Field((), alias=_LIST_HEADERS["authentication_results"])
    typed: Text = Field("", alias=TYPED)

    text_parts: tuple[Part, ...] = Field((), alias="textBody")
    html_parts: tuple[Part, ...] = Field((), alias="htmlBody")
    other_parts: tuple[Part, ...] = Field((), alias="attachments")
    body_values: dict[str, BodyValue] = Field({}, alias="bodyValues")

    _read_parts = field_validator("text_parts", "html_parts", "other_parts", mode="before")(_parts)
    _read_values = field_validator("body_values", mode="before")(_values)

    @property
    def seen(self) -> bool:
        return "$seen" in self.keywords

    @property
    def flagged(self) -> bool:
        return "$flagged" in self.keywords

    @property
    def draft(self) -> bool:
        return "$draft" in self.keywords

    @property
    def answered(self) -> bool:
        return "$answered" in self.keywords

    @property
    def forwarded(self) -> bool:
        return "$forwarded" in self.keywords

    def _value(self, part: Part) -> str:
        value = self.body_values.get(part.part_id or "")
        return value.value if value else ""

    @cached_property
    def text(self) -> str:
        """The plain-text body; empty when the message has only HTML."""
        return "\n".join(self._value(part) for part in self.text_parts if part.type == "text/plain")

    @cached_property
    def html(self) -> str | None:
        """The HTML body exactly as hostile as it came, or None when the message has none.

        Where text and pictures alternate with HTML (RFC 8621 §4.1.4), text is escaped and pictures are ``cid:`` images.
        """
        if not any(part.type == "text/html" for part in self.html_parts):
            return None
        pieces = []
        for part in self.html_parts:
            if part.type == "text/html":
                pieces.append(self._value(part))
            elif part.type.startswith("text/"):
                pieces.append(f'<pre style="white-space: pre-wrap">{html.escape(self._value(part))}</pre>')
            elif part.cid and part.type.startswith("image/"):
                pieces.append(f'<img src="cid:{html.escape(part.cid)}" alt="{html.escape(part.name or "")}">')
        return "\n".join(pieces)

    @property
    def written(self) -> list[tuple[Part, BodyValue]]:
        """The parts of its bodies whose text was fetched, each once."""
        parts = {part.part_id: part for part in (*self.text_parts, *self.html_parts) if part.part_id}
        return [(part, self.body_values[id_]) for id_, part in parts.items() if id_ in self.body_values]

    def with_texts(self, texts: dict[str, str]) -> Email:
        """The same message with other texts in parts, by their id."""
        values = {id_: self.body_values[id_].model_copy(update={"value": text}) for id_, text in texts.items()}
        changed = self.model_copy(update={"body_values": {**self.body_values, **values}})
        for name in ("text", "html", "_media", "inline", "attachments"):  # what was read from the texts before
            changed.__dict__.pop(name, None)
        return changed

    @property
    def truncated(self) -> bool:
        """Whether a body is longer than what was fetched."""
        used = {part.part_id for part in (*self.text_parts, *self.html_parts)}
        return any(value.is_truncated for part_id, value in self.body_values.items() if part_id in used)

    @cached_property
    def _media(self) -> tuple[Part, ...]:
        """All parts that are not body text, each blob once."""
        body = [p for p in (*self.html_parts, *self.text_parts) if not p.type.startswith("text/")]
        seen: dict[tuple[str | None, str | None], Part] = {}
        for part in (*self.other_parts, *body):
            if part.blob_id:
                seen.setdefault((part.part_id, part.blob_id), part)
        return tuple(seen.values())

    @cached_property
    def inline(self) -> tuple[Part, ...]:
        """Pictures that the HTML body shows by ``cid:`` (RFC 2392). Whatever else it names so is a file like any other:
        nothing shows it in its place."""
        named = {unquote(html.unescape(cid)) for cid in _CID.findall(self.html or "")}
        return tuple(p for p in self._media if p.type in PICTURES and p.cid in named)

    @cached_property
    def attachments(self) -> tuple[Part, ...]:
        """Parts to offer for download: all that the body does not show."""
        return tuple(part for part in self._media if part not in self.inline)


read_emails = get_reader(Email.model_validate)


class TextPart(NamedTuple):
    """The beginning of a part that a reader sees as text."""

    type: str
    value: str


class _Beginning(Model):
    id: Text
    parts: tuple[Part, ...] = Field((), alias="textBody")
    values: dict[str, BodyValue] = Field({}, alias="bodyValues")

    _read_parts = field_validator("parts", mode="before")(_parts)
    _read_values = field_validator("values", mode="before")(_values)

    @property
    def texts(self) -> tuple[TextPart, ...]:
        found = [(part.type, self.values.get(part.part_id or "")) for part in self.parts]
        return tuple([TextPart(type_, body.value) for type_, body in found if body is not None])


read_beginnings = get_reader(_Beginning.model_validate)


class EmailCalls(Caller):
    """Reading single messages."""

    def email(self, email_id: str) -> Email:
        """One message with its bodies.

        Raises:
            NotFound: it is not there.
        """
        batch = self._batch()
        call = batch.call("Email/get", {"ids": [self._id(email_id)], **READ_ARGUMENTS}, read_emails)
        items = self._run(batch).get(call).items
        if not items:
            raise NotFound("no such message")
        return items[0]

    def text_parts(self, email_ids: Sequence[str], *, at_most: int) -> dict[str, tuple[TextPart, ...]]:
        """What there is to read of messages that are there, by id: of each part the first ``at_most`` bytes."""
        batch = self._batch()
        arguments = {
            "ids": [self._id(id_) for id_ in email_ids],
            "properties": ["textBody", "bodyValues"],
            "bodyProperties": ["partId", "type"],
            "fetchTextBodyValues": True,
            "maxBodyValueBytes": at_most,
        }
        call = batch.call("Email/get", arguments, read_beginnings)
        found = self._run(batch).get(call).items
        return {email.id: email.texts for email in found}
