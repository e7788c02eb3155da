"""The main job from outside, on real servers: company, domain, DNS, mailboxes, mail in and out, and the wall."""

from __future__ import annotations

import email
import email.policy
import secrets
import smtplib
from dataclasses import dataclass
from email.utils import formatdate, make_msgid
from functools import partial

import dkim
import pytest

from tests.world import Company, World, letter, until

pytestmark = pytest.mark.servers
PASSWORD = "plum orbit ledger quay"


@dataclass
class Walk:
    """A company whose domain is active, with two mailboxes."""

    company: Company
    domain: str
    domain_id: str
    anna: str
    jonas: str


@pytest.fixture(scope="module")
def walk(world: World) -> Walk:
    """The set-up every test below stands on; its own steps are asserted on the way."""
    domain = f"walk{secrets.token_hex(4)}.test"
    company = world.company("Walk", f"owner@{secrets.token_hex(4)}.example", PASSWORD)
    with company.api as api:
        made = api.post("/domains", json={"domain": domain})
        assert made.status_code == 201, made.text
        body = made.json()
        assert body["status"] == "pending"
        assert {record["purpose"] for record in body["dns_records"]} == {"mx", "spf", "dkim", "dmarc"}

        # Claimed, not active: other servers are told to come again, and nothing bounces.
        with world.outside() as server:
            server.mail("friend@outside.example")
            code, said = server.rcpt(f"anna@{domain}")
            assert code == 450, said

        early = api.post("/mailboxes", json={"email": f"anna@{domain}", "password": PASSWORD})
        assert early.status_code in (409, 422), "a mailbox before ownership is proven would be squatting"

        world.zone(domain)
        world.publish(domain, body["dns_records"])

        def active() -> bool:
            answer = api.post(f"/domains/{body['id']}/verify")
            assert answer.status_code == 200, answer.text
            assert {check["purpose"] for check in answer.json()["checks"]} == {"mx", "spf", "dkim", "dmarc"}
            return bool(answer.json()["status"] == "active")

        until(active, "the domain becomes active by itself")

        def ready(path: str) -> bool:
            return bool(api.get(path).json()["provisioning"] == "ready")

        for local in ("anna", "jonas"):
            made = api.post(
                "/mailboxes",
                json={"email": f"{local}@{domain}", "password": PASSWORD, "display_name": local.title()},
            )
            assert made.status_code == 201, made.text
            path = f"/mailboxes/{made.json()['id']}"
            until(partial(ready, path), f"{local} is provisioned")
    return Walk(company, domain, body["id"], f"anna@{domain}", f"jonas@{domain}")


def test_mail_between_two_people_is_signed_and_verifies(world: World, walk: Walk):
    subject = f"signed {secrets.token_hex(4)}"
    message = letter(f"Anna <{walk.anna}>", walk.jonas, subject, Bcc=walk.anna)
    del message["Message-ID"]
    with world.submission(walk.anna, PASSWORD) as client:
        client.sendmail(walk.anna, [walk.jonas, walk.anna], message.as_bytes(policy=email.policy.SMTP))
    raw = until(lambda: world.fetch(walk.jonas, PASSWORD, subject), "the message arrives")
    assert dkim.verify(raw, dnsfunc=lambda name, timeout=5: world.txt(name.decode()))
    arrived = email.message_from_bytes(raw, policy=email.policy.compat32)
    assert f"d={walk.domain};" in arrived["DKIM-Signature"].replace("\n", "").replace(" ", "")
    assert arrived["Message-ID"].endswith(f"@{walk.domain}>")
    assert arrived["Bcc"] is None, "Bcc never leaves"
    # Where it was written from is nobody's business.
    assert "127.0.0.1" not in (arrived["Received"] or "").split("by")[0] or "ESMTPSA" not in str(arrived["Received"])


def test_a_sender_that_is_not_ones_own_is_refused(world: World, walk: Walk):
    with world.submission(walk.anna, PASSWORD) as client:
        client.mail(walk.jonas)
        code, said = client.rcpt("somebody@outside.example")
        assert code >= 500 or code == 450, said
        assert code != 250


def test_mail_from_outside_arrives_with_our_verdict(world: World, walk: Walk):
    subject = f"outside {secrets.token_hex(4)}"
    message = letter("Friend <friend@outside.example>", walk.anna, subject)
    message["Authentication-Results"] = f"{world.env['DEFTMAIL_MAIL_HOST']}; dmarc=pass"
    with world.outside() as server:
        server.sendmail("friend@outside.example", [walk.anna], message.as_bytes())
    raw = until(lambda: world.fetch(walk.anna, PASSWORD, subject), "the message arrives")
    results = email.message_from_bytes(raw).get_all("Authentication-Results") or []
    ours = [result for result in results if result.startswith(world.env["DEFTMAIL_MAIL_HOST"])]
    assert len(ours) == 1, "the forged verdict is gone and ours is there"
    assert "dmarc=pass" not in ours[0]


def test_spam_lands_in_junk(world: World, walk: Walk):
    subject = f"spam {secrets.token_hex(4)}"
    # rspamd's test pattern for the "add header" action (GTUBE's softer brother).
    pattern = "YJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"
    with world.outside() as server:
        server.sendmail(
            "spam@outside.example", [walk.anna], letter("spam@outside.example", walk.anna, subject, pattern).as_bytes()
        )
    until(lambda: world.fetch(walk.anna, PASSWORD, subject, "Junk"), "the message is in Junk")
    assert world.fetch(walk.anna, PASSWORD, subject) is None


def test_mail_to_nobody_is_refused_not_swallowed(world: World, walk: Walk):
    with world.outside() as server:
        server.mail("friend@outside.example")
        assert server.rcpt(f"nobody@{walk.domain}")[0] == 550
        assert server.rcpt("someone@hosted-nowhere.example")[0] in (454, 550, 554)


@pytest.mark.parametrize("way", ["from outside", "from a program"])
def test_what_cannot_be_delivered_is_refused_at_the_door(world: World, walk: Walk, way: str):
    """A NUL and addresses that are not ASCII: the mailboxes' server takes neither, and a bounce tells nobody."""
    sender = "friend@outside.example" if way == "from outside" else walk.anna
    opened = world.outside() if way == "from outside" else world.submission(walk.anna, PASSWORD)
    raw = letter(sender, walk.jonas, f"nul {secrets.token_hex(4)}").as_bytes(policy=email.policy.SMTP)
    with opened as client:
        client.ehlo()
        assert not client.has_extn("smtputf8")
        with pytest.raises(smtplib.SMTPDataError) as refusal:
            client.sendmail(sender, [walk.jonas], raw.replace(b"Hello.", b"a\0b"))
    assert refusal.value.smtp_code == 550
    assert b"5.7.1" in refusal.value.smtp_error


def test_a_raw_umlaut_in_a_header_stays_one(world: World, walk: Walk):
    mark = secrets.token_hex(4)
    head = letter("J <friend@outside.example>", walk.jonas, f"G {mark}", Date=formatdate(), Message_ID=make_msgid())
    raw = head.as_string(policy=email.policy.SMTP)
    raw = raw.replace("From: J ", "From: Jörg ").replace("Subject: G ", "Subject: Grüße aus Köln ")
    with world.outside() as server:
        server.sendmail("friend@outside.example", [walk.jonas], raw.encode(), ["BODY=8BITMIME"])
    arrived = until(lambda: world.fetch(walk.jonas, PASSWORD, mark), "the letter arrives")
    assert f"Subject: Grüße aus Köln {mark}".encode() in arrived
    assert "From: Jörg <".encode() in arrived


def test_a_wrong_password_opens_nothing(world: World, walk: Walk):
    with pytest.raises(smtplib.SMTPAuthenticationError), world.submission(walk.anna, "not the password"):
        pass
    with pytest.raises(Exception, match=r"(?i)auth|login|fail|no"), world.imap(walk.anna, "not the password"):
        pass


def test_a_disabled_mailbox_can_neither_sign_in_nor_send_but_keeps_receiving(world: World, walk: Walk):
    address = f"leaver@{walk.domain}"
    with walk.company.api as api:
        made = api.post("/mailboxes", json={"email": address, "password": PASSWORD}).json()
        path = f"/mailboxes/{made['id']}"
        until(lambda: api.get(path).json()["provisioning"] == "ready", "provisioned")
        with world.imap(address, PASSWORD):
            pass
        assert api.patch(path, json={"status": "disabled"}).json()["status"] == "disabled"

        with pytest.raises(Exception, match=r"(?i)auth|login|fail|no"), world.imap(address, PASSWORD):
            pass
        with world.outside() as server:
            server.mail("friend@outside.example")
            assert server.rcpt(address)[0] == 250
        assert api.patch(path, json={"status": "active"}).json()["status"] == "active"
        with world.imap(address, PASSWORD):
            pass
        assert api.delete(path).status_code == 204
        assert api.get(path).status_code == 404


def test_another_company_sees_none_of_it(world: World, walk: Walk):
    other = world.company("Stranger", f"owner@{secrets.token_hex(4)}.example", PASSWORD)
    with other.api as api:
        assert api.get("/domains").json()["items"] == []
        assert api.get("/mailboxes").json()["items"] == []
        for method, path in (
            ("GET", f"/domains/{walk.domain_id}"),
            ("POST", f"/domains/{walk.domain_id}/verify"),
            ("DELETE", f"/domains/{walk.domain_id}"),
        ):
            assert api.request(method, path).status_code == 404
        squat = api.post("/domains", json={"domain": walk.domain})
        assert squat.status_code in (409, 422)
        assert "Walk" not in squat.text
