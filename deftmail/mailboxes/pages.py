"""What the mailbox pages say, worked out here so that templates only lay it out."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.timezone import now
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from deftmail.domains.pages import mail_line
from deftmail.engine.registry import engine
from deftmail.kit.conf import conf
from deftmail.kit.models import SyncState
from deftmail.mailboxes.models import MailUser
from deftmail.mailproto.names import parse_domain

POLL = "every 4s"
"""How often a page asks while the engine is at work; it stops when that is done."""

_GROUPS, _GROUP_LENGTH = 4, 5
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"  # nothing that reads as something else


@dataclass(frozen=True)
class Server:
    """One line of a mail program's settings."""

    title: str | Promise
    host: str
    port: int
    security: str


@dataclass(frozen=True)
class Programs:
    """What any mail program asks for. The password is the mailbox's own.

    note: what this installation's mail server cannot do about passwords, in words; empty when it can
    """

    user: str
    servers: tuple[Server, ...]
    others: tuple[Server, ...]
    note: str


def programs_for(mailbox: MailUser) -> Programs:
    """The settings of the mailbox, TLS from the first byte first (RFC 8314 §3), STARTTLS for programs that lack it."""
    return Programs(
        user=mailbox.email,
        servers=(
            _server(gettext_lazy("Incoming mail (IMAP)"), conf.imaps, "SSL/TLS"),
            _server(gettext_lazy("Outgoing mail (SMTP)"), conf.submissions, "SSL/TLS"),
        ),
        others=(
            _server(gettext_lazy("Incoming mail (IMAP)"), conf.imap, "STARTTLS"),
            _server(gettext_lazy("Outgoing mail (SMTP)"), conf.submission, "STARTTLS"),
        ),
        note=""
        if engine().capabilities.app_passwords
        else _("The mail server here has no passwords for single programs: each signs in with the mailbox's password."),
    )


def connected_note() -> str:
    """What becomes of programs that are connected when a mailbox is disabled or gets a new password."""
    if engine().capabilities.ends_sessions:
        return _("Programs that are connected at this moment are signed out within seconds.")
    return _("A program that is connected at this moment can read until it signs in again.")


def _server(title: str | Promise, address: str, security: str) -> Server:
    host, _colon, port = address.rpartition(":")
    return Server(title, host, int(port), security)


def shown_address(mailbox: MailUser) -> str:
    """The address with its domain in the letters people write."""
    local, _at, domain = mailbox.email.rpartition("@")
    return f"{local}@{parse_domain(domain).unicode}" if "xn--" in domain else mailbox.email


def suggested_password() -> str:
    """A password nobody can guess (about 100 bits) and anybody can type."""
    groups = ("".join(secrets.choice(_LETTERS) for _ in range(_GROUP_LENGTH)) for _ in range(_GROUPS))
    return "-".join(groups)


class Row:
    """A mailbox in the list."""

    def __init__(self, mailbox: MailUser) -> None:
        self.mailbox = mailbox
        self.address = shown_address(mailbox)
        self.limit_bytes = mailbox.quota_bytes

    @property
    def mail_waits(self) -> bool:
        """Whether new mail for the full mailbox still waits; else it is refused."""
        refused_from = self.mailbox.refused_from
        return refused_from is not None and now() < refused_from

    @property
    def provisioning(self) -> str:
        """The engine's state as a word of the style guide; empty when all is well."""
        return {SyncState.PENDING: "provisioning", SyncState.FAILED: "failed"}.get(
            SyncState(self.mailbox.sync_state), ""
        )


class MailboxPage(Row):
    """The detail page of a mailbox. `role` is that of its person."""

    def __init__(self, mailbox: MailUser, *, role: str) -> None:
        super().__init__(mailbox)
        self.role = role
        self.programs = programs_for(mailbox)

    @property
    def poll(self) -> str | None:
        """The htmx trigger of the living part while the engine is at work."""
        return POLL if self.mailbox.sync_state == SyncState.PENDING else None

    @property
    def failed(self) -> bool:
        return self.mailbox.sync_state == SyncState.FAILED

    @property
    def is_joined(self) -> bool:
        """An owner or admin reads here: one password for the console and this mailbox."""
        return self.mailbox.user_id is not None and self.role != "user"

    @property
    def state_line(self) -> str:
        """What the state means for its person."""
        mailbox = self.mailbox
        if mailbox.status == MailUser.Status.SUSPENDED:
            return _("Sending is stopped. Reading and receiving go on.")
        if mailbox.status == MailUser.Status.DISABLED:
            if mailbox.refuse_when_disabled:
                return _("Nobody can sign in, and incoming mail is refused.")
            return _("Nobody can sign in. Incoming mail is kept.")
        if mailbox.synced_at is None:
            return _("Mail arrives and leaves once the mail server has set it up.")
        return mail_line(mailbox.domain)
