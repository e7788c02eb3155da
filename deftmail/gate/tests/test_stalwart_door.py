"""Stalwart's door in the web: secrets, decisions by rows of the database, reports kept once and in order."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from datetime import timedelta

import pytest
from django.db import ProgrammingError, connection, transaction
from django.test import Client
from django.utils.timezone import now

from deftmail.domains.testing import make_domain
from deftmail.engine.models import EngineEvent
from deftmail.engine.shared import Purpose, fingerprint, secret_for
from deftmail.engine.tasks import prune_events
from deftmail.gate.tests.test_stalwart_wire import BY_JMAP, event, report
from deftmail.kit import ratelimit
from deftmail.kit.bodylimit import limit_of
from deftmail.kit.tenancy import SYSTEM, tenant_tx
from deftmail.mailboxes.models import MailUser
from deftmail.mailboxes.testing import make_mailbox
from deftmail.sending import facts
from deftmail.tenants.testing import make_company

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "system", "owner"])
HOOK, EVENTS = "/engine/stalwart/hook", "/engine/stalwart/events"


@pytest.fixture(autouse=True)
def _signed_mail(monkeypatch):
    monkeypatch.setattr(facts, "_dkim_live", lambda _account: True)


@pytest.fixture
def acme():
    return make_company("Acme").tenant


def ask(question, secret=None):
    token = secret_for(Purpose.HOOK) if secret is None else secret
    return Client(enforce_csrf_checks=True).post(
        HOOK, json.dumps(question), content_type="application/json", headers={"Authorization": f"Bearer {token}"}
    )


def about(account, sender=None, stage="data"):
    context = {**BY_JMAP["context"], "sasl": {"login": account}, "stage": stage}
    return {**BY_JMAP, "context": context, "envelope": {"from": {"address": sender or account}, "to": []}}


def from_outside(*recipients):
    return {
        "context": {"stage": "rcpt", "client": {"ip": "192.0.2.7", "port": 4000}},
        "envelope": {"from": {"address": "x@remote.test"}, "to": [{"address": each} for each in recipients]},
    }


def tell(body, signature=None):
    good = base64.b64encode(hmac.digest(secret_for(Purpose.EVENTS).encode(), body, hashlib.sha256)).decode()
    headers = {"X-Signature": good if signature is None else signature}
    return Client(enforce_csrf_checks=True).post(EVENTS, body, content_type="application/json", headers=headers)


def kept():
    return list(EngineEvent.objects.using(SYSTEM).order_by("id").values_list("event_id", flat=True))


def test_an_active_mailbox_sends_and_a_stopped_one_hears_why(acme):
    domain = make_domain(acme, "acme-hook.test", active=True)
    mailbox = make_mailbox(domain, "jane")
    assert ask(about("Jane@ACME-hook.test")).json() == {"action": "accept"}
    with tenant_tx(acme.pk):
        MailUser.objects.filter(pk=mailbox.pk).update(status="suspended", status_reason="abuse")
    answer = ask(about("jane@acme-hook.test"))
    assert answer.status_code == 200
    assert answer.json()["action"] == "reject"
    said = answer.json()["response"]
    assert (said["status"], said["enhanced_status"]) == (550, "5.7.1")
    assert "suspended (abuse)" in said["message"]


def test_nobody_sends_as_another_or_from_a_domain_that_is_not_active(acme):
    make_mailbox(make_domain(acme, "acme-hook.test", active=True), "jane")
    refused = ask(about("jane@acme-hook.test", "boss@acme-hook.test")).json()["response"]
    assert refused["status"] == 550
    assert "may not send as" in refused["message"]
    waiting = make_domain(acme, "acme-new.test", proven=True)
    make_mailbox(waiting, "jane")
    assert ask(about("jane@acme-new.test")).json()["response"]["status"] == 450
    assert ask(about("ghost@acme-hook.test")).json()["response"]["status"] == 550


def test_mail_from_outside_is_judged_by_its_last_recipient_and_our_silence_leaves_it_to_stalwart(acme):
    domain = make_domain(acme, "acme-hook.test", active=True)
    make_mailbox(domain, "gone", status="disabled", refuse_when_disabled=True)
    make_mailbox(domain, "jane")
    assert ask(from_outside("gone@acme-hook.test", "jane@acme-hook.test")).json() == {"action": "accept"}
    assert ask(from_outside("jane@acme-hook.test", "gone@acme-hook.test")).json()["response"]["status"] == 550
    assert ask(from_outside("somebody@not-ours.test")).json() == {"action": "accept"}
    make_domain(acme, "acme-claimed.test")
    assert ask(from_outside("x@acme-claimed.test")).json()["response"]["status"] == 450


def test_a_wrong_secret_is_401_counted_and_then_refused_unread(monkeypatch):
    counted = []
    verdicts = [ratelimit.Verdict(True), ratelimit.Verdict(False, 42)]

    def hit(name, *subjects, **_):
        if name != "engine_failures":
            return ratelimit.Verdict(True)
        counted.append(subjects)
        return verdicts.pop(0)

    monkeypatch.setattr(ratelimit, "hit", hit)
    assert ask(about("x@y.test"), secret="wrong").status_code == 401
    blocked = ask(about("x@y.test"), secret="")
    assert (blocked.status_code, blocked["Retry-After"]) == (429, "42")
    assert len(counted) == 2
    assert not blocked.cookies


def test_a_wrong_signature_is_401_and_keeps_nothing():
    assert tell(report(event()), signature="bm8=").status_code == 401
    assert kept() == []


def test_broken_and_oversized_bodies_are_refused(monkeypatch):
    assert ask({"context": {}}).status_code == 400
    assert tell(b"{").status_code == 400
    assert Client().get(HOOK).status_code == 405
    assert limit_of(HOOK) > 41943040 * 1.35  # a message of the largest size, escaped as JSON
    monkeypatch.setattr("deftmail.gate.views.limit_of", lambda _path: 100)
    assert ask(about("jane@acme.test")).status_code == 413


def test_a_database_that_is_away_is_said_as_450(monkeypatch):
    from django.db import OperationalError

    def away(_account):
        raise OperationalError

    monkeypatch.setattr(facts, "sender", away)
    response = ask(about("jane@acme.test"))
    assert response.status_code == 200
    assert response.json()["response"]["status"] == 450


def reported(number, **values):
    return event(id=str(number), createdAt=now().isoformat(), **values)


def test_reports_are_kept_once_in_order_and_a_replay_adds_nothing():
    first = report(reported(1), reported(2), reported(3))
    assert tell(first).json() == {"taken": 3, "reported": 3}
    assert tell(first).json() == {"taken": 0, "reported": 3}
    assert tell(report(*json.loads(first)["events"][2:], reported(4))).json()["taken"] == 1
    assert kept() == ["1", "2", "3", "4"]
    row = EngineEvent.objects.using(SYSTEM).order_by("id")[0]
    assert (row.queue_id, row.data["to"]) == ("342115993446777856", "o@remote.test")


def test_a_replay_of_what_was_forgotten_is_not_new():
    old = (now() - timedelta(days=31)).isoformat()
    assert tell(report(event(createdAt=old))).json() == {"taken": 0, "reported": 1}


def test_after_30_days_a_report_is_forgotten():
    tell(report(reported(1), reported(2)))
    EngineEvent.objects.using(SYSTEM).filter(event_id="1").update(received_at=now() - timedelta(days=31))
    prune_events()
    assert kept() == ["2"]


def test_who_serves_people_adds_to_the_reports_and_reads_none():
    tell(report(reported(1)))
    for statement in ("select * from engine_events", "delete from engine_events", "update engine_events set kind = ''"):
        with pytest.raises(ProgrammingError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


def test_secrets_differ_by_purpose_and_their_fingerprints_show_nothing():
    secrets = {secret_for(purpose) for purpose in Purpose}
    assert len(secrets) == len(Purpose)
    assert all(len(secret) == 45 for secret in secrets)
    assert fingerprint(secret_for(Purpose.HOOK)) not in secret_for(Purpose.HOOK)
    assert secret_for(Purpose.HOOK) == secret_for(Purpose.HOOK)


@pytest.mark.servers
def test_a_message_is_charged_once_and_the_limit_says_what_it_is(acme):
    """The same counters as Postfix's doors: what leaves by Stalwart counts, and is refused, alike."""
    with tenant_tx(acme.pk):
        type(acme).objects.filter(pk=acme.pk).update(recipients_per_mailbox_day=3)
    make_mailbox(make_domain(acme, "acme-charged.test", active=True), "jane")

    def send(queue_id, *recipients):
        question = about("jane@acme-charged.test")
        question["context"] = {**question["context"], "queue": {"id": queue_id}}
        question["envelope"] = {**question["envelope"], "to": [{"address": each} for each in recipients]}
        return ask(question).json()

    assert send("1a", "a@outside.test", "b@outside.test")["action"] == "accept"
    assert send("1a", "a@outside.test", "b@outside.test")["action"] == "accept", "asked again, charged once"
    assert send("1b", "colleague@acme-charged.test")["action"] == "accept", "one's own company is free"
    refused = send("1c", "c@outside.test", "d@outside.test")
    assert refused["action"] == "reject"
    assert "3 recipients in 24 hours" in refused["response"]["message"]
    assert send("1d", "c@outside.test")["action"] == "accept", "nothing of the refused message was charged"
