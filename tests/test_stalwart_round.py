"""A Stalwart (in memory), prepared by our set-up, asks our web over HTTP before mail leaves, reports its delivery."""

from __future__ import annotations

import base64

import pytest

from deftmail.domains.testing import make_domain
from deftmail.engine.drivers.stalwart import doctor, setup
from deftmail.engine.drivers.stalwart.fake.mail import Refusal
from deftmail.engine.drivers.stalwart.fake.server import FakeStalwart
from deftmail.engine.drivers.stalwart.wanted import Wanted
from deftmail.engine.drivers.stalwart.wire import Management
from deftmail.engine.models import EngineEvent
from deftmail.kit.tenancy import SYSTEM, tenant_tx
from deftmail.mailboxes.models import MailUser
from deftmail.mailboxes.testing import make_mailbox
from deftmail.sending import facts
from deftmail.tenants.testing import make_company

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "system", "owner"])
PASSWORD = "Correct-Horse-9-Battery"
MESSAGE = b"From: jane@acme-round.test\r\nTo: bob@acme-round.test\r\nSubject: hello\r\n\r\nHello.\r\n"
JANE, BOB = "jane@acme-round.test", "bob@acme-round.test"


@pytest.fixture
def server():
    """The server; its service's management; both mailboxes in it."""
    fake = FakeStalwart()
    basic = base64.b64encode(fake.admin.encode()).decode()
    management = Management("http://stalwart.test", f"Basic {basic}", transport=fake.transport())
    domain = management.set("Domain", create={"d": {"name": "acme-round.test"}}).created["d"]["id"]
    for name in ("jane", "bob"):
        credentials = {"0": {"@type": "Password", "secret": PASSWORD}}
        account = {"@type": "User", "name": name, "domainId": domain, "credentials": credentials}
        assert management.set("Account", create={"u": account}).created
    return fake, management


def test_mail_leaves_or_is_refused_as_the_database_says_and_its_delivery_is_reported(server, live_server, monkeypatch):
    monkeypatch.setattr(facts, "_dkim_live", lambda _account: True)
    fake, management = server
    tenant = make_company("Acme").tenant
    domain = make_domain(tenant, "acme-round.test", active=True)
    jane = make_mailbox(domain, "jane")
    make_mailbox(domain, "bob")
    wanted = Wanted(live_server.url, "acme.test")
    outcome = setup.apply(management, setup.plan(setup.read(management, wanted), wanted))
    assert doctor.examine(management, wanted, has_key=True, account=outcome.account) == []

    fake.smtp_submit(JANE, PASSWORD, JANE, [BOB], MESSAGE)
    events = EngineEvent.objects.using(SYSTEM).filter(kind="delivery.dsn-success")
    assert [event.data["to"] for event in events] == [BOB]

    with tenant_tx(tenant.pk):
        MailUser.objects.filter(pk=jane.pk).update(status="suspended", status_reason="abuse")
    with pytest.raises(Refusal, match=r"5\.7\.1 Sending from jane@acme-round.test is suspended \(abuse\)"):
        fake.smtp_submit(JANE, PASSWORD, JANE, [BOB], MESSAGE)
    assert events.count() == 1


def test_mail_from_outside_is_refused_at_rcpt_for_who_takes_none(server, live_server):
    fake, management = server
    tenant = make_company("Acme").tenant
    domain = make_domain(tenant, "acme-round.test", active=True)
    make_mailbox(domain, "jane")
    bob = make_mailbox(domain, "bob")
    wanted = Wanted(live_server.url, "acme.test")
    setup.apply(management, setup.plan(setup.read(management, wanted), wanted))
    fake.smtp_receive("x@outside.test", [JANE, BOB], MESSAGE)
    with tenant_tx(tenant.pk):
        MailUser.objects.filter(pk=bob.pk).update(status="disabled", refuse_when_disabled=True)
    with pytest.raises(Refusal) as caught:
        fake.smtp_receive("x@outside.test", [BOB], MESSAGE)
    assert (caught.value.code, caught.value.stage) == (550, "RCPT")
    fake.smtp_receive("x@outside.test", [JANE, BOB], MESSAGE)  # the other is taken
    counts = [len(fake.mailbox(fake.account(address)["id"]).emails) for address in (JANE, BOB)]
    assert counts == [2, 1]


def test_while_our_web_is_away_mail_waits(server):
    fake, management = server
    wanted = Wanted("http://127.0.0.1:1", "acme.test")  # tcpmux: nothing listens there
    setup.apply(management, setup.plan(setup.read(management, wanted), wanted))
    with pytest.raises(Refusal) as caught:
        fake.smtp_submit(JANE, PASSWORD, JANE, [BOB], MESSAGE)
    assert caught.value.code == 451
    (trouble,) = doctor.examine(management, wanted, has_key=True, account="deftmail-service@mail.test")
    assert "cannot be reached" in trouble
