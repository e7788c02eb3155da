"""The company of the bench on the real servers: one proven domain, one mailbox of 10,000 messages. Made once."""

from __future__ import annotations

import imaplib
import json
import random
import secrets
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime

from bench.stack import Stack, say
from tests.world import Company, until

PASSWORD = "plum orbit ledger quay"
MESSAGES = 10_000
BATCH = 250
_SENDERS = ("Priya Raman", "Jonas Weber", "Mara Lindqvist", "Tom Okafor", "Ines Duarte", "Billing", "Anna Berg")
_SUBJECTS = ("Quarterly figures", "Lunch on Thursday", "Invoice", "Minutes of the meeting", "Offer", "Your order")
_WORDS = ("the", "of", "and", "for", "figures", "attached", "meeting", "please", "send", "offer", "invoice", "team")


@dataclass(frozen=True)
class BenchCompany:
    """What later runs need to come in again."""

    api_key: str
    domain: str
    domain_id: str
    mailbox: str


def bench_company(stack: Stack) -> BenchCompany:
    """The company; made on the first run, with its mailbox filled."""
    kept = stack.var / "bench-company.json"
    if kept.exists():
        company = BenchCompany(**json.loads(kept.read_text()))
    else:
        company = _make(stack)
        kept.write_text(json.dumps(asdict(company)))
    _fill(stack, company.mailbox)
    return company


def _make(stack: Stack) -> BenchCompany:
    say("making the company")
    world, tag = stack.world, secrets.token_hex(4)
    domain = f"bench{tag}.test"
    made: Company = world.company("Bench", f"owner@{tag}.example", PASSWORD)
    with made.api as api:
        added = api.post("/domains", json={"domain": domain}).json()
        world.zone(domain)
        world.publish(domain, added["dns_records"])
        until(
            lambda: api.post(f"/domains/{added['id']}/verify").json()["status"] == "active", "the domain becomes active"
        )
        address = f"anna@{domain}"
        mailbox = api.post("/mailboxes", json={"email": address, "password": PASSWORD, "quota_mb": 10_000}).json()
        until(
            lambda: api.get(f"/mailboxes/{mailbox['id']}").json()["provisioning"] == "ready", "the mailbox gets ready"
        )
    return BenchCompany(made.api_key, domain, added["id"], address)


def _fill(stack: Stack, address: str) -> None:
    with stack.world.imap(address, PASSWORD) as client:
        _status, (count,) = client.select("INBOX")
        have = int(count or b"0")
        if have >= MESSAGES:
            return
        say(f"loading {MESSAGES - have} messages, once")
        for first in range(have, MESSAGES, BATCH):
            _append(client, [letter(number, address) for number in range(first, min(first + BATCH, MESSAGES))], first)
    time.sleep(2)  # what the engine does after the last one


def _append(client: imaplib.IMAP4, letters: list[tuple[bytes, datetime]], first: int) -> None:
    """All in one command (RFC 3502 MULTIAPPEND, RFC 7888 literals): the engine writes its indexes once for all."""
    parts = [b"bench APPEND INBOX"]
    for number, (raw, date) in enumerate(letters, first):
        flags = "(\\Seen)" if number % 7 else "()"
        stamp = imaplib.Time2Internaldate(date.timestamp())
        parts.append(f" {flags} {stamp} {{{len(raw)}+}}\r\n".encode() + raw)
    client.send(b"".join(parts) + b"\r\n")
    while not (line := client.readline()).startswith(b"bench "):
        assert line, "the connection broke"
    assert line.startswith(b"bench OK"), line


def letter(number: int, to: str) -> tuple[bytes, datetime]:
    """Message `number`, the same in every run: people, threads of about three, here and there HTML or a file."""
    dice = random.Random(number)
    date = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=13 * number)
    sender = dice.choice(_SENDERS)
    first = number - number % 3 if dice.random() < 0.6 else number
    message = EmailMessage()
    message["From"] = f"{sender} <{sender.lower().replace(' ', '.')}@outside.example>"
    message["To"] = to
    message["Subject"] = ("Re: " if first != number else "") + f"{_SUBJECTS[first % len(_SUBJECTS)]} {first}"
    message["Date"] = format_datetime(date)
    message["Message-ID"] = f"<bench-{number}@outside.example>"
    if first != number:
        message["In-Reply-To"] = message["References"] = f"<bench-{first}@outside.example>"
    text = "\n".join(" ".join(dice.choices(_WORDS, k=12)) for _ in range(dice.randint(3, 25)))
    message.set_content(text)
    if number % 4 == 0:
        message.add_alternative(f"<html><body><p>{text}</p></body></html>", subtype="html")
    if number % 11 == 0:
        message.add_attachment(dice.randbytes(2000), maintype="application", subtype="pdf", filename="offer.pdf")
    return message.as_bytes(policy=policy.SMTP), date
