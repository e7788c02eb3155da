"""Servers taken away and given back, on a stack of this file's own: pages say so, mail waits, all heals by itself.

Every message that a server accepted meanwhile, and every mailbox that was asked for, is written down, and the last
test looks for all of them. Order matters here and nowhere else: what one test promises, the last one collects.
"""

from __future__ import annotations

import os
import re
import secrets
import smtplib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx2
import pytest

from tests.outage import AT_ONCE, PASSWORD, Outages, Person, Town, at_once, timed
from tests.world import World, letter, run, until

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def town() -> Iterator[Town]:
    var = Path(os.environ["DEFTMAIL_VAR"]) / f"outage-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    run("stack", "up", "--var", str(var), "--mode", "test", "--no-demo", var=var, seconds=300)
    try:
        yield _settle(World(var), Outages(var))
    finally:
        run("stack", "down", "--var", str(var), var=var)


def _settle(world: World, outages: Outages) -> Town:
    domain = f"outage{secrets.token_hex(4)}.test"
    company = world.company("Outage", f"owner@{secrets.token_hex(4)}.example", PASSWORD)
    with company.api as api:
        made = api.post("/domains", json={"domain": domain}).json()
        world.zone(domain)
        world.publish(domain, made["dns_records"])
        until(lambda: api.post(f"/domains/{made['id']}/verify").json()["status"] == "active", "the domain is active")
        anna = api.post("/mailboxes", json={"email": f"anna@{domain}", "password": PASSWORD}).json()
        until(lambda: api.get(f"/mailboxes/{anna['id']}").json()["provisioning"] == "ready", "anna is provisioned")
    base = company.base
    return Town(
        world, outages, company, domain, made["id"], Person(base, company.owner), Person(base, f"anna@{domain}")
    )


@pytest.mark.parametrize("how", ["frozen", "away"])
def test_redis_of_limits(town: Town, how: str) -> None:
    with getattr(town.outages, how)("redis"):
        pages = [("/overview", town.owner), ("/domains/", town.owner), ("/mail/f/inbox", town.anna)]
        answers = at_once(
            *(partial(timed, partial(who.get, url)) for url, who in pages),
            partial(timed, town.get_api),
            lambda: Person(town.company.base, town.company.owner).get("/overview"),
            town.imap_says,
            town.submit,
            town.arrive,
        )
        *answered, imap, submitting, arriving = answers
        assert [answer.status_code for answer in answered] == [200] * 5
        assert imap == "in"
        # Without the signer's keys nothing leaves: unsigned mail would be refused elsewhere.
        assert 400 <= submitting < 500
        assert arriving == 250
        if how == "away":
            guest = httpx2.Client(base_url=town.company.base, timeout=30)
            guest.headers["Origin"] = town.company.base
            guest.get("/signin")
            token = guest.cookies["dm_csrf"]
            form = {"csrfmiddlewaretoken": token, "login": "x@y.example"}
            tries = [guest.post("/signin", data=form) for _ in range(12)]
            assert tries[-1].status_code == 429, "this process still counts"
            assert int(tries[-1].headers["Retry-After"]) > 0
    assert until(lambda: town.submit() == 250, "submission works again", 10)


def test_mail_that_must_be_signed_waits_for_the_keys(town: Town) -> None:
    """The product's own letters pass no gate, only the signer."""
    host, _, port = town.world.env["DEFTMAIL_SMTP_SYSTEM"].rpartition(":")
    sender = f"no-reply@{town.world.env['DEFTMAIL_OPERATOR_DOMAIN']}"
    with town.outages.away("redis"), smtplib.SMTP(host, int(port), timeout=30) as server:
        with pytest.raises(smtplib.SMTPDataError) as refused:
            server.sendmail(sender, [town.address], letter(sender, town.address, "unsigned").as_bytes())
        assert refused.value.smtp_code == 451


def test_mail_server_away(town: Town) -> None:
    with town.outages.away("cyrus"):
        page = timed(lambda: town.anna.get("/mail/f/inbox"))
        assert page.status_code == 503
        assert int(page.headers["Retry-After"]) > 0
        assert "Mail is not available at the moment" in page.text
        assert "/signout" in page.text
        assert "/mail/f/drafts" in page.text
        fragment = timed(lambda: town.anna.get("/mail/f/inbox", headers={"HX-Request": "true"}))
        assert fragment.status_code == 503
        assert "<html" not in fragment.text
        for url in ("/overview", "/domains/", "/addresses/", "/people", "/account"):
            assert timed(partial(town.owner.get, url)).status_code == 200, url
        mailbox = town.make_mailbox()
        # Postfix takes it over and keeps it: promised.
        assert [town.arrive() for _ in range(3)] == [250, 250, 250]
        assert town.submit() == 250
        time.sleep(1)
        assert town.state(mailbox) == "pending"
    until(lambda: town.anna.get("/mail/f/inbox").status_code == 200, "the webmail opens again", 10)
    until(lambda: town.state(mailbox) == "ready", "the mailbox is made", 20)


def test_mail_server_frozen(town: Town) -> None:
    """Its connections stay open and nobody says a word: one page finds out, the next ones know. However many wait, the
    database is there for everybody else."""
    read = partial(town.anna.get, "/mail/f/inbox")
    waiting = 25  # more than a process has connections to the database

    def elsewhere() -> list[float]:
        """Seconds of pages that need no engine, while the others wait for it."""
        took = []
        for _ in range(4):
            began = time.monotonic()
            assert town.owner.get("/overview").status_code == 200
            took.append(time.monotonic() - began)
            time.sleep(0.2)
        return took

    with town.outages.frozen("cyrus"):
        took, health, *pages = at_once(
            elsewhere,
            lambda: timed(lambda: httpx2.get(f"{town.company.base}/healthz", timeout=30)),
            *[partial(timed, read)] * waiting,
        )
        assert max(took) < AT_ONCE, took
        assert [page.status_code for page in pages] == [503] * waiting
        assert "Mail is not available at the moment" in pages[0].text
        began = time.monotonic()
        assert read().status_code == 503
        assert time.monotonic() - began < AT_ONCE
        assert health.status_code == 503
        assert [part for part, found in health.json().items() if not found["ok"]] == ["engine"]
        for url in ("/overview", "/domains/", "/addresses/", "/people", "/account"):
            assert timed(partial(town.owner.get, url)).status_code == 200, url
        assert town.arrive() == 250
    until(lambda: read().status_code == 200, "the webmail opens again", 10)
    until(lambda: httpx2.get(f"{town.company.base}/healthz", timeout=30).is_success, "everything is well again", 10)


@pytest.mark.parametrize("how", ["away", "frozen"])
def test_cache(town: Town, how: str) -> None:
    until(lambda: 'name="ids"' in town.anna.get("/mail/f/inbox").text, "a message in the inbox")
    with getattr(town.outages, how)("cache"):
        page = timed(lambda: town.anna.get("/mail/f/inbox"))
        assert page.status_code == 200
        ids = re.findall(r'name="ids" value="([^"]+)"', page.text)
        acts = {"do": "star", "ids": ids[0], "folder": "inbox", "next": "/mail/f/inbox"}
        assert timed(lambda: town.anna.send_form("/mail/f/inbox", "/mail/act", **acts)).status_code == 303
        acts["do"] = "read"
        assert timed(lambda: town.anna.send_form("/mail/f/inbox", "/mail/act", **acts)).status_code == 303
        for url in ("/overview", "/addresses/", "/account"):
            assert timed(partial(town.owner.get, url)).status_code == 200, url
        assert town.submit() == 250
        assert town.arrive() == 250


def test_worker_killed_in_the_middle_of_a_job(town: Town) -> None:
    """The job is found by the next worker after six missed beats (`DEFTMAIL_WORKER_HEARTBEAT`); see the last test."""

    def is_running() -> bool:
        jobs = "SELECT 1 FROM procrastinate_jobs WHERE status = 'doing' AND args->>'mailbox_id' = %s"
        return bool(town.sql(jobs, mailbox))

    with town.outages.frozen("cyrus"):
        mailbox = town.make_mailbox()
        until(is_running, "the job waits for Cyrus", 10)
        killed = town.outages.kill("worker")
        town.outages.wait_new("worker", killed)
    assert town.state(mailbox) == "pending"


def test_dns_away(town: Town) -> None:
    states = """SELECT status, mx_verified, spf_verified, dkim_verified, dmarc_verified, failing_looks, degraded_since
        FROM domains WHERE domain = %s"""
    outbox = Path(town.world.env["DEFTMAIL_OUTBOX_DIR"]) / "new"
    before, letters = town.sql(states, town.domain), len(list(outbox.iterdir()))

    def by_api() -> httpx2.Response:
        with town.company.api as api:
            return api.post(f"/domains/{town.domain_id}/verify")

    url = f"/domains/{town.domain_id}/"
    with town.outages.away("knot"):
        looked, page = at_once(by_api, lambda: town.owner.send_form(url, url + "check/"))
        assert looked.status_code == 200
        assert looked.json()["status"] == "active"
        assert {check["code"] for check in looked.json()["checks"]} == {"dns_failure"}
        assert page.status_code in (302, 303)
        assert "The DNS gave no answer" in town.owner.get(url).text
    assert town.sql(states, town.domain) == before
    assert len(list(outbox.iterdir())) == letters, "nobody was alarmed"
    assert by_api().json()["checks"][0]["state"] == "pass"


def test_gate_away_and_killed(town: Town) -> None:
    wrong, counted = town.wrong, town.wrong_passwords()
    with town.outages.away("gate"):
        imap, arriving, submitting = at_once(town.imap_says, town.arrive, town.submit)
        assert imap not in ("in", wrong), "a failure of ours is not a wrong password"
        assert arriving == 450
        assert submitting == 454
        assert timed(lambda: town.anna.get("/mail/f/inbox")).status_code == 200
    killed = town.outages.kill("gate")
    town.outages.wait_new("gate", killed)
    assert until(lambda: town.imap_says() == "in", "sign-in works again", 10)
    assert town.submit() == 250
    assert town.wrong_passwords() == counted


def test_spam_filter_away(town: Town) -> None:
    with town.outages.away("rspamd"):
        assert at_once(town.arrive, town.submit) == [451, 454]


def test_web_killed_under_a_post(town: Town) -> None:
    """Stopped after the mailbox, its person and the log were written and before the job was: nothing of it remains."""
    email = f"half{secrets.token_hex(4)}@{town.domain}"

    def post() -> httpx2.Response:
        with town.company.api as api:
            return api.post("/mailboxes", json={"email": email, "password": PASSWORD})

    def post_and_lose() -> None:
        with pytest.raises(httpx2.HTTPError):
            post()

    waits = "SELECT 1 FROM pg_stat_activity WHERE usename = 'deftmail_app' AND wait_event_type = 'Lock'"
    with town.database() as blocking:
        blocking.execute("LOCK TABLE procrastinate_jobs IN SHARE ROW EXCLUSIVE MODE")
        lost = threading.Thread(target=post_and_lose)
        lost.start()
        until(lambda: town.sql(waits), "the transaction waits at its last step", 10)
        killed = town.outages.kill("web")
        lost.join()
    town.outages.wait_new("web", killed)
    traces = (
        "SELECT (SELECT count(*) FROM mail_users WHERE email = %(email)s), (SELECT count(*) FROM users WHERE email ="
        " %(email)s), (SELECT count(*) FROM audit_logs WHERE (target || details::text) LIKE '%%' || %(email)s || '%%')"
    )
    with town.database() as connection:
        assert connection.execute(traces, {"email": email}).fetchone() == (0, 0, 0)
    made = post()
    assert made.status_code == 201, made.text
    town.mailboxes.append(made.json()["id"])


@pytest.mark.parametrize("how", ["frozen", "away"])
def test_database(town: Town, how: str) -> None:
    wrong, counted = town.wrong, town.wrong_passwords()
    lives = {name: town.outages.pid(name) for name in ("web", "worker", "gate")}
    with getattr(town.outages, how)("postgres"):
        page, fragment, api, imap, *codes = at_once(
            lambda: timed(lambda: town.owner.get("/overview")),
            lambda: timed(lambda: town.owner.get("/overview", headers={"HX-Request": "true"})),
            lambda: timed(town.get_api),
            town.imap_says,
            # A frozen one keeps Postfix itself waiting, and the other side comes again.
            *((town.arrive, town.submit) if how == "away" else ()),
        )
        assert (page.status_code, fragment.status_code, api.status_code) == (503, 503, 503)
        assert "The database is not answering" in page.text
        assert "<html" not in fragment.text
        assert "The database is not answering" in fragment.text
        assert api.headers["Content-Type"] == "application/problem+json"
        assert api.json()["status"] == 503
        assert all(int(answer.headers["Retry-After"]) > 0 for answer in (page, fragment, api))
        assert imap not in ("in", wrong)
        assert all(400 <= code < 500 for code in codes), codes
        assert httpx2.get(f"{town.company.base}/healthz?part=web").status_code == 200
    until(lambda: town.owner.get("/overview").status_code == 200, "pages are back", 10)
    until(lambda: town.get_api().status_code == 200, "the API is back", 10)
    assert until(lambda: town.imap_says() == "in", "sign-in works again", 10)
    assert town.wrong_passwords() == counted, "nobody's password was wrong"
    mailbox = town.make_mailbox()
    until(lambda: town.state(mailbox) == "ready", "the worker works again", 30)
    assert {name: town.outages.pid(name) for name in lives} == lives, "nothing of ours had to be started again"


def test_every_promise_was_kept(town: Town) -> None:
    until(lambda: {town.state(one) for one in town.mailboxes} == {"ready"}, "every mailbox is made", 30)
    # A clock's run may have failed in an outage and its next one did the work; what concerns one object may not.
    unfinished = "SELECT task_name FROM procrastinate_jobs WHERE status IN ('doing', 'failed') AND args ? 'mailbox_id'"
    until(lambda: town.sql(unfinished) == [], "no job is left behind", 10)

    def arrived() -> Counter[str]:
        found: Counter[str] = Counter()
        with town.world.imap(town.address, PASSWORD) as client:
            for folder in ("INBOX", "Junk"):
                client.select(folder, readonly=True)
                _status, parts = client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
                for part in parts:
                    if isinstance(part, tuple):
                        found += Counter(re.findall(r"outage [0-9a-f]{12}", part[1].decode()))
        return found

    assert town.accepted
    until(lambda: len(arrived()) >= len(town.accepted), "all mail is delivered", 45)
    assert arrived() == Counter(town.accepted), "each once, and nothing that was refused"
