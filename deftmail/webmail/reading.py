"""One conversation made ready to read: what is folded, what is shown, whom an answer would go to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlencode

from django.http import HttpRequest
from django.urls import reverse
from django.utils.formats import date_format
from django.utils.safestring import SafeString, mark_safe
from django.utils.timezone import localtime
from django.utils.translation import gettext as _

from deftmail.jmap import Address, Conversation, Email, Folder, Folders, Part
from deftmail.mailproto.filenames import clean_filename, default_filename
from deftmail.mailproto.html import is_blank, is_blank_text
from deftmail.mailproto.replies import base_subject
from deftmail.mailproto.text import text_to_html
from deftmail.webmail import answering, bodies, listing, previews
from deftmail.webmail.access import Mail


@dataclass(frozen=True)
class File:
    """An attachment as the page offers it."""

    part: Part
    name: str
    url: str

    @property
    def icon(self) -> str:
        """The icon of its kind."""
        for kind, icon in _ICONS:
            if self.part.type.startswith(kind):
                return icon
        return "file"


_ICONS = (
    ("image/", "file-image"),
    ("audio/", "file-music"),
    ("video/", "file-video"),
    ("message/", "mail"),
    ("text/calendar", "calendar"),
    ("text/csv", "file-spreadsheet"),
    ("application/vnd.ms-excel", "file-spreadsheet"),
    ("application/vnd.openxmlformats-officedocument.spreadsheet", "file-spreadsheet"),
    ("application/zip", "file-archive"),
    ("text/", "file-text"),
    ("application/pdf", "file-text"),
)


@dataclass(frozen=True)
class Message:
    """One message of the conversation."""

    email: Email
    sender: Address | None
    open: bool
    body_url: str
    has_html: bool  # there is an HTML body to show in its frame
    text_html: str  # "" when there is none to show either
    files: list[File]
    to_line: str
    is_mine: bool
    warnings: list[str]
    details: list[tuple[str, str]]
    many: bool  # an answer to all would reach more people than an answer
    list_address: str  # of its mailing list, or ""
    unsubscribe: str  # where one leaves the mailing list, "" when the message names no way

    @property
    def preview(self) -> str:
        """The first words, where it is folded."""
        return previews.of(self.email)


@dataclass(frozen=True)
class Place:
    """The folder an open conversation lies in. key and folder: "" and None for search results, which lie anywhere;
    moved_to: its name where it is not the folder of the list beside it"""

    key: str
    folder: Folder | None = None
    moved_to: str = ""
    folders: Folders | None = None

    @property
    def can(self) -> dict[str, bool]:
        """Which acts make sense there."""
        return listing.acts_in(self.key)

    @property
    def targets(self) -> list[listing.FolderLink]:
        """Where it may be moved to."""
        return listing.targets(listing.links(self.folders), self.key) if self.folders is not None else []


def context(
    request: HttpRequest, mail: Mail, conversation: Conversation, key: str, folders: Folders | None
) -> dict[str, Any]:
    """What the reading pane shows."""
    images = request.GET.get("images") == "1"
    emails = list(conversation.emails)
    last = len(emails) - 1
    first_unread = next((index for index, email in enumerate(emails) if not email.seen), last)
    messages = [
        message(mail, email, opened=index == last or index >= first_unread or email.draft, images=images)
        for index, email in enumerate(emails)
    ]
    answerable = next((item for item in reversed(messages) if not item.email.draft), None)
    query = listing.kept(request.GET)
    tail = f"?{urlencode(query)}" if query else ""
    here = listing.thread_url(key, conversation.thread_id)
    place = place_of(emails, key, folders)
    return {
        "conversation": conversation,
        "thread_id": conversation.thread_id,
        "messages_shown": messages,
        "answerable": answerable,
        "folder_key": key,
        "place": place,
        "ids": ",".join(email.id for email in emails if place.folder is None or place.folder.id in email.mailbox_ids),
        "all_ids": ",".join(email.id for email in emails),
        "starred": any(email.flagged for email in emails),
        "reading_subject": base_subject(conversation.subject) or _("(no subject)"),
        "reading_url": here + tail,
        "has_html": any(item.has_html for item in messages),
        "images_url": f"{here}?{urlencode({**query, 'images': '1'})}",
        "view": urlencode(query),
        "list_url": listing.list_url(key) + tail,
    }


def place_of(emails: list[Email], key: str, folders: Folders | None) -> Place:
    """The folder whose acts a conversation takes beside the list `key`: another one where it has left that list."""
    if folders is None:
        return Place(key)
    shown = listing.find_folder(folders, key) if key else None
    # Search results lie anywhere; only what is in Trash or Junk has left them.
    list_of = {shown.id} if shown else {each.id for each in folders.all if each.role not in ("trash", "junk")}
    lies_in = [each for email in reversed(emails) for each in folders.all if each.id in email.mailbox_ids]
    elsewhere = None
    if not any(each.id in list_of for each in lies_in):
        # What was answered has a copy in Sent, wherever it went itself.
        elsewhere = min(lies_in, key=lambda each: each.role in listing.OUTGOING, default=None)
    found = elsewhere or shown
    return Place(
        key=listing.folder_key(found) if found else key,
        folder=found,
        moved_to=listing.folder_name(elsewhere) if elsewhere else "",
        folders=folders,
    )


def message(mail: Mail, email: Email, *, opened: bool, images: bool) -> Message:
    """One message for the template."""
    email = bodies.readable(email)
    # A blank one is not worth a frame, and there may be words in its plain alternative.
    html = email.html is not None and not is_blank(email.html)
    text = "" if html or is_blank_text(email.text) else text_to_html(email.text, fold=_("Quoted text"))
    sender = email.from_[0] if email.from_ else None
    mine = sender is not None and sender.email.lower() in mail.own
    body_url = reverse("webmail:body", args=[email.id]) + ("?images=1" if images else "")
    return Message(
        email=email,
        sender=sender,
        open=opened,
        body_url=body_url,
        has_html=html,
        text_html=trusted(text),
        files=[file_of(part) for part in email.attachments],
        to_line=_names([*email.to, *email.cc, *email.bcc], mail.own),
        is_mine=mine,
        warnings=_warnings(email, mine),
        details=_details(email),
        many=bool(answering.recipients(email, mail.own, "all")[1]),
        list_address=answering.list_address(email),
        unsubscribe=_unsubscribe(email),
    )


def trusted(clean: str) -> SafeString:
    """What `mailproto.html` made of a message: escaped text or sanitised HTML. The one place where it is believed."""
    return mark_safe(clean)  # noqa: S308  # the argument is the output of the sanitiser, see docs/decisions/0004


def file_of(part: Part) -> File:
    """How an attachment is named and fetched."""
    name = clean_filename(part.name or "", default=default_filename(part.type))
    url = reverse("webmail:attachment", args=[part.blob_id, name]) + "?" + urlencode({"type": part.type})
    return File(part, name, url)


def _names(people: list[Address], own: set[str]) -> str:
    names = [_("me") if person.email.lower() in own else person.label for person in people]
    shown = ", ".join(names[:6])
    return shown + (_(" and %(n)d more") % {"n": len(names) - 6} if len(names) > 6 else "")


def _unsubscribe(email: Email) -> str:
    """A web page, or a letter ready to be sent (RFC 2369 §3.2). Only these two: the addresses are a stranger's."""
    found: dict[str, tuple[str, str]] = {}
    for url in email.list_unsubscribe:
        scheme, _colon, rest = url.strip().partition(":")
        found.setdefault(scheme.lower(), (url.strip(), rest))
    if "https" in found:
        return found["https"][0]
    if "mailto" in found:
        address, _question, query = found["mailto"][1].partition("?")
        subject = parse_qs(query).get("subject", ["unsubscribe"])[0]
        return reverse("webmail:compose") + "?" + urlencode({"to": unquote(address), "subject": subject})
    return ""


def _details(email: Email) -> list[tuple[str, str]]:
    """The head of the message in full; empty lines are left out."""
    when = email.sent_at or email.received_at
    lines = [
        (_("From"), _full(email.from_)),
        (_("Reply to"), _full(email.reply_to)),
        (_("To"), _full(email.to)),
        (_("Cc"), _full(email.cc)),
        (_("Bcc"), _full(email.bcc)),
        (_("Date"), date_format(localtime(when), "j M Y, H:i") if when else ""),
        (_("Subject"), email.subject),
        (_("Message-ID"), " ".join(email.message_id)),
    ]
    return [line for line in lines if line[1]]


def _full(people: tuple[Address, ...]) -> str:
    shown = [f"{person.name} <{person.email}>" if person.name else person.email for person in people[:100]]
    return ", ".join(shown) + (_(" and %(n)d more") % {"n": len(people) - 100} if len(people) > 100 else "")


def _warnings(email: Email, mine: bool) -> list[str]:
    """What a reader should know before he believes the sender."""
    found = []
    # Only the first Authentication-Results is ours: rspamd removes forged ones with our name and writes on top.
    results = email.authentication_results[0].lower() if email.authentication_results else ""
    if not mine and "dmarc=fail" in results:
        found.append(_("The sender's address could not be confirmed: this message may be forged."))
    if email.truncated:
        found.append(_("This message is very long; only its beginning is shown."))
    return found
