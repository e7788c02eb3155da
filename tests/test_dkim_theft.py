"""Two companies on one server: nobody leaves with the other's DKIM signature. The four ways that once worked, and more.

Anna of `thief` tries; `victim` has a live key here. What is refused at the door must be refused; what is let through
(a redirect is somebody else's letter) must carry no signature of the victim.
"""

from __future__ import annotations

import base64
import email
import email.policy
import imaplib
import secrets
import smtplib
import socket
import time
from dataclasses import dataclass
from email.message import Message
from pathlib import Path

import dkim
import pytest

from deftmail.engine.registry import engine
from deftmail.jmap import Address, MailAccount, OutgoingMessage, SendRefused
from tests.world import Company, World, letter, until

pytestmark = pytest.mark.servers
PASSWORD = "plum orbit ledger quay"


@dataclass
class Side:
    """One company with an active domain and one mailbox."""

    company: Company
    domain: str
    mailbox: str


def open_shop(world: World, name: str) -> Side:
    domain = f"{name}{secrets.token_hex(4)}.test"
    company = world.company(name, f"owner@{secrets.token_hex(4)}.example", PASSWORD)
    with company.api as api:
        made = api.post("/domains", json={"domain": domain}).json()
        world.zone(domain)
        world.publish(domain, made["dns_records"])
        verify = f"/domains/{made['id']}/verify"
        until(lambda: api.post(verify).json().get("status") == "active", f"{domain} becomes active")
        box = api.post("/mailboxes", json={"email": f"anna@{domain}", "password": PASSWORD}).json()
        until(lambda: api.get(f"/mailboxes/{box['id']}").json()["provisioning"] == "ready", "the mailbox is ready")
    return Side(company, domain, f"anna@{domain}")


@pytest.fixture(scope="module")
def thief(world: World) -> Side:
    return open_shop(world, "thief")


@pytest.fixture(scope="module")
def victim(world: World) -> Side:
    side = open_shop(world, "victim")
    # The key is live: an honest letter of the victim leaves signed. Without this the tests below would prove nothing.
    subject = f"honest {secrets.token_hex(4)}"
    with world.submission(side.mailbox, PASSWORD) as client:
        client.sendmail(
            side.mailbox, ["x@outside.example"], letter(side.mailbox, "x@outside.example", subject).as_bytes()
        )
    message = until(lambda: caught(world, subject), "the honest letter leaves")
    assert signers(message) == {side.domain}
    assert dkim.verify(message.as_bytes(), dnsfunc=lambda name, timeout=5: world.txt(name.decode()))
    return side


def caught(world: World, subject: str) -> Message | None:
    """The message of that subject among what left for the outside world."""
    box = Path(world.env["DEFTMAIL_OUTBOX_DIR"])
    for path in sorted((box / "new").iterdir(), key=lambda each: each.stat().st_mtime, reverse=True)[:200]:
        raw = path.read_bytes()
        if subject.encode() in raw:
            return email.message_from_bytes(raw, policy=email.policy.compat32)
    return None


def signers(message: Message) -> set[str]:
    """The d= of every signature of a message."""
    found = set()
    for header in message.get_all("DKIM-Signature") or []:
        tags = dict(tag.strip().split("=", 1) for tag in "".join(header.split()).split(";") if "=" in tag)
        found.add(tags.get("d", ""))
    return found


def account_of(side: Side) -> MailAccount:
    """The mailbox by JMAP, as the webmail opens it."""
    return MailAccount(engine().jmap_access(side.mailbox))


def forged(victim: Side, subject: str, to: str = "target@outside.example") -> bytes:
    return letter(f"The boss <boss@{victim.domain}>", to, subject).as_bytes(policy=email.policy.SMTP)


class TestBySubmission:
    def test_the_empty_sender_is_refused(self, world: World, thief: Side, victim: Side):
        with world.submission(thief.mailbox, PASSWORD) as client:
            client.docmd("MAIL FROM:<>")
            code, said = client.rcpt("target@outside.example")
        assert code == 550, said
        assert b"5.7.1" in said

    def test_the_victims_address_as_sender_is_refused(self, world: World, thief: Side, victim: Side):
        with world.submission(thief.mailbox, PASSWORD) as client:
            client.mail(victim.mailbox)
            code, said = client.rcpt("target@outside.example")
        assert code >= 500, said

    @pytest.mark.parametrize("inside", [False, True], ids=["to the world", "to the victim"])
    @pytest.mark.parametrize(
        "head",
        [
            "From: The boss <boss@{victim}>",
            "From: Bank <no-reply@deftmail.test>",
            "From: A colleague <cyrus@{thief}>",
            "From: anna@{thief}\r\nFrom: boss@{victim}",
            "From: anna@{thief}, boss@{victim}",
            "From: boss@{victim}\r\nSender: anna@{thief}",
            "From: <>",
            "X-Nothing: no From at all",
        ],
    )
    def test_a_foreign_from_is_refused(self, world: World, thief: Side, victim: Side, head: str, inside: bool):
        """Inside the house it would arrive without a word of doubt: no DMARC looks at it there."""
        subject = f"forged from {secrets.token_hex(4)}"
        to = victim.mailbox if inside else "target@outside.example"
        raw = f"{head.format(thief=thief.domain, victim=victim.domain)}\r\nTo: {to}\r\nSubject: {subject}\r\n\r\nx\r\n"
        with world.submission(thief.mailbox, PASSWORD) as client, pytest.raises(smtplib.SMTPDataError) as refusal:
            client.sendmail(thief.mailbox, [to], raw.encode())
        assert refusal.value.smtp_code == 554
        assert b"5.7.1 From must be the address you signed in with" in refusal.value.smtp_error
        assert caught(world, subject) is None

    @pytest.mark.parametrize("written", ["Anna <{}>", "{}", '"K, A" <{}>', "Anna <{}> (at work)"])
    @pytest.mark.parametrize("change", [str, str.upper, lambda address: address.replace("@", "+shop@")])
    def test_ones_own_address_leaves_signed_however_it_is_written(self, world: World, thief: Side, written, change):
        subject = f"own from {secrets.token_hex(4)}"
        raw = (
            f"From: {written.format(change(thief.mailbox))}\r\nTo: x@outside.example\r\nSubject: {subject}\r\n\r\nx\r\n"
        )
        with world.submission(thief.mailbox, PASSWORD) as client:
            client.sendmail(thief.mailbox, ["x@outside.example"], raw.encode())
        message = until(lambda: caught(world, subject), "the letter leaves")
        assert signers(message) == {thief.domain}
        assert str(message["Message-ID"]).endswith(f"@{thief.domain}>")


class TestByJmap:
    @pytest.mark.parametrize("sender", ["victim", "empty"])
    def test_a_foreign_or_empty_envelope_sender_is_refused(self, world: World, thief: Side, victim: Side, sender: str):
        account = account_of(thief)
        subject = f"jmap {secrets.token_hex(4)}"
        draft = account.save_draft(
            OutgoingMessage(
                sender=Address(name="The boss", email=f"boss@{victim.domain}"),
                to=(Address(name="", email="target@outside.example"),),
                subject=subject,
                text="Pay this.",
                message_id=f"{secrets.token_hex(8)}@{victim.domain}",
            )
        )
        with pytest.raises(SendRefused) as refusal:
            account.submit(draft.id, victim.mailbox if sender == "victim" else "", ["target@outside.example"])
        assert not refusal.value.temporary
        assert refusal.value.sentence.startswith("The empty sender" if sender == "empty" else thief.mailbox)
        assert caught(world, subject) is None

    def test_ones_own_letter_leaves_signed(self, world: World, thief: Side):
        """Shows that the way is open, so that the others prove something."""
        account = account_of(thief)
        subject = f"jmap own {secrets.token_hex(4)}"
        message = OutgoingMessage(
            sender=Address(name="Anna", email=thief.mailbox),
            to=(Address(name="", email="target@outside.example"),),
            subject=subject,
            text="Hello.",
            message_id=f"{secrets.token_hex(8)}@{thief.domain}",
        )
        account.submit(account.save_draft(message).id, thief.mailbox, ["target@outside.example"])
        left = until(lambda: caught(world, subject), "the letter leaves")
        assert signers(left) == {thief.domain}

    def test_the_victims_address_in_from_is_refused(self, world: World, thief: Side, victim: Side):
        account = account_of(thief)
        subject = f"jmap from {secrets.token_hex(4)}"
        draft = account.save_draft(
            OutgoingMessage(
                sender=Address(name="The boss", email=f"boss@{victim.domain}"),
                to=(Address(name="", email="target@outside.example"),),
                subject=subject,
                text="Pay this.",
                message_id=f"{secrets.token_hex(8)}@{victim.domain}",
            )
        )
        with pytest.raises(SendRefused) as refusal:
            account.submit(draft.id, thief.mailbox, ["target@outside.example"])
        assert not refusal.value.temporary
        assert "From must be the address you signed in with" in refusal.value.sentence
        assert caught(world, subject) is None


class TestBySieve:
    """As if a hostile script had got past us: people cannot store one (ManageSieve refuses them)."""

    def test_a_redirected_forgery_gets_no_signature(self, world: World, thief: Side, victim: Side):
        account = account_of(thief)
        account.sieve_put('redirect "target@outside.example";\n')
        subject = f"redirect {secrets.token_hex(4)}"
        try:
            with world.outside() as server:
                server.sendmail(f"boss@{victim.domain}", [thief.mailbox], forged(victim, subject, thief.mailbox))
            # Either it leaves unsigned, or it was refused on the way in (the victim's DMARC) or out, and stays here.
            deadline = time.monotonic() + 15
            while (message := caught(world, subject)) is None and time.monotonic() < deadline:
                time.sleep(0.5)
        finally:
            account.sieve_put(None)
        if message is not None:
            assert victim.domain not in signers(message)

    def test_a_plain_redirect_does_leave(self, world: World, thief: Side):
        """Shows that the test above looks at a way that is open."""
        account = account_of(thief)
        account.sieve_put('redirect "target@outside.example";\n')
        subject = f"plain redirect {secrets.token_hex(4)}"
        try:
            with world.outside() as server:
                raw = letter("friend@outside.example", thief.mailbox, subject).as_bytes()
                server.sendmail("friend@outside.example", [thief.mailbox], raw)
            message = until(lambda: caught(world, subject), "the redirected letter leaves")
        finally:
            account.sieve_put(None)
        assert signers(message) == set()

    def test_a_vacation_in_the_victims_name_gets_no_signature(self, world: World, thief: Side, victim: Side):
        account = account_of(thief)
        subject = f"away {secrets.token_hex(4)}"
        account.sieve_put(
            f'require "vacation";\nvacation :days 1 :from "boss@{victim.domain}" :subject "{subject}" "Pay this.";\n'
        )
        try:
            with world.outside() as server:
                raw = letter("friend@outside.example", thief.mailbox, f"hello {subject[5:]}").as_bytes()
                server.sendmail(f"friend-{secrets.token_hex(4)}@outside.example", [thief.mailbox], raw)
            deadline = time.monotonic() + 15
            while (message := caught(world, f"Subject: {subject}")) is None and time.monotonic() < deadline:
                time.sleep(0.5)
        finally:
            account.sieve_put(None)
        if message is not None:
            assert victim.domain not in signers(message)

    def test_a_vacation_in_ones_own_name_leaves_signed_and_without_our_mark(self, world: World, thief: Side):
        account = account_of(thief)
        subject = f"away {secrets.token_hex(4)}"
        account.sieve_put(f'require "vacation";\nvacation :days 1 :subject "{subject}" "Back on Monday.";\n')
        try:
            with world.outside() as server:
                raw = letter("friend@outside.example", thief.mailbox, f"hello {subject[5:]}").as_bytes()
                server.sendmail(f"friend-{secrets.token_hex(4)}@outside.example", [thief.mailbox], raw)
            message = until(lambda: caught(world, f"Subject: {subject}"), "the note leaves")
        finally:
            account.sieve_put(None)
        assert signers(message) == {thief.domain}
        assert "X-DeftMail-Account" not in message

    def test_a_mark_that_came_with_the_letter_is_not_believed(self, world: World, thief: Side, victim: Side):
        account = account_of(thief)
        account.sieve_put(
            'require "editheader";\naddheader "X-DeftMail-Account" "boss@'
            + victim.domain
            + '";\nredirect "target@outside.example";\n'
        )
        subject = f"marked {secrets.token_hex(4)}"
        raw = b"X-DeftMail-Account: boss@" + victim.domain.encode() + b"\r\n"
        raw += letter(f"boss@{victim.domain}", thief.mailbox, subject).as_bytes(policy=email.policy.SMTP)
        try:
            with world.outside() as server:
                server.sendmail("friend@outside.example", [thief.mailbox], raw)
            deadline = time.monotonic() + 10
            while (message := caught(world, subject)) is None and time.monotonic() < deadline:
                time.sleep(0.5)
        finally:
            account.sieve_put(None)
        if message is not None:
            assert victim.domain not in signers(message)

    def test_people_cannot_store_scripts(self, world: World, thief: Side):
        host, _, port = world.status["sieve"].rpartition(":")
        token = f"\0{thief.mailbox}\0{PASSWORD}".encode()
        with socket.create_connection((host, int(port)), timeout=10) as client:
            stream = client.makefile("rwb")
            while not stream.readline().startswith((b"OK", b"NO", b"BYE")):
                pass
            stream.write(b'AUTHENTICATE "PLAIN" "' + base64.b64encode(token) + b'"\r\n')
            stream.flush()
            assert stream.readline().startswith((b"NO", b"BYE"))
        # The same password opens IMAP, so it is the service that is refused.
        with world.imap(thief.mailbox, PASSWORD) as imap:
            assert isinstance(imap, imaplib.IMAP4)
