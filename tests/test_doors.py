"""What each state closes and what it leaves open at the real doors: sign-in, submission, JMAP, the MX."""

from __future__ import annotations

import base64
import secrets
import smtplib
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
import redis

from deftmail.engine.drivers.cyrus.queue import MailQueue
from deftmail.engine.registry import engine
from deftmail.jmap import Address, MailAccount, OutgoingMessage, SendRefused
from deftmail.kit import ratelimit
from tests.world import Company, World, letter, until

pytestmark = pytest.mark.servers
PASSWORD = "plum orbit ledger quay"
OUTSIDE = "target@outside.example"
DOORS_KNOW_WITHIN = 1.2
"""Seconds: the gate remembers facts of a sender for one."""


@dataclass
class Shop:
    """A company with an active domain and one mailbox, and the operator's hand in the database."""

    world: World
    company: Company
    domain: str
    mailbox: str
    mailbox_id: str

    @contextmanager
    def with_columns(self, table: str, **values: object) -> Iterator[None]:
        """Set columns of the company's rows for a while, as an operator's command would."""
        column = "id" if table == "tenants" else "tenant_id"
        with psycopg.connect(self.world.env["DEFTMAIL_DATABASE_SYSTEM_URL"], autocommit=True) as connection:
            names = ", ".join(values)
            before = connection.execute(
                f"SELECT {names} FROM {table} WHERE {column} = %s", [self.company.tenant_id]
            ).fetchone()
            change = f"UPDATE {table} SET " + ", ".join(f"{name} = %s" for name in values) + f" WHERE {column} = %s"
            connection.execute(change, [*values.values(), self.company.tenant_id])
            time.sleep(DOORS_KNOW_WITHIN)
            try:
                yield
            finally:
                connection.execute(change, [*(before or ()), self.company.tenant_id])
                time.sleep(DOORS_KNOW_WITHIN)

    def send(self) -> tuple[int, str]:
        """What submission answers at RCPT."""
        with self.world.submission(self.mailbox, PASSWORD) as client:
            client.mail(self.mailbox)
            code, said = client.rcpt(OUTSIDE)
        return code, said.decode()

    def send_by_jmap(self) -> SendRefused | None:
        """How the webmail's way refuses, or None."""
        account = MailAccount(engine().jmap_access(self.mailbox))
        message = OutgoingMessage(
            sender=Address(name="", email=self.mailbox),
            to=(Address(name="", email=OUTSIDE),),
            subject=f"doors {secrets.token_hex(4)}",
            text="Hello.",
            message_id=f"{secrets.token_hex(8)}@{self.domain}",
        )
        try:
            account.send(message)
        except SendRefused as refusal:
            return refusal
        return None

    def receive(self) -> tuple[int, str]:
        """What the MX answers at RCPT."""
        with self.world.outside() as server:
            server.mail("friend@outside.example")
            code, said = server.rcpt(self.mailbox)
        return code, said.decode()

    def signs_in(self) -> bool:
        """Whether IMAP opens."""
        try:
            with self.world.imap(self.mailbox, PASSWORD):
                return True
        except Exception:
            return False


def opened(world: World, domain: str) -> Company:
    """A new company with this domain active."""
    company = world.company("Doors", f"owner@{secrets.token_hex(4)}.example", PASSWORD)
    with company.api as api:
        made = api.post("/domains", json={"domain": domain}).json()
        world.publish(domain, made["dns_records"])
        verify = f"/domains/{made['id']}/verify"
        until(lambda: api.post(verify).json().get("status") == "active", f"{domain} becomes active")
    return company


def mailbox(company: Company, address: str, **more: object) -> str:
    """The id of a new mailbox that is ready."""
    with company.api as api:
        box = api.post("/mailboxes", json={"email": address, "password": PASSWORD, **more}).json()
        until(lambda: api.get(f"/mailboxes/{box['id']}").json()["provisioning"] == "ready", "the mailbox is ready")
    return str(box["id"])


@pytest.fixture(scope="module")
def shop(world: World) -> Shop:
    domain = f"doors{secrets.token_hex(4)}.test"
    world.zone(domain)
    company = opened(world, domain)
    return Shop(world, company, domain, f"anna@{domain}", mailbox(company, f"anna@{domain}"))


def test_all_is_open_and_the_sign_in_is_recorded(shop: Shop):
    assert shop.signs_in()
    assert shop.send()[0] == 250
    assert shop.send_by_jmap() is None
    assert shop.receive()[0] == 250
    with shop.company.api as api:
        until(lambda: api.get(f"/mailboxes/{shop.mailbox_id}").json()["last_login_at"], "the sign-in is written down")


@pytest.mark.parametrize("door", ["imap", "submission"])
def test_an_address_that_guesses_at_many_mailboxes_is_shut_out_and_its_neighbour_is_not(shop: Shop, door: str):
    address = f"fresh{secrets.token_hex(4)}@{shop.domain}"
    mailbox(shop.company, address)
    host, _, port = shop.world.status[door].rpartition(":")
    guesser, neighbour = (f"127.{secrets.randbelow(250) + 1}.{secrets.randbelow(256)}.{last}" for last in (2, 3))

    def told(source: str, mailbox: str, password: str) -> bool:
        if door == "submission":
            with smtplib.SMTP(host, int(port), timeout=60, source_address=(source, 0)) as client:
                client.starttls(context=shop.world.tls())
                client.ehlo()
                secret = base64.b64encode(f"\0{mailbox}\0{password}".encode()).decode()
                return client.docmd("AUTH", f"PLAIN {secret}")[0] == 235
        with socket.create_connection((host, int(port)), 60, (source, 0)) as link, link.makefile("rb") as lines:
            lines.readline()
            link.sendall(f'a LOGIN {mailbox} "{password}"\r\n'.encode())
            return lines.readline()[:4] == b"a OK"

    for number in range(24):  # of 30, as the web counts; thirty hashes might take as long as a place needs to come free
        ratelimit.wrong_passwords(f"web{number}@{shop.domain}", guesser)
    with ThreadPoolExecutor() as pool:
        said = pool.map(lambda number: told(guesser, f"box{number}@{shop.domain}", "guess"), range(8))
        assert not any(said)
    assert not told(guesser, address, PASSWORD)
    assert told(neighbour, address, PASSWORD)
    assert told(guesser, address, PASSWORD), "a password that was right lately needs no hash"


def test_a_suspended_mailbox_reads_and_receives_and_is_told_why_it_cannot_send(shop: Shop):
    with shop.with_columns("mail_users", status="suspended", status_reason="Reported as spam"):
        assert shop.signs_in()
        assert shop.receive()[0] == 250
        code, said = shop.send()
        assert code == 550
        assert "5.7.1" in said
        assert "Reported as spam" in said
        refusal = shop.send_by_jmap()
        assert refusal is not None
        assert not refusal.temporary
        assert "Reported as spam" in refusal.sentence
    assert shop.send()[0] == 250


def test_a_disabled_mailbox_keeps_or_refuses_what_arrives(shop: Shop):
    with shop.with_columns("mail_users", status="disabled"):
        assert not shop.signs_in()
        assert shop.receive()[0] == 250
        assert shop.send_by_jmap() is not None
    with shop.with_columns("mail_users", status="disabled", refuse_when_disabled=True):
        code, said = shop.receive()
        assert code == 550
        assert "no longer accepts mail" in said
    assert shop.signs_in()


def test_mail_for_a_full_mailbox_waits_a_week_and_is_then_refused(shop: Shop):
    full = {"quota_mb": 1, "used_bytes": 2 * 1024 * 1024}
    for days, expected in ((0, 450), (6, 450), (8, 550)):
        since = datetime.now(UTC) - timedelta(days=days)
        with shop.with_columns("mail_users", **full, full_since=since):
            code, said = shop.receive()
            assert code == expected, said
            assert "full" in said
            assert shop.send()[0] == 250, "only receiving waits"
    assert shop.receive()[0] == 250


@pytest.mark.parametrize("status", ["suspended", "cancelled"])
def test_a_stopped_company_reads_and_receives_and_sends_nothing(shop: Shop, status: str):
    with shop.with_columns("tenants", status=status):
        assert shop.signs_in()
        assert shop.receive()[0] == 250
        assert shop.send()[0] == 550
        assert shop.send_by_jmap() is not None


def test_a_mailbox_that_is_not_ready_is_told_to_wait(shop: Shop):
    with shop.with_columns("mail_users", synced_at=None):
        code, said = shop.receive()
        assert code == 450
        assert "4.7.1" in said


def test_without_its_signing_key_mail_waits(shop: Shop):
    client = redis.Redis.from_url(shop.world.env["DEFTMAIL_REDIS_URL"])
    selector = client.hget("DKIM_SELECTORS", shop.domain)
    assert selector, "the key is live before"
    client.hdel("DKIM_SELECTORS", shop.domain)
    time.sleep(DOORS_KNOW_WITHIN)
    try:
        code, said = shop.send()
        assert code == 450
        assert "4.7.1" in said
        refusal = shop.send_by_jmap()
        assert refusal is not None
        assert refusal.temporary
    finally:
        client.hset("DKIM_SELECTORS", shop.domain, selector)
        time.sleep(DOORS_KNOW_WITHIN)
    assert shop.send()[0] == 250


def test_guessing_is_stopped_and_the_person_is_not(shop: Shop):
    assert shop.signs_in()
    for _ in range(12):
        with pytest.raises(smtplib.SMTPAuthenticationError), shop.world.submission(shop.mailbox, secrets.token_hex(8)):
            pass
    assert shop.signs_in()


def test_a_whole_letter_is_taken(shop: Shop):
    with shop.world.submission(shop.mailbox, PASSWORD) as client:
        refused = client.sendmail(
            shop.mailbox,
            [OUTSIDE, shop.mailbox],
            letter(shop.mailbox, OUTSIDE, f"whole {secrets.token_hex(4)}").as_bytes(),
        )
    assert refused == {}


@pytest.mark.parametrize("policy", ["quarantine", "reject"])
def test_mail_forged_in_the_name_of_a_domain_is_treated_as_that_domain_asks(shop: Shop, policy: str) -> None:
    """RFC 7489 §6.3: `reject` is refused before it is taken, `quarantine` lies in Junk, the real sender arrives."""
    bank = f"{policy}{secrets.token_hex(4)}.test"
    real, forger = "203.0.113.7", "198.51.100.25"
    shop.world.zone(bank)
    # From and envelope lie side by side below the domain that has the policy: it counts, and they are aligned (§3.1.1).
    bounces = f"bounces.{bank}"
    texts = {bounces: f"v=spf1 ip4:{real} -all", f"_dmarc.{bank}": f"v=DMARC1; p={policy}"}
    shop.world.publish(bank, [{"type": "TXT", "name": name, "value": value} for name, value in texts.items()])
    subjects = {address: f"{policy} {secrets.token_hex(4)}" for address in (real, forger)}

    def send(address: str) -> tuple[int, str]:
        with shop.world.outside(address) as server:
            try:
                server.send_message(
                    letter(f"ceo@mail.{bank}", shop.mailbox, subjects[address]), from_addr=f"bounce@{bounces}"
                )
            except smtplib.SMTPDataError as error:
                return error.smtp_code, str(error.smtp_error)
        return 250, ""

    assert send(real)[0] == 250
    until(lambda: shop.world.fetch(shop.mailbox, PASSWORD, subjects[real]), "the real sender's message is in the inbox")
    code, words = send(forger)
    if policy == "reject":
        assert 500 <= code < 600
        assert "DMARC" in words, "the real owner of a misread message learns what to mend"
    else:
        assert code == 250
        until(lambda: shop.world.fetch(shop.mailbox, PASSWORD, subjects[forger], "Junk"), "the forgery is in Junk")
    assert shop.world.fetch(shop.mailbox, PASSWORD, subjects[forger]) is None


@pytest.mark.parametrize("who", ["the same company", "another company"])
def test_who_gets_an_address_next_never_gets_the_mail_that_still_waits_for_it(world: World, who: str):
    domain = f"heir{secrets.token_hex(4)}.test"
    world.zone(domain)
    company, address = opened(world, domain), f"eve@{domain}"
    first = mailbox(company, address, quota_mb=1)
    subjects = [f"Secret {number} {secrets.token_hex(4)}" for number in range(2)]
    with world.outside() as server:
        text = ("x" * 70 + "\n") * 9000  # one fits, two do not
        for to, subject in zip((address, f"eve+tag@{domain}"), subjects, strict=True):
            server.send_message(letter("friend@outside.example", to, subject, text))
    queue = MailQueue(world.env["DEFTMAIL_POSTFIX_CONFIG"])
    until(lambda: world.fetch(address, PASSWORD, subjects[0]), "the first message arrived")
    until(lambda: len(queue.holding(address)) == 1, "the second waits")

    with company.api as api:
        assert api.delete(f"/mailboxes/{first}").status_code == 204
        if who == "another company":
            assert api.delete(f"/domains/{api.get('/domains').json()['items'][0]['id']}").status_code == 204
            company = opened(world, domain)
    mailbox(company, address)
    assert queue.holding(address) == []
    with world.imap(address, PASSWORD) as client:
        client.select()
        assert client.search(None, "ALL")[1] == [b""]
