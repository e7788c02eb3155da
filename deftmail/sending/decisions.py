"""May this message leave, may this recipient receive: facts in, verdict out. Pure; no database, no clock, no network.

Every door asks here (Postfix's policy service today), so that all give the same answer with the same sentence. What is
refused is always `450 4.7.1` (wait, the mail stays queued) or `550 5.7.1` (give up): Cyrus turns other enhanced
codes into something else, and loses the sentence.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deftmail.sending.limits import Subject

from deftmail.mailboxes.fullness import MAIL_WAITS
from deftmail.mailproto.addresses import base_address


class Code(StrEnum):
    """What the asking server shall do."""

    OK = "ok"
    LATER = "later"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`sentence` is plain ASCII English: it becomes part of an SMTP reply (RFC 5321 §4.2).

    help_url: where the reply sends people; a page has a link of its own
    """

    code: Code
    reason: str = ""
    sentence: str = ""
    help_url: str = field(default="", kw_only=True)

    @property
    def allowed(self) -> bool:
        return self.code is Code.OK

    @property
    def answer(self) -> str:
        """The sentence for who reads it outside of our pages: with the address to go to."""
        return f"{self.sentence}. See {self.help_url}" if self.help_url else self.sentence

    @property
    def reply(self) -> str:
        """The SMTP reply with its enhanced code (RFC 3463 §3.8, X.7.1); empty when allowed."""
        return {
            Code.OK: "",
            Code.LATER: f"450 4.7.1 {self.answer}",
            Code.REFUSE: f"550 5.7.1 {self.answer}",
        }[self.code]


OK = Verdict(Code.OK)
UNAVAILABLE = Verdict(Code.LATER, "unavailable", "Temporarily unavailable, please try again later")


SIGN_IN_AGAIN = Verdict(Code.LATER, "old-password", "The password was changed, please sign in again")


class Door(StrEnum):
    """Where a message comes in; the `policy_context` Postfix adds for each of its services."""

    MX = "mx"
    SUBMISSION = "submission"
    JMAP = "jmap"
    SIEVE = "sieve"


@dataclass(frozen=True, slots=True)
class BlockFact:
    """A block in force. `whose`: mailbox, domain or company; ends_at: None until somebody has looked at it."""

    whose: str
    reason: str
    ends_at: datetime | None


@dataclass(frozen=True, slots=True)
class Sender:
    """The mailbox that is signed in, and what its message needs to leave.

    addresses: what it may write as, lower case
    dkim_live: the signer holds the key of the mailbox's domain
    subject: whose counters its mail is charged to; help_url: where a refusal sends people
    password_hash: of its present password
    """

    email: str
    addresses: frozenset[str]
    status: str
    status_reason: str
    tenant_status: str
    domain: str
    domain_status: str
    dkim_live: bool
    subject: Subject | None = None
    block: BlockFact | None = None
    help_url: str = ""
    password_hash: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Recipient:
    """What is known here of an address that mail arrives for.

    domain_state: `active` (we receive for it), `claimed` (a company added it, nobody's is active), `unknown`
    mailbox_status: None where no such mailbox exists
    full_for: how long there has been no room in it; None when there is
    """

    domain: str
    domain_state: str
    mailbox_status: str | None = None
    mailbox_ready: bool = False
    refuse_when_disabled: bool = False
    full_for: timedelta | None = None


def may_send(door: Door, account: str, sender: Sender | None, envelope_from: str) -> Verdict:
    """Whether the signed-in `account` may send with this envelope sender (lower case; empty for `<>`).

    `sender` is None when no such mailbox exists. The answer is about the mailbox and the sender only; who receives and
    how many is asked elsewhere.
    """
    if not account:
        return Verdict(Code.REFUSE, "not-signed-in", "Sign in to send mail here")
    if sender is None:
        return Verdict(Code.REFUSE, "no-mailbox", f"There is no mailbox {_plain(account)} here")
    state = _state(sender)
    if not state.allowed:
        return state
    if sender.block is not None:
        return _blocked(sender, sender.block)
    if (wrong := _wrong_sender(door, sender, envelope_from)) is not None:
        return wrong
    if sender.domain_status != "active":
        return Verdict(
            Code.LATER,
            "domain-not-active",
            f"{sender.domain} is not active yet: its DNS records are being checked. Mail leaves when all are found",
        )
    if not sender.dkim_live:
        return Verdict(
            Code.LATER,
            "dkim-not-live",
            f"The signing key of {sender.domain} is being put in place. Please try again in a few minutes",
        )
    return OK


def _state(sender: Sender) -> Verdict:
    if sender.status == "disabled":
        return Verdict(
            Code.REFUSE, "mailbox-disabled", f"The mailbox {sender.email} is disabled. Ask your administrator"
        )
    if sender.status != "active":
        why = f" ({_plain(sender.status_reason)})" if sender.status_reason else ""
        return Verdict(
            Code.REFUSE,
            "mailbox-suspended",
            f"Sending from {sender.email} is suspended{why}. Reading and receiving go on. Ask your administrator",
        )
    if sender.tenant_status != "active":
        word = "suspended" if sender.tenant_status == "suspended" else "closed"
        return Verdict(Code.REFUSE, "company-not-active", f"Sending is stopped: the account of your company is {word}")
    return OK


def _blocked(sender: Sender, block: BlockFact) -> Verdict:
    """The lock charter: why, until when, what goes on, and the way out."""
    whose = {"mailbox": sender.email, "domain": sender.domain}.get(block.whose, "your company")
    until = f"until {block.ends_at.astimezone(UTC):%d %b %H:%M} UTC" if block.ends_at else "until it has been reviewed"
    return Verdict(
        Code.LATER if block.ends_at else Code.REFUSE,
        f"blocked-{block.whose}",
        f"Sending from {whose} is stopped {until}: {_plain(block.reason).rstrip('.')}. Receiving and reading go on",
        help_url=sender.help_url,
    )


def _wrong_sender(door: Door, sender: Sender, envelope_from: str) -> Verdict | None:
    if base_address(envelope_from) in sender.addresses:
        return None
    # A Sieve redirect keeps the sender it received from, a vacation answer has none (RFC 3834 §3.3). Which mailbox
    # pays is known from AUTH=; that no other company's key signs is the signer's rule.
    if door is Door.SIEVE:
        return None
    if not envelope_from:
        return Verdict(Code.REFUSE, "null-sender", "The empty sender <> is for servers only")
    return Verdict(
        Code.REFUSE, "foreign-sender", f"{sender.email} may not send as {_plain(envelope_from)}. Use your own address"
    )


def may_receive(recipient: Recipient) -> Verdict:
    """Whether mail from the world for this recipient is taken now."""
    if recipient.domain_state == "claimed":
        return Verdict(
            Code.LATER, "domain-not-active", f"{_plain(recipient.domain)} is being set up here, please try again later"
        )
    # Said here and not by Postfix's reject_unauth_destination: its smtpd remembers for minutes which addresses were
    # not ours, and would bounce the first mail of a domain that has just become active. Behind us it only defers.
    if recipient.domain_state != "active":
        return Verdict(Code.REFUSE, "not-our-domain", "We do not receive mail for this domain")
    # Nobody's address in our domain: Postfix's own maps refuse it, with their own words.
    if recipient.mailbox_status is None:
        return OK
    if not recipient.mailbox_ready:
        return Verdict(Code.LATER, "mailbox-not-ready", "This mailbox is being set up, please try again later")
    if recipient.mailbox_status == "disabled" and recipient.refuse_when_disabled:
        return Verdict(Code.REFUSE, "mailbox-disabled", "This mailbox no longer accepts mail")
    # A week is time to notice and to tidy up; a sender who is told later than that learns too late.
    if recipient.full_for is not None:
        if recipient.full_for < MAIL_WAITS:
            return Verdict(Code.LATER, "mailbox-full", "This mailbox is full at the moment, please try again later")
        return Verdict(Code.REFUSE, "mailbox-full", "This mailbox has been full for a week and takes no more mail")
    return OK


def _plain(text: str) -> str:
    """Somebody else's words inside our sentence: printable ASCII, short."""
    return "".join(ch if " " <= ch <= "~" else "?" for ch in text)[:200]
