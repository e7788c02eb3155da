"""The demo company of the first `make run`: made by the product's own actions, verified by its own checks.

Nothing is faked: the domain's records are published on the local DNS by RFC 2136 and found by the real look-ups, the
mailboxes are provisioned by the worker, the mail is put in place by IMAP with a mailbox's own password.
"""

from __future__ import annotations

import imaplib
import json
import secrets
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import dns.query
import dns.tsig
import dns.tsigkeyring
import dns.update
from django.contrib.auth.hashers import make_password
from django.utils import timezone

from deftmail.domains.actions import add_domain, check_domain
from deftmail.domains.models import Domain
from deftmail.domains.records import Record, records_of
from deftmail.kit.conf import conf
from deftmail.kit.tenancy import tenant_tx
from deftmail.mailboxes.access import mailbox_for
from deftmail.mailboxes.actions import create_mailbox
from deftmail.mailboxes.models import MailUser
from deftmail.mailproto.addresses import Recipient, parse_address
from deftmail.mailproto.dkim import split_txt
from deftmail.mailproto.message import Attachment, build_message
from deftmail.ops.demo_mail import LETTERS, Letter
from deftmail.tenants.actions.company import create_company
from deftmail.tenants.actor import Actor
from deftmail.tenants.models import Plan

DOMAIN = "acme.test"
OWNER = ("Anna Keller", "owner@acme-company.example")
PEOPLE = {"anna": "Anna Keller", "jonas": "Jonas Weber"}
PATIENCE = 60.0  # seconds until the worker must have provisioned


class DemoError(Exception):
    """The demo could not be made; the sentence says which step."""


@dataclass(frozen=True)
class Demo:
    """What a newcomer signs in with."""

    owner: str
    mailboxes: list[str]
    password: str


def make(password: str = "") -> Demo:
    """Make the demo. Raises DemoError."""
    password = password or "-".join(secrets.choice(_WORDS) for _ in range(4))
    # What may be missing is asked first, so that nothing half-made stays behind.
    dns_access = _stack("status", "--json")["dns"]
    _stack_run("zone", "create", DOMAIN)
    tenant, owner = create_company(
        company_name="Acme",
        owner_name=OWNER[0],
        owner_email=OWNER[1],
        stored_password=make_password(password),
        plan=Plan.objects.get(slug="business"),
        trial=False,
        actor_label="demo",
    )
    actor = Actor.system(tenant.pk, "demo")
    domain = add_domain(actor=actor, name=DOMAIN)
    with tenant_tx(tenant.pk):
        publish(records_of(domain), DOMAIN, dns_access)
    _verify(actor, domain)
    addresses = [f"{local}@{DOMAIN}" for local in PEOPLE]
    made = []
    for local, name in PEOPLE.items():
        made.append(
            create_mailbox(actor=actor, email=f"{local}@{DOMAIN}", password=password, display_name=name, quota_mb=10240)
        )
    for mailbox in made:
        _wait_ready(actor, mailbox)
    _fill(addresses, password)
    return Demo(owner.email, addresses, password)


def publish(records: list[Record], zone: str, access: dict[str, Any]) -> None:
    """Put the records into the zone by a signed update (RFC 2136, RFC 8945)."""
    keyring = dns.tsigkeyring.from_text({access["tsig_name"]: access["tsig_secret"]})
    update = dns.update.UpdateMessage(zone, keyring=keyring, keyalgorithm=access["tsig_algorithm"])
    for record in records:
        if record.type == "MX":
            value = f"{record.priority} {record.value}."
        else:
            value = " ".join(f'"{piece}"' for piece in split_txt(record.value))
        update.replace(f"{record.name}.", 30, record.type, value)
    answer = dns.query.tcp(update, access["host"], port=access["port"], timeout=5)
    if answer.rcode() != 0:
        raise DemoError(f"the local DNS refused the records: {answer.rcode().name}")


def _verify(actor: Actor, domain: Domain) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        domain = check_domain(actor=actor, domain_id=domain.pk)
        if domain.status == Domain.Status.ACTIVE:
            return
        time.sleep(1)
    raise DemoError(f"{DOMAIN} did not become active: {domain.status}, {domain.sync_error or domain.checks}")


def _wait_ready(actor: Actor, mailbox: MailUser) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        with tenant_tx(actor.tenant_id):
            mailbox = mailbox_for(actor, mailbox.pk)
        if mailbox.synced_at is not None:
            return
        time.sleep(0.3)
    raise DemoError(f"{mailbox.email} was not provisioned: {mailbox.sync_error}")


def _fill(addresses: list[str], password: str) -> None:
    now = timezone.localtime()
    boxes = {address: _imap(address, password) for address in addresses}
    try:
        for letter in sorted(LETTERS, key=lambda item: -item.hours_ago):
            _deliver(letter, boxes, now)
    finally:
        for box in boxes.values():
            box.logout()


def _imap(address: str, password: str) -> imaplib.IMAP4:
    host, _colon, port = conf.imap.rpartition(":")
    box = imaplib.IMAP4(host, int(port), timeout=20)
    box.login(address, password)
    return box


def _deliver(letter: Letter, boxes: dict[str, imaplib.IMAP4], now: datetime) -> None:
    when = now - timedelta(hours=letter.hours_ago)
    message = _message(letter, when)
    for person in (*letter.to, *letter.cc):
        if box := boxes.get(person[1]):
            _append(box, "INBOX", letter.flags, when, message)
    if box := boxes.get(letter.sender[1]):
        _append(box, "Sent", "\\Seen", when, message)


def _append(box: imaplib.IMAP4, folder: str, flags: str, when: datetime, message: EmailMessage) -> None:
    status, answer = box.append(folder, f"({flags})", imaplib.Time2Internaldate(when), bytes(message))
    if status != "OK":
        raise DemoError(f"{folder} took no message: {answer!r}")


def _message(letter: Letter, when: datetime) -> EmailMessage:
    def person(pair: tuple[str, str]) -> Recipient:
        return Recipient(pair[0], parse_address(pair[1]))

    return build_message(
        sender=person(letter.sender),
        to=[person(pair) for pair in letter.to],
        cc=[person(pair) for pair in letter.cc],
        subject=letter.subject,
        text=letter.text,
        html=letter.html or None,
        attachments=[Attachment(name, kind, data) for name, kind, data in letter.files],
        message_id=letter.message_id,
        in_reply_to=letter.answers[-1:],
        references=letter.answers,
        date=when,
    )


def _stack(*words: str) -> Any:
    return json.loads(_stack_run(*words))


def _stack_run(*words: str) -> str:
    done = subprocess.run(
        [Path(sys.executable).with_name("deftmail"), "stack", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if done.returncode != 0:
        raise DemoError(f"deftmail stack {' '.join(words)}: {done.stderr.strip()[-500:]}")
    return done.stdout


_WORDS = (
    "amber",
    "birch",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "harbor",
    "indigo",
    "juniper",
    "kelp",
    "lantern",
    "maple",
    "nectar",
    "orchid",
    "pebble",
    "quartz",
    "raven",
    "saffron",
    "timber",
    "umber",
    "violet",
    "willow",
    "yarrow",
    "zephyr",
    "anchor",
    "basil",
    "copper",
    "dune",
    "echo",
    "fern",
    "garnet",
    "hazel",
    "iris",
)
