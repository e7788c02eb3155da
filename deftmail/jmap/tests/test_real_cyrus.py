"""The client on a real Cyrus: mail delivered by LMTP into a mailbox of its own, which needs no company and no gate."""

from __future__ import annotations

import base64
import hashlib
import hmac
import imaplib
import json
import os
import secrets
import smtplib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

from deftmail.jmap import (
    Access,
    Address,
    InvalidScript,
    JmapClient,
    MailAccount,
    MethodFailed,
    OutgoingMessage,
    OutgoingPart,
    Search,
    SendRefused,
    new_message_id,
)

pytestmark = pytest.mark.servers


def _environment() -> dict[str, str]:
    """The stack's variables: from the environment, else from the file it writes."""
    folder = os.environ.get("DEFTMAIL_VAR", "")
    found = {}
    path = Path(folder or "var/test") / "deftmail.env"
    if path.is_file():
        lines = [line.partition("=") for line in path.read_text().splitlines() if "=" in line]
        found = {name.removeprefix("export ").strip(): value.strip().strip("'\"") for name, _, value in lines}
    return {**found, **{name: value for name, value in os.environ.items() if name.startswith("DEFTMAIL_CYRUS")}}


class Counting(httpx2.HTTPTransport):
    """Counts what really goes over the socket."""

    count = 0

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.count += 1
        return super().handle_request(request)


class Mailbox:
    """A fresh mailbox on the engine."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env
        self.address = f"jmap-{secrets.token_hex(4)}@jmap.test"
        self.key = base64.b64decode(env["DEFTMAIL_CYRUS_JWT_KEY"])
        self.transport = Counting(uds=env["DEFTMAIL_CYRUS_JMAP_SOCKET"])
        self.client = JmapClient(self.transport)
        self.account = self.account_of(self.address)

    def account_of(self, address: str) -> MailAccount:
        access = Access("http://localhost/jmap/", lambda: self._headers(address), address, engine="cyrus")
        return MailAccount(access, self.client)

    def _headers(self, address: str) -> dict[str, str]:
        def part(data: bytes) -> bytes:
            return base64.urlsafe_b64encode(data).rstrip(b"=")

        payload = json.dumps({"sub": address, "iat": int(time.time()) - 5}).encode()
        signed = part(b'{"alg":"HS256","typ":"JWT"}') + b"." + part(payload)
        token = signed + b"." + part(hmac.new(self.key, signed, hashlib.sha256).digest())
        return {"Authorization": f"Bearer {token.decode()}"}

    def administrator(self) -> imaplib.IMAP4:
        host, _, port = self.env["DEFTMAIL_CYRUS_ADMIN"].rpartition(":")
        connection = imaplib.IMAP4(host, int(port))
        connection.login(self.env["DEFTMAIL_CYRUS_ADMIN_USER"], self.env["DEFTMAIL_CYRUS_ADMIN_PASSWORD"])
        return connection

    def create(self) -> None:
        administrator = self.administrator()
        assert administrator.create(f"user/{self.address}")[0] == "OK"
        assert administrator.setquota(f"user/{self.address}", "(STORAGE 102400)")[0] == "OK"
        administrator.logout()

    def remove(self) -> None:
        administrator = self.administrator()
        user = self.env["DEFTMAIL_CYRUS_ADMIN_USER"]
        administrator.setacl(f"user/{self.address}", user, "lrswipkxtecda")
        administrator.delete(f"user/{self.address}")
        administrator.logout()

    def deliver(self, *messages: str | bytes) -> None:
        host, _, port = self.env["DEFTMAIL_CYRUS_LMTP"].rpartition(":")
        with smtplib.LMTP(host, int(port)) as lmtp:
            for message in messages:
                data = message if isinstance(message, bytes) else message.replace("\n", "\r\n").encode()
                lmtp.sendmail("bob@out.test", [self.address], data)


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    env = _environment()
    assert "DEFTMAIL_CYRUS_JMAP_SOCKET" in env, "the stack is not running"
    box = Mailbox(env)
    box.create()
    yield box
    box.remove()
    box.client.close()


def _message(subject: str, message_id: str, headers: str = "", body: str = "hello\n") -> str:
    return (
        f"From: Bob <bob@out.test>\nTo: x@jmap.test\nSubject: {subject}\nMessage-ID: <{message_id}>\n{headers}\n{body}"
    )


def _within(seconds: float, found: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found():
            return True
        time.sleep(0.3)
    return found()


def test_reading_sorting_and_throwing_away(mailbox: Mailbox) -> None:
    account = mailbox.account
    folders = account.ensure_roles()
    assert [folder.role for folder in folders.all] == ["inbox", "drafts", "sent", "archive", "junk", "trash"]
    mailbox.deliver(_message("Plan", "p1@out.test"))
    time.sleep(1.1)  # times of arrival have whole seconds
    mailbox.deliver(
        _message("Re: Plan", "p2@out.test", "In-Reply-To: <p1@out.test>\nReferences: <p1@out.test>\n"),
        _message("Other", "o1@out.test", "List-Id: News <news.out.test>\nReply-To: <answers@out.test>\n"),
    )
    before = mailbox.transport.count
    page = account.conversations(quota=True)
    assert mailbox.transport.count == before + 1
    rows = {row.subject: row for row in page.rows}
    assert page.total == 2
    plan = rows["Re: Plan"]
    assert (plan.count, len(plan.ids_here), plan.unread) == (2, 2, True)
    assert page.quota is not None
    assert page.quota.total == 100 * 1024 * 1024

    before = mailbox.transport.count
    conversation = account.conversation(plan.thread_id)
    assert mailbox.transport.count == before + 1
    assert [email.message_id for email in conversation.emails] == [("p1@out.test",), ("p2@out.test",)]
    assert conversation.emails[1].references == ("p1@out.test",)

    other = account.email(rows["Other"].email_id)
    assert other.list_id == "News <news.out.test>"
    assert [address.email for address in other.reply_to] == ["answers@out.test"]

    assert account.mark_read(plan.ids_here).ok
    assert account.star(plan.ids_here[:1]).ok
    row = next(row for row in account.conversations().rows if row.thread_id == plan.thread_id)
    assert (row.unread, row.starred) == (False, True)
    assert account.archive(plan.ids_here, from_=folders.role("inbox").id).ok  # type: ignore[union-attr]
    assert account.trash([other.id, "Mnotthere0000"]).done == [other.id]
    assert account.conversations().rows == ()
    assert len(account.conversations(role="archive").rows) == 1
    assert account.empty_folder(account.role_id("trash")).done == [other.id]
    assert account.conversations(role="trash").total == 0

    assert _within(20, lambda: bool(account.search(Search(text="hello", from_="bob")).rows))


def test_drafts_keep_everything_and_never_multiply(mailbox: Mailbox) -> None:
    account = mailbox.account
    picture, file = account.upload(b"\x89PNG" * 50, "image/png"), account.upload(b"%PDF" * 5000, "application/pdf")
    members = {
        "sender": Address(mailbox.address, 'Müller, "Jo"'),
        "to": (Address("r550@out.test", "A, B"),),
        "bcc": (Address("secret@out.test"),),
        "subject": "Grüße aus Köln, " + "日本語" * 60,
        "text": "Zeile €\n.\nFrom here\n" + "x" * 2000 + "\n",
        "html": '<p>Grüße <img src="cid:c1"></p>',
        "attachments": (
            OutgoingPart(picture.id, "p.png", "image/png", cid="c1", inline=True),
            OutgoingPart(file.id, "Bericht ä.pdf", "application/pdf"),
        ),
        "message_id": new_message_id("jmap.test"),
        "in_reply_to": ("p2@out.test",),
        "references": ("p1@out.test", "p2@out.test"),
    }
    message = OutgoingMessage(**members)  # type: ignore[arg-type]
    draft = account.save_draft(message)
    account.save_draft(message, replaces=draft.id)
    draft = account.save_draft(message)
    assert [row.email_id for row in account.conversations(role="drafts").rows] == [draft.id]
    read = account.email(draft.id)
    assert (read.text, read.html, read.subject) == (message.text, message.html, message.subject)
    assert (read.from_, read.to, read.bcc) == ((message.sender,), message.to, message.bcc)
    assert read.message_id == (message.message_id,)
    assert (read.in_reply_to, read.references) == (message.in_reply_to, message.references)
    assert [(part.name, part.size) for part in read.attachments] == [("Bericht ä.pdf", 20_000)]
    assert [part.cid for part in read.inline] == ["c1"]
    assert read.draft
    blob = read.attachments[0].blob_id
    assert blob is not None
    download = account.download(blob, "ä/b.pdf", "application/pdf")
    assert download.size == 20_000
    assert b"".join(download) == b"%PDF" * 5000
    assert b"Message-I" in account.download(read.blob_id).read(1_000_000)

    # This mailbox belongs to no company, so the mail server refuses it: the message must stay, as a draft, once.
    with pytest.raises(SendRefused) as caught:
        account.send(message, replaces=draft.id)
    assert caught.value.kind in {"refused", "engine", "recipients", "sender"}
    drafts = account.conversations(role="drafts").rows
    assert [row.email_id for row in drafts] == [caught.value.draft_id]
    assert account.conversations(role="sent").total == 0
    account.discard_draft(drafts[0].email_id)
    assert account.conversations(role="drafts").total == 0


def test_the_sieve_script_takes_effect(mailbox: Mailbox) -> None:
    account = mailbox.account
    account.ensure_roles()
    assert account.sieve_get() is None
    account.sieve_put('require ["fileinto"];\nif header :contains "subject" "away" { fileinto "Archive"; }\n')
    with pytest.raises(InvalidScript):
        account.sieve_put("no such thing")
    mailbox.deliver(_message("away", "s1@out.test"), _message("here", "s2@out.test"))
    assert [row.subject for row in account.conversations().rows] == ["here"]
    assert [row.subject for row in account.conversations(role="archive").rows] == ["away"]
    account.sieve_put(None)
    assert account.scripts() == []


def test_hostile_mail_breaks_no_list_and_no_page(mailbox: Mailbox) -> None:
    deep = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\n\n--b{n}\n" for n in range(200))
    mailbox.deliver(
        b"\r\nno headers at all\r\n",
        f"Subject: deep\nMIME-Version: 1.0\n{deep}Content-Type: text/plain\n\ndeep down\n",
        "Subject: many\nTo: " + ",\n ".join(f"a{n}@x.test" for n in range(5000)) + "\n\nx\n",
        b"Subject: =?utf-8?q?=ff=00?=\r\nFrom: =?x?q?x?= <a@b>\r\nContent-Type: text/plain; charset=x\r\n\r\n\xff\r\n",
        b"Date: yesterday\r\nFrom: \r\nTo: undisclosed-recipients:;\r\nSubject: " + b"x" * 900 + b"\r\n\r\n",
        b'Content-Type: multipart/alternative; boundary=""\r\nSubject: no boundary\r\n\r\n--\r\nfoo\r\n',
        b"Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\nSubject: not base64\r\n\r\n!!!!\r\n",
    )
    page = mailbox.account.conversations()
    assert len(page.rows) == 7
    for row in page.rows:
        row.preview.encode()
        for email in mailbox.account.conversation(row.thread_id).emails:
            email.subject.encode()
            email.text.encode()
            assert len(email.to) <= 1000
            assert len(email.message_id) <= 1000


def test_another_mailbox_is_not_reachable(mailbox: Mailbox) -> None:
    other = Mailbox(mailbox.env)
    other.create()
    try:
        thief = MailAccount(
            Access(
                "http://localhost/jmap/",
                lambda: other._headers(other.address),
                other.address,
                account_id=mailbox.address,
            ),
            mailbox.client,
        )
        with pytest.raises(MethodFailed) as caught:
            thief.folders()
        assert caught.value.type == "accountNotFound"
    finally:
        other.remove()
        other.client.close()
