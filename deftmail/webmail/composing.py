"""From a message someone answers to the form he writes in, and from the form to what is sent."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from django import forms
from django.core import signing
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from deftmail.jmap import Address, Email, MailAccount, OutgoingMessage, OutgoingPart, Part, new_message_id
from deftmail.mailproto.addresses import parse_recipients, readable_recipients
from deftmail.mailproto.errors import MailprotoError
from deftmail.mailproto.filenames import clean_filename, default_filename
from deftmail.mailproto.html import SanitizedHtml, sanitize_html, sanitize_outgoing
from deftmail.mailproto.replies import MAX_REFERENCES, ReplyMode, forward_subject, reply_subject
from deftmail.mailproto.text import forward_html, forward_text, html_to_text, quote_html, quote_text, text_to_html
from deftmail.webmail import answering
from deftmail.webmail.access import Mail

MAX_ATTACHMENTS = 25 * 1024 * 1024
MAX_FILES = 50
MAX_BODY = 1024 * 1024  # characters
MAX_TYPED = 9_000  # of recipients that are no addresses yet; one header takes no more

_TOO_LONG = gettext_lazy("This message is too long. Take something out of it, or attach it as a file.")
_TAG = re.compile(r"<[a-z][^<>]*>")


@dataclass(frozen=True)
class Attached:
    """A file of the message being written: already in the engine, named by a signed token in the form."""

    blob_id: str
    name: str
    type: str
    size: int
    cid: str = ""

    def token(self, mail: Mail) -> str:
        """Signed for this mailbox, so that sizes are what we measured and ids are what it uploaded or received."""
        return signing.dumps([self.blob_id, self.name, self.type, self.size, self.cid], salt=_salt(mail))

    @classmethod
    def read(cls, mail: Mail, token: str) -> Attached:
        """Raises ValidationError for a token that is not ours."""
        try:
            blob_id, name, kind, size, cid = signing.loads(token, salt=_salt(mail))
        except (signing.BadSignature, ValueError) as error:
            raise forms.ValidationError(_("An attachment could not be read. Attach it again.")) from error
        return cls(blob_id, name, kind, size, cid)

    @property
    def picture_url(self) -> str:
        """Where the editor shows an inline picture from."""
        return reverse("webmail:picture", args=[self.blob_id]) + f"?type={quote(self.type)}"

    def part(self) -> OutgoingPart:
        """For the engine."""
        return OutgoingPart(
            self.blob_id, self.name, self.type, size=self.size, cid=self.cid or None, inline=bool(self.cid)
        )


def _salt(mail: Mail) -> str:
    return f"webmail.attachment:{mail.mailbox.pk}"


@dataclass
class Start:
    """What the composer opens with."""

    initial: dict[str, Any] = field(default_factory=dict)
    attached: list[Attached] = field(default_factory=list)


class ComposeForm(forms.Form):
    """The composer. `rich` is set by the editor's script: without it the plain text is what counts."""

    held_by_limits = False
    """Its error is a limit's or a block's, and the page that explains them is linked."""

    to = forms.CharField(label=gettext_lazy("To"), required=False, max_length=20_000)
    cc = forms.CharField(label=gettext_lazy("Cc"), required=False, max_length=20_000)
    bcc = forms.CharField(label=gettext_lazy("Bcc"), required=False, max_length=20_000)
    subject = forms.CharField(label=gettext_lazy("Subject"), required=False, max_length=900)
    text = forms.CharField(
        label=gettext_lazy("Message"),
        required=False,
        max_length=MAX_BODY,
        strip=False,
        widget=forms.Textarea,
        error_messages={"max_length": _TOO_LONG},
    )
    html = forms.CharField(
        required=False, max_length=MAX_BODY, widget=forms.Textarea, error_messages={"max_length": _TOO_LONG}
    )
    rich = forms.BooleanField(required=False)
    message_id = forms.CharField(required=False, max_length=300)
    draft_id = forms.CharField(required=False, max_length=255)
    answers = forms.CharField(required=False, max_length=255)
    forwards = forms.CharField(required=False, max_length=255)
    in_reply_to = forms.CharField(required=False, max_length=1000)
    references = forms.CharField(required=False, max_length=20_000)
    resumed = forms.BooleanField(required=False)

    @property
    def unplaced_errors(self) -> list[str]:
        """What is wrong with the whole, and with the text in either of its shapes."""
        return [*self.non_field_errors(), *(self["text"].errors or self["html"].errors)]

    def clean_subject(self) -> str:
        return " ".join(str(self.cleaned_data["subject"]).split())


def new(mail: Mail, to: str = "", subject: str = "") -> Start:
    """An empty message."""
    return Start({"to": to[:2000], "subject": subject[:500], "message_id": fresh_id(mail)})


def answer(mail: Mail, original: Email, mode: ReplyMode) -> Start:
    """Reply: to Reply-To or the sender; to the recipients when the message is one's own (RFC 5322 §3.6.2, §3.6.4).

    mode: `reply`, `all`, or `list` (to the mailing list alone, where the message names one; RFC 2369 §3.4)
    """
    to, cc = answering.recipients(original, mail.own, mode)
    threading = answering.threading(original)
    who = original.from_[0].label if original.from_ else _("someone")
    line = _("On %(when)s, %(who)s wrote:") % {"when": _when(original), "who": who}
    body, pictures = _quotable(original)
    return Start(
        {
            "to": _line(to),
            "cc": _line(cc),
            "subject": reply_subject(original.subject),
            "text": "\n\n" + quote_text(_plain(original), attribution=line),
            "html": for_editor("<div><br></div>" + quote_html(body, attribution=line)),
            "message_id": fresh_id(mail),
            "answers": original.id,
            "in_reply_to": " ".join(threading.in_reply_to),
            "references": " ".join(threading.references),
        },
        pictures,
    )


def forward(mail: Mail, original: Email) -> Start:
    """Forward with everything that was attached."""
    head = [
        (_("From"), _line(original.from_)),
        (_("Date"), _when(original)),
        (_("Subject"), original.subject),
        (_("To"), _line(original.to)),
        (_("Cc"), _line(original.cc)),
    ]
    head = [(name, value) for name, value in head if value]
    title = _("Forwarded message")
    body, pictures = _quotable(original)
    return Start(
        {
            "subject": forward_subject(original.subject),
            "text": "\n\n" + forward_text(_plain(original), title=title, headers=head),
            "html": for_editor("<div><br></div>" + forward_html(body, title=title, headers=head)),
            "message_id": fresh_id(mail),
            "forwards": original.id,
            "references": " ".join(answering.threading(original).references),
        },
        [*pictures, *_files(original)],
    )


def resume(mail: Mail, draft: Email) -> Start:
    """Go on with a draft; it keeps its Message-ID, so that saving and sending stay repeatable."""
    body, pictures = _quotable(draft)
    return Start(
        {
            "to": _line(draft.to),
            "cc": _line(draft.cc),
            "bcc": _line(draft.bcc),
            **_typed_in(draft),
            "subject": draft.subject,
            "text": _plain(draft),
            "html": for_editor(body.html),
            "message_id": _own_id(mail, draft.message_id[0] if draft.message_id else ""),
            "draft_id": draft.id,
            "resumed": "1",
            "in_reply_to": " ".join(draft.in_reply_to),
            "references": " ".join(draft.references),
        },
        [*pictures, *_files(draft)],
    )


def for_editor(html: str) -> str:
    """Sanitised HTML as the editor takes it: styles under a name that a page's policy has nothing against.

    A quotation mark inside a value is escaped, so ` style="` in a tag is always the attribute.
    """
    return _TAG.sub(lambda tag: tag[0].replace(' style="', ' data-dm-style="'), html)


def origin_of(mail: Mail, form: ComposeForm) -> tuple[str | None, str | None]:
    """The messages that this one answers and forwards. A draft does not remember their ids: they are found by their
    Message-ID, the parent of an answer and the last reference of a forward, which has no parent."""
    data = form.cleaned_data
    if not data["resumed"] or data["answers"] or data["forwards"]:
        return data["answers"] or None, data["forwards"] or None
    parent = data["in_reply_to"].split()[:1]
    wanted = parent or data["references"].split()[-1:]
    found = mail.account.with_message_id(wanted[0]) if wanted else ()
    known = found[0] if found else None
    return (known, None) if parent else (None, known)


def outgoing(mail: Mail, form: ComposeForm, attached: list[Attached], *, complete: bool) -> OutgoingMessage | None:
    """The message of a valid form; None (with errors on the form) when it cannot be one.

    complete: False for a draft, whose recipients may be half typed.
    """
    people: dict[str, tuple[Address, ...]] = {}
    for name in ("to", "cc", "bcc"):
        people[name] = _recipients(form, name, complete=complete)
    if form.errors:
        return None
    data = form.cleaned_data
    html: str | None = None
    text = data["text"].replace("\r\n", "\n")
    shown: set[str | None] = set()
    if data["rich"]:
        by_url = {item.picture_url: item.cid for item in attached if item.cid}

        def cid_of(url: str) -> str | None:
            shown.add(by_url.get(url))
            return by_url.get(url)

        html = sanitize_outgoing(data["html"], cid_of_url=cid_of)
        text = html_to_text(html, links=True)
    # A picture that was quoted and then taken out of the text goes nowhere; one that is forwarded stays, as a file.
    kept = [
        item if item.cid in shown else replace(item, cid="")
        for item in attached
        if not item.cid or item.cid in shown or data["forwards"]
    ]
    return OutgoingMessage(
        sender=mail.address,
        to=people["to"],
        cc=people["cc"],
        bcc=people["bcc"],
        subject=data["subject"],
        text=text,
        html=html,
        attachments=tuple(item.part() for item in kept),
        message_id=_own_id(mail, data["message_id"]),
        in_reply_to=tuple(data["in_reply_to"].split()[:1]),
        references=tuple(data["references"].split()[:MAX_REFERENCES]),
        typed="" if complete else _typed(form, people),
    )


def total(attached: list[Attached]) -> int:
    """Bytes of all files."""
    return sum(item.size for item in attached)


def upload(account: MailAccount, file: Any) -> Attached:
    """Put an uploaded file into the engine."""
    kind = (file.content_type or "application/octet-stream").split(";")[0].strip().lower()
    blob = account.upload(file, kind, file.size)
    return Attached(blob.id, clean_filename(file.name or ""), kind, file.size)


def _recipients(form: ComposeForm, name: str, *, complete: bool) -> tuple[Address, ...]:
    # A list pasted from a document has a line for each address.
    text = ", ".join(line.strip(" ,") for line in form.cleaned_data.get(name, "").splitlines() if line.strip(" ,"))
    if not text.strip():
        return ()
    try:
        return tuple(Address(item.address.ascii, item.name) for item in parse_recipients(text))
    except MailprotoError as error:
        if complete:
            item, why = error.params.get("item", ""), error.said(_)
            named = not item or f'"{item}"' in why
            form.add_error(
                name, why if named else _("“%(item)s” is not an address: %(why)s") % {"item": item, "why": why}
            )
            return ()
        return tuple(Address(item.address.ascii, item.name) for item in readable_recipients(text))


def _typed(form: ComposeForm, people: dict[str, tuple[Address, ...]]) -> str:
    """The fields of a draft in which something is no address yet, whole: nothing that was typed is lost."""
    fields = {name: " ".join(form.cleaned_data[name].split()) for name in people}
    kept = {name: text for name, text in fields.items() if text and not _is_readable(text)}
    said = json.dumps(kept) if kept else ""
    return said if len(said) <= MAX_TYPED else ""


def _is_readable(text: str) -> bool:
    try:
        return bool(parse_recipients(text))
    except MailprotoError:
        return False


def _typed_in(draft: Email) -> dict[str, str]:
    """What `_typed` wrote; a draft may come from any program, so anything else is nothing."""
    try:
        found = json.loads(draft.typed or "{}")
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    # A header that was folded comes back with more space than it had.
    return {name: " ".join(found[name].split()) for name in ("to", "cc", "bcc") if isinstance(found.get(name), str)}


def says_the_same(sent: Email, message: OutgoingMessage) -> bool:
    """Whether a message that left is this one: same recipients, subject and words."""

    def people(*lists: tuple[Address, ...]) -> set[str]:
        return {person.email.lower() for persons in lists for person in persons}

    return (
        people(sent.to, sent.cc) == people(message.to, message.cc)
        and people(message.bcc) >= people(sent.bcc)
        and sent.subject.strip() == message.subject.strip()
        and _plain(sent).split() == message.text.split()
    )


def fresh_id(mail: Mail) -> str:
    """A Message-ID for a new composition."""
    return new_message_id(mail.mailbox.email.rpartition("@")[2])


def _own_id(mail: Mail, given: str) -> str:
    """The composition's Message-ID, if it is one of our domain's; a forged one is replaced."""
    domain = mail.mailbox.email.rpartition("@")[2]
    local, _at, rest = given.strip("<> ").rpartition("@")
    return f"{local}@{rest}" if rest == domain and local and len(local) < 200 and local.isascii() else fresh_id(mail)


def _quotable(email: Email) -> tuple[SanitizedHtml, list[Attached]]:
    """The body to put into the editor, and the pictures it shows. Remote pictures stay blocked while one writes."""
    # Line breaks of a text live on the class `dm-text`, which an answer does not carry.
    html = email.html if email.html is not None else text_to_html(email.text).replace("\n", "<br>")
    pictures = {part.cid: replace(_attached(part), cid=part.cid) for part in email.inline if part.cid and part.blob_id}

    def url(cid: str) -> str | None:
        return pictures[cid].picture_url if cid in pictures else None

    clean = sanitize_html(html, cid_url=url, remote_images=False, for_quoting=True)
    return clean, list(pictures.values())


def _files(email: Email) -> list[Attached]:
    """What is attached. A Content-ID that nothing shows (many programs write one on every file) is left behind: a part
    with one is a picture of the text here."""
    return [_attached(part) for part in email.attachments if part.blob_id]


def _attached(part: Part) -> Attached:
    return Attached(
        part.blob_id or "", clean_filename(part.name or "", default=default_filename(part.type)), part.type, part.size
    )


def _plain(email: Email) -> str:
    return email.text or html_to_text(email.html or "")


def _line(people: tuple[Address, ...]) -> str:
    return ", ".join(_person(person) for person in people)


def _person(person: Address) -> str:
    if not person.name or person.name == person.email:
        return person.email
    name = person.name.replace("\\", "\\\\").replace('"', '\\"')
    quoted = f'"{name}"' if any(mark in person.name for mark in ',;:<>@()[]"\\.') else person.name
    return f"{quoted} <{person.email}>"


def _when(email: Email) -> str:
    when = email.sent_at or email.received_at
    return date_format(localtime(when), "j M Y, H:i") if when else _("an unknown date")
