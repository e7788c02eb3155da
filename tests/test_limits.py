"""Limits of sending at the real doors: exact under load, outliving Redis, charged once, given back."""

from __future__ import annotations

import json
import os
import secrets
import signal
import smtplib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
import redis

from deftmail.engine.registry import engine
from deftmail.jmap import Address, MailAccount, OutgoingMessage, SendRefused
from tests.world import Company, World, letter, run, until

pytestmark = pytest.mark.servers
PASSWORD = "plum orbit ledger quay"
GTUBE = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
ROOMY = {
    "recipients_per_mailbox_day": 100_000,
    "recipients_per_mailbox_hour": 100_000,
    "recipients_per_minute": 100_000,
    "first_recipients_per_day": 100_000,
    "recipients_per_domain_day": 100_000,
}


@dataclass
class Shop:
    """A company with an active domain, and the operator's hand in the database."""

    world: World
    company: Company
    domain: str

    def mailbox(self) -> str:
        """A new mailbox with empty counters, in a company whose limits are far away."""
        self.set_limits(**ROOMY)
        address = f"m{secrets.token_hex(4)}@{self.domain}"
        with self.company.api as api:
            box = api.post("/mailboxes", json={"email": address, "password": PASSWORD}).json()
            until(lambda: api.get(f"/mailboxes/{box['id']}").json()["provisioning"] == "ready", "the mailbox is ready")
        return address

    def set_limits(self, **columns: int | None) -> None:
        """As an operator changes them; then wait until every door knows."""
        names = ", ".join(f"{name} = %s" for name in columns)
        with psycopg.connect(self.world.env["DEFTMAIL_DATABASE_SYSTEM_URL"], autocommit=True) as connection:
            connection.execute(f"UPDATE tenants SET {names} WHERE id = %s", [*columns.values(), self.company.tenant_id])
        time.sleep(1.2)

    def simulate(self, mailbox: str, messages: int, recipients: int = 1, parallel: int = 4) -> dict[str, int]:
        """`deftmail sending simulate`."""
        numbers = ("--messages", str(messages), "--recipients", str(recipients), "--parallel", str(parallel))
        said: dict[str, int] = json.loads(run("sending", "simulate", "--mailbox", mailbox, *numbers, "--json"))
        return said

    def used(self, mailbox: str) -> int:
        """Recipients of the mailbox's day."""
        with psycopg.connect(self.world.env["DEFTMAIL_DATABASE_SYSTEM_URL"]) as connection:
            row = connection.execute("SELECT id FROM mail_users WHERE email = %s", [mailbox]).fetchone()
        assert row is not None
        with self.redis() as client:
            return sum(int(n) for field, n in client.hgetall(f"snd:m:{row[0]}").items() if field.startswith(b"d:"))

    def ask(self, mailbox: str, *to: str) -> dict[str, Any]:
        """The API's answer to who wants to know before he sends."""
        with self.company.api as api:
            (box,) = api.get("/mailboxes", params={"q": mailbox}).json()["items"]
            said: dict[str, Any] = api.get(f"/mailboxes/{box['id']}/may-send", params={"to": to}).json()
        return said

    def redis(self) -> redis.Redis:
        """The Redis of limits."""
        return redis.Redis.from_url(self.world.env["DEFTMAIL_REDIS_URL"])

    def send(self, mailbox: str, *to: str, text: str = "Hello.\n") -> tuple[int, str]:
        """By submission; the last reply."""
        with self.world.submission(mailbox, PASSWORD) as client:
            client.mail(mailbox)
            for each in to:
                code, said = client.rcpt(each)
                if code != 250:
                    return code, said.decode()
            try:
                code, said = client.data(letter(mailbox, to[0], "limits", text).as_bytes())
            except smtplib.SMTPDataError as error:
                return error.smtp_code, error.smtp_error.decode() if isinstance(error.smtp_error, bytes) else ""
            return code, said.decode()

    def send_by_jmap(self, mailbox: str, *to: str) -> SendRefused | None:
        """How the webmail's way refuses, or None."""
        message = OutgoingMessage(
            sender=Address(name="", email=mailbox),
            to=tuple(Address(name="", email=each) for each in to),
            subject=f"limits {secrets.token_hex(4)}",
            text="Hello.",
            message_id=f"{secrets.token_hex(8)}@{self.domain}",
        )
        try:
            MailAccount(engine().jmap_access(mailbox)).send(message)
        except SendRefused as refusal:
            return refusal
        return None


def rcpt_anew(client: smtplib.SMTP, mailbox: str) -> tuple[int, bytes]:
    """The answer to another message's recipient in the same session."""
    client.rset()
    client.mail(mailbox)
    return client.rcpt(outside())


def outside() -> str:
    """A made-up address of the outside world."""
    return f"r{secrets.token_hex(6)}@outside.example"


@pytest.fixture(scope="module")
def shop(world: World) -> Shop:
    domain = f"limits{secrets.token_hex(4)}.test"
    company = world.company("Limits", f"owner@{secrets.token_hex(4)}.example", PASSWORD)
    with company.api as api:
        made = api.post("/domains", json={"domain": domain}).json()
        world.zone(domain)
        world.publish(domain, made["dns_records"])
        verify = f"/domains/{made['id']}/verify"
        until(lambda: api.post(verify).json().get("status") == "active", f"{domain} becomes active")
    return Shop(world, company, domain)


def test_exactly_fifty_of_a_thousand_pass_from_several_processes(shop: Shop):
    mailbox = shop.mailbox()
    shop.set_limits(recipients_per_mailbox_day=50)
    assert shop.simulate(mailbox, 1000) == {"allowed": 50, "refused": 950, "limit": 50, "used": 50}


def test_smtp_and_webmail_together_pass_exactly_what_the_limit_leaves(shop: Shop):
    mailbox = shop.mailbox()
    shop.set_limits(recipients_per_mailbox_day=50)
    said: list[dict[str, int]] = []
    # With the 24 letters by SMTP and JMAP below: 1,000 recipients.
    simulation = threading.Thread(target=lambda: said.append(shop.simulate(mailbox, 976, parallel=2)))
    with ThreadPoolExecutor(8) as pool:
        by_smtp = [pool.submit(shop.send, mailbox, outside()) for _ in range(12)]
        by_jmap = [pool.submit(shop.send_by_jmap, mailbox, outside()) for _ in range(12)]
        simulation.start()
        passed = sum(each.result()[0] == 250 for each in by_smtp) + sum(each.result() is None for each in by_jmap)
    simulation.join()
    assert passed + said[0]["allowed"] == 50
    assert shop.used(mailbox) == 50


@pytest.mark.parametrize(
    ("column", "phrase"),
    [
        ("recipients_per_mailbox_day", "in 24 hours for this mailbox"),
        ("recipients_per_mailbox_hour", "an hour for this mailbox"),
        ("recipients_per_minute", "a minute for this mailbox"),
        ("first_recipients_per_day", "new recipients in 24 hours"),
        ("recipients_per_domain_day", "for the whole domain"),
    ],
)
def test_every_limit_that_is_configured_is_applied(shop: Shop, column: str, phrase: str):
    mailbox = shop.mailbox()
    already = 0
    if column == "recipients_per_domain_day":  # shared with the mailboxes of the other tests
        shop.simulate(mailbox, 1)
        with psycopg.connect(shop.world.env["DEFTMAIL_DATABASE_SYSTEM_URL"]) as connection:
            row = connection.execute("SELECT id FROM domains WHERE domain = %s", [shop.domain]).fetchone()
        assert row is not None
        with shop.redis() as client:
            already = sum(int(count) for count in client.hvals(f"snd:d:{row[0]}"))
    shop.set_limits(**{column: already + 5})
    said = shop.simulate(mailbox, 12, parallel=2)
    assert (said["allowed"], said["refused"], said["limit"]) == (5, 7, already + 5)
    code, sentence = shop.send(mailbox, outside())
    assert code == 450
    assert f"4.7.1 <DATA>: Data command rejected: Limit reached: {already + 5} of {already + 5}" in sentence
    assert phrase in sentence
    assert "Room again at " in sentence
    assert f"{shop.world.env['DEFTMAIL_BASE_URL']}/sending" in sentence
    refusal = shop.send_by_jmap(mailbox, outside(), outside())
    assert refusal is not None
    assert refusal.temporary
    assert refusal.sentence.startswith(f"Limit reached: {already + 5} of {already + 5}")
    asked = shop.ask(mailbox, outside())
    assert (asked["allowed"], asked["used"], asked["maximum"]) == (False, already + 5, already + 5)
    assert asked["detail"] in sentence


def test_many_recipients_cost_as_many_and_all_or_nothing(shop: Shop):
    mailbox = shop.mailbox()
    shop.set_limits(recipients_per_mailbox_day=10)
    assert shop.send(mailbox, *(outside() for _ in range(7)))[0] == 250
    assert shop.send(mailbox, *(outside() for _ in range(4)))[0] == 450
    code, sentence = shop.send(mailbox, *(outside() for _ in range(11)))
    assert (code, "Send it to fewer at once" in sentence) == (550, True)
    assert shop.used(mailbox) == 7
    assert shop.send(mailbox, *(outside() for _ in range(3)))[0] == 250


def test_asking_over_the_api_charges_nothing(shop: Shop):
    mailbox = shop.mailbox()
    shop.set_limits(recipients_per_mailbox_day=3)
    for _ in range(5):
        assert shop.ask(mailbox, outside(), outside(), outside())["allowed"]
    assert shop.used(mailbox) == 0
    assert not shop.ask(mailbox, *(outside() for _ in range(4)))["allowed"]


def test_those_of_ones_own_company_are_free(shop: Shop):
    mailbox, colleague = shop.mailbox(), shop.mailbox()
    shop.set_limits(recipients_per_mailbox_day=1)
    for _ in range(3):
        assert shop.send(mailbox, colleague)[0] == 250
        assert shop.send_by_jmap(mailbox, colleague) is None
    assert shop.send(mailbox, colleague, outside())[0] == 250
    assert shop.send(mailbox, colleague, outside())[0] == 450
    assert shop.used(mailbox) == 1


def test_what_the_spam_filter_refuses_after_the_charge_is_given_back(shop: Shop):
    mailbox = shop.mailbox()
    shop.set_limits(recipients_per_mailbox_day=5, first_recipients_per_day=5)
    for _ in range(3):
        code, said = shop.send(mailbox, outside(), outside(), text=GTUBE + "\n")
        assert code in (550, 554), said
        until(lambda: shop.used(mailbox) == 0, "it is given back", 10)
    assert shop.send(mailbox, *(outside() for _ in range(5)))[0] == 250
    assert shop.used(mailbox) == 5


@pytest.mark.alone
def test_killing_redis_in_the_middle_changes_nothing(shop: Shop):
    mailbox = shop.mailbox()
    shop.set_limits(recipients_per_mailbox_day=2000)
    pid = json.loads(run("stack", "status", "--json"))["services"]["redis"]["pid"]
    said: list[dict[str, int]] = []
    simulation = threading.Thread(target=lambda: said.append(shop.simulate(mailbox, 4000)))
    simulation.start()
    until(lambda: shop.used(mailbox) > 5, "it has begun", 30)
    os.kill(pid, signal.SIGKILL)
    assert simulation.is_alive()
    simulation.join()
    assert said == [{"allowed": 2000, "refused": 2000, "limit": 2000, "used": 2000}]


def test_a_redis_that_lost_everything_is_filled_from_the_mirror(shop: Shop):
    mailbox = shop.mailbox()
    # New recipients are used up. Whom it has written to is forgotten with the rest, so for a day they stop nobody.
    shop.set_limits(recipients_per_mailbox_day=30, first_recipients_per_day=20)
    assert shop.simulate(mailbox, 20)["allowed"] == 20
    with psycopg.connect(shop.world.env["DEFTMAIL_DATABASE_SYSTEM_URL"], autocommit=True) as connection:
        query = """SELECT sum(current_count) FROM rate_limits JOIN mail_users ON mail_users.id = mail_user_id
                   WHERE email = %s AND limit_type = 'mailbox_day'"""
        until(lambda: connection.execute(query, [mailbox]).fetchone() == (20,), "the mirror knows", 15)
    with shop.redis() as client:
        keys = [key for pattern in ("snd:m:*", "snd:d:*", "snd:k:*", "snd:q:*") for key in client.scan_iter(pattern)]
        client.delete("snd:alive", *keys)
        assert shop.simulate(mailbox, 20) == {"allowed": 10, "refused": 10, "limit": 30, "used": 30}
        client.delete("snd:learning")  # the tests after this one
    shop.set_limits(recipients_per_mailbox_day=40, first_recipients_per_day=20)
    assert shop.simulate(mailbox, 1)["limit"] == 20, "what the mirror knew of new ones counts on"


def test_a_forward_is_charged_to_its_mailbox(shop: Shop):
    mailbox = shop.mailbox()
    target = outside()
    MailAccount(engine().jmap_access(mailbox)).sieve_put(f'redirect "{target}";')
    with shop.world.outside() as server:
        server.sendmail("friend@outside.example", [mailbox], letter("friend@outside.example", mailbox, "on").as_bytes())
    until(lambda: shop.used(mailbox) == 1, "the redirect is charged", 20)


def test_a_vacation_answer_is_charged_to_its_mailbox_and_stops_with_it(shop: Shop):
    mailbox, friend = shop.mailbox(), outside()
    script = 'require "vacation";\nvacation :days 1 :subject "Away" "Back on Monday.";\n'
    MailAccount(engine().jmap_access(mailbox)).sieve_put(script)
    with shop.world.outside() as server:
        server.sendmail(friend, [mailbox], letter(friend, mailbox, "hello").as_bytes())
        until(lambda: shop.used(mailbox) == 1, "the answer is charged", 20)
        shop.set_limits(recipients_per_mailbox_day=1)
        another = outside()
        server.sendmail(another, [mailbox], letter(another, mailbox, "hello again").as_bytes())
    # At the limit there is no answer; the letter arrives as ever.
    until(lambda: shop.world.fetch(mailbox, PASSWORD, "hello again"), "the letter arrives")
    assert shop.used(mailbox) == 1


def test_a_block_is_in_force_on_every_door_within_two_seconds_and_ends(shop: Shop):
    mailbox = shop.mailbox()
    assert shop.send(mailbox, outside())[0] == 250
    target = outside()
    MailAccount(engine().jmap_access(mailbox)).sieve_put(f'require "copy"; redirect :copy "{target}";')
    with (
        psycopg.connect(shop.world.env["DEFTMAIL_DATABASE_SYSTEM_URL"], autocommit=True) as connection,
        shop.world.submission(mailbox, PASSWORD) as opened,
        shop.world.outside() as server,
    ):
        assert opened.mail(mailbox)[0] == 250
        assert opened.rcpt(outside())[0] == 250
        connection.execute(
            """INSERT INTO sending_blocks (id, tenant_id, mail_user_id, kind, source, reason, evidence, way_out,
                   created_by_name, lifted_by_name, lift_reason, starts_at, ends_at, created_at, updated_at)
               SELECT gen_random_uuid(), tenant_id, id, 'hour', 'operator', 'Complaints came in', '', '', 'op', '', '',
                   now(), now() + interval '1 hour', now(), now() FROM mail_users WHERE email = %s""",
            [mailbox],
        )
        time.sleep(2)
        for code, said in (shop.send(mailbox, outside()), opened.docmd("DATA"), rcpt_anew(opened, mailbox)):
            assert code == 450
            assert "Complaints came in. Receiving and reading go on" in str(said)
        server.sendmail(target, [mailbox], letter(target, mailbox, "forward me").as_bytes())
        until(lambda: shop.world.fetch(mailbox, PASSWORD, "forward me"), "it is received")
        refusal = shop.send_by_jmap(mailbox, outside(), outside())
        assert refusal is not None
        assert "Complaints came in" in refusal.sentence
        assert shop.simulate(mailbox, 2)["allowed"] == 0
        assert shop.used(mailbox) == 1, "the forward left"
        connection.execute("UPDATE sending_blocks SET lifted_at = now() WHERE tenant_id = %s", [shop.company.tenant_id])
    time.sleep(2)
    assert shop.send(mailbox, outside())[0] == 250


def test_an_unknown_sender_gets_nothing_through(shop: Shop):
    said = shop.simulate(f"nobody@{shop.domain}", 3)
    assert (said["allowed"], said["refused"]) == (0, 3)
