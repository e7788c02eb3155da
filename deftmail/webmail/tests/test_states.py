"""What the webmail says when there is no mail to show: in its place, with the way out, and healing by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from django.urls import reverse

from deftmail.domains.testing import make_domain
from deftmail.engine.errors import EngineError
from deftmail.jmap.testing import FakeJmap
from deftmail.kit.tenancy import tenant_tx
from deftmail.mailboxes.models import MailUser
from deftmail.mailboxes.testing import make_mailbox_person
from deftmail.webmail import access

pytestmark = pytest.mark.django_db


class Engine:
    """Opens a mailbox in memory, or does not."""

    def __init__(self) -> None:
        self.fake = FakeJmap("cyrus")
        for role in ("Sent", "Drafts", "Trash", "Junk", "Archive"):
            self.fake.add_mailbox(role, role.lower())
        self.down = False

    def jmap_access(self, _address: str) -> Any:
        if self.down:
            raise EngineError("down", permanent=False)
        return self.fake.account().access


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    engine = Engine()
    monkeypatch.setattr(access, "engine", lambda: engine)
    monkeypatch.setattr(access, "MailAccount", lambda _access: engine.fake.account())
    return engine  # type: ignore[return-value]


@pytest.fixture
def reader(cast: Any) -> Any:
    person, mailbox = make_mailbox_person(cast.acme, make_domain(cast.acme, active=True), "reader")
    return SimpleNamespace(client=person.client, tenant=person.tenant, mailbox=mailbox)


def text_of(answer: Any) -> str:
    return str(answer.content.decode())


def test_an_engine_that_is_away_is_said_in_its_place_and_the_page_asks_again(reader: Any, engine: Engine) -> None:
    engine.down = True
    answer = reader.client.get("/mail/f/inbox")
    page = text_of(answer)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "10"
    assert "Mail is not available at the moment" in page
    assert '<meta http-equiv="refresh" content="10">' in page
    assert 'href="/mail/f/sent"' in page
    assert "Sign out" in page
    engine.down = False
    assert reader.client.get("/mail/f/inbox").status_code == 200


def test_an_engine_lost_between_two_calls_says_the_same(
    reader: Any, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_args: Any) -> Any:
        raise httpx2.ConnectError("refused")

    monkeypatch.setattr(engine.fake, "handle", away)
    monkeypatch.setattr(access, "MailAccount", lambda _access: engine.fake.account())
    for path in ("/mail/", "/mail/f/inbox", "/mail/f/inbox/t/T1", "/mail/search?q=x", "/mail/compose", "/mail/folders"):
        answer = reader.client.get(path)
        assert answer.status_code == 503, path
        assert "Mail is not available at the moment" in text_of(answer)
    fragment = reader.client.get("/mail/f/inbox", headers={"HX-Request": "true"})
    assert fragment.status_code == 503
    assert fragment.headers["HX-Retarget"] == "#toasts"
    body = reader.client.get("/mail/body/M1")
    assert body.status_code == 503
    assert body.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "could not be loaded" in text_of(body)


def test_a_mailbox_that_is_being_set_up_opens_by_itself(cast: Any, engine: Engine) -> None:
    person, mailbox = make_mailbox_person(cast.acme, make_domain(cast.acme, active=True), "fresh", ready=False)
    answer = person.client.get("/mail/f/inbox")
    assert answer.status_code == 503
    assert "Your mailbox is being set up" in text_of(answer)
    assert '<meta http-equiv="refresh" content="3">' in text_of(answer)
    with tenant_tx(cast.acme.pk):
        MailUser.objects.filter(pk=mailbox.pk).update(synced_at="2026-01-01T00:00Z", sync_state="ready")
    assert person.client.get("/mail/f/inbox").status_code == 200


def test_a_disabled_mailbox_is_refused_with_words(reader: Any, engine: Engine) -> None:
    with tenant_tx(reader.tenant.pk):
        MailUser.objects.filter(pk=reader.mailbox.pk).update(status="disabled")
    answer = reader.client.get("/mail/f/inbox")
    assert answer.status_code == 403
    assert "This mailbox is disabled" in text_of(answer)
    assert "Ask an administrator" in text_of(answer)
    assert "http-equiv" not in text_of(answer)
    assert reader.client.post("/mail/act", {"do": "trash", "ids": ["M1"]}).status_code == 403
    assert engine.fake.requests == []


def test_an_owner_without_a_mailbox_is_shown_where_to_make_one(cast: Any, engine: Engine) -> None:
    answer = cast.owner.client.get("/mail/")
    assert answer.status_code == 409
    assert "You have no mailbox yet" in text_of(answer)
    assert 'href="/addresses/add/"' in text_of(answer)
    member = cast.user.client.get("/mail/")
    assert 'href="/addresses/add/"' not in text_of(member)


def test_an_owner_whose_company_has_mailboxes_is_led_to_their_sign_in(cast: Any, engine: Engine, guest: Any) -> None:
    make_mailbox_person(cast.acme, make_domain(cast.acme, "acme.test", active=True), "info")
    page = text_of(cast.owner.client.get("/mail/"))
    assert "Sign out and sign in as info@acme.test" in page
    assert "Create one with your own address" not in page, "olive's domain is not the company's"
    assert "info@acme.test" not in text_of(cast.stranger.client.get("/mail/"))
    assert "info@acme.test" not in text_of(cast.user.client.get("/mail/"))
    (there,) = re.findall(r'name="next" value="([^"]+)"', page)
    answer = cast.owner.client.post("/signout", {"next": there})
    assert answer.headers["Location"] == "/signin?login=info%40acme.test"
    assert 'value="info@acme.test"' in text_of(cast.owner.client.get(there))


def test_an_owner_who_can_have_his_own_address_is_told_which(cast: Any, engine: Engine) -> None:
    make_domain(cast.acme, "acme-signup.example", active=True)
    assert "Create one with your own address, olive@acme-signup.example" in text_of(cast.owner.client.get("/mail/"))


def test_a_suspended_mailbox_reads_and_is_told_that_it_cannot_send(reader: Any, engine: Engine) -> None:
    with tenant_tx(reader.tenant.pk):
        MailUser.objects.filter(pk=reader.mailbox.pk).update(status="suspended")
    assert reader.client.get("/mail/f/inbox").status_code == 200
    assert "Sending from this mailbox is suspended" in text_of(reader.client.get("/mail/compose"))


def test_a_guest_is_sent_to_the_sign_in(guest: Any) -> None:
    answer = guest.get("/mail/f/inbox")
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith(reverse("account_login"))


def test_a_list_page_costs_few_queries(reader: Any, engine: Engine, django_assert_max_num_queries: Any) -> None:
    reader.client.get("/mail/f/inbox")
    with django_assert_max_num_queries(7):
        assert reader.client.get("/mail/f/inbox").status_code == 200
