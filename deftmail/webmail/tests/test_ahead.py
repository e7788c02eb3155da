"""A page's question leaves before it is known who asks, and its answer reaches nobody else."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from django.test import RequestFactory

from deftmail.domains.testing import make_domain
from deftmail.jmap import MailAccount
from deftmail.jmap.testing import FakeJmap
from deftmail.kit.tenancy import tenant_tx
from deftmail.mailboxes.access import own_mailbox
from deftmail.mailboxes.models import MailUser
from deftmail.mailboxes.testing import make_mailbox_person
from deftmail.webmail import access, ahead
from deftmail.webmail.ahead import Ahead, Last, last

LIST = ["Mailbox/get", "Email/query", "Email/get", "Thread/get", "Email/get", "Quota/get"]


class Engine:
    """Opens any mailbox, as the real one does. `asked` is set whenever one is."""

    def __init__(self) -> None:
        self.fakes: dict[str, FakeJmap] = {}
        self.accounts: dict[str, MailAccount] = {}
        self.asked = threading.Event()

    def fake(self, address: str) -> FakeJmap:
        if address not in self.fakes:
            fake = self.fakes[address] = FakeJmap("cyrus", username=address)
            fake.add_email(subject=f"For {address} alone", from_=[{"email": "b@x.test"}])
            handle = fake.handle

            def noticed(request: Any) -> Any:
                self.asked.set()
                return handle(request)

            fake.handle = noticed  # type: ignore[method-assign]
        return self.fakes[address]

    def account(self, address: str) -> MailAccount:
        if address not in self.accounts:
            self.accounts[address] = self.fake(address).account()
        return self.accounts[address]

    def jmap_access(self, address: str) -> Any:
        return self.account(address).access


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Engine:
    engine = Engine()
    monkeypatch.setattr(access, "engine", lambda: engine)
    monkeypatch.setattr(access, "MailAccount", lambda found: engine.account(found.username))
    return engine


@pytest.fixture
def reader(cast: Any) -> Any:
    domain = make_domain(cast.acme, active=True)
    person, mailbox = make_mailbox_person(cast.acme, domain, "reader")
    _other, neighbour = make_mailbox_person(cast.acme, domain, "neighbour")
    return SimpleNamespace(client=person.client, mailbox=mailbox, neighbour=neighbour)


def request_of(reader: Any) -> Any:
    request = RequestFactory().get("/")
    request.COOKIES = {name: cookie.value for name, cookie in reader.client.cookies.items()}
    return request


def remembered(reader: Any, address: str) -> None:
    last.remember(request_of(reader), address)


def known(reader: Any) -> str:
    return last.of(request_of(reader))


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/mail/f/inbox", "/mail/f/inbox/t/T1", "/mail/search/t/T1", "/mail/body/M1"])
def test_the_engine_is_asked_before_the_mailbox_is_looked_up(
    reader: Any, engine: Engine, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    fake = engine.fake(reader.mailbox.email)
    email = next(iter(fake.emails.values()))
    path = path.replace("T1", email["threadId"]).replace("M1", email["id"])
    assert reader.client.get(path).status_code == 200
    engine.asked.clear()

    def looked_up(actor: Any) -> MailUser:
        assert engine.asked.wait(5), "the engine waits for us"
        return own_mailbox(actor)

    monkeypatch.setattr(access, "own_mailbox", looked_up)
    before = len(fake.requests)
    assert reader.client.get(path, headers={"HX-Request": "true"}).status_code == 200
    reads = [request for request in fake.methods()[before:] if "Email/set" not in request]
    assert len(reads) == 1, "what was asked ahead is not asked again"


@pytest.mark.django_db
def test_the_answer_for_another_mailbox_is_thrown_away(reader: Any, engine: Engine) -> None:
    remembered(reader, reader.neighbour.email)
    page = reader.client.get("/mail/f/inbox").content.decode()
    assert f"For {reader.mailbox.email} alone" in page
    assert reader.neighbour.email not in page
    assert LIST in engine.fake(reader.neighbour.email).methods(), "it was asked in vain"
    before = len(engine.fake(reader.neighbour.email).requests)
    assert known(reader) == reader.mailbox.email, "the session knows better by now"
    reader.client.get("/mail/f/inbox")
    assert len(engine.fake(reader.neighbour.email).requests) == before


@pytest.mark.django_db
def test_a_mailbox_that_was_disabled_meanwhile_shows_nothing(reader: Any, engine: Engine) -> None:
    assert reader.client.get("/mail/f/inbox").status_code == 200
    with tenant_tx(reader.mailbox.tenant_id):
        MailUser.objects.filter(pk=reader.mailbox.pk).update(status="disabled")
    answer = reader.client.get("/mail/f/inbox")
    assert answer.status_code == 403
    assert "alone" not in answer.content.decode()
    before = len(engine.fake(reader.mailbox.email).requests)
    reader.client.get("/mail/f/inbox")
    assert len(engine.fake(reader.mailbox.email).requests) == before, "nor is it searched again and again"


@pytest.mark.django_db
def test_who_signed_out_makes_the_engine_search_once_at_most(reader: Any, engine: Engine) -> None:
    reader.client.get("/mail/f/inbox")
    cookies = dict(reader.client.cookies)
    reader.client.logout()
    reader.client.cookies.update(cookies)
    seen = []
    for _visit in range(3):
        assert reader.client.get("/mail/f/inbox").status_code == 302
        seen.append(len(engine.fake(reader.mailbox.email).requests))
    assert seen[2] == seen[1]


@pytest.mark.django_db
def test_nothing_that_changes_mail_is_asked_ahead(reader: Any, engine: Engine) -> None:
    remembered(reader, reader.neighbour.email)
    reader.client.post("/mail/act", {"do": "trash", "ids": ["M1"]})
    reader.client.post("/mail/f/inbox")
    assert reader.neighbour.email not in engine.fakes


@pytest.mark.django_db
def test_a_guest_makes_nobody_ask(guest: Any, engine: Engine) -> None:
    assert guest.get("/mail/f/inbox").status_code == 302
    assert engine.fakes == {}


def test_what_no_thread_was_free_for_is_left_to_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    with ThreadPoolExecutor(1) as threads:
        monkeypatch.setattr(ahead, "_threads", threads)
        free = threading.Event()
        busy = threads.submit(free.wait, 5)
        asked: list[str] = []
        waiting = Ahead("a@acme.test", FakeJmap().account(), [(lambda _account, word: asked.append(word), "x")])
        question = waiting._under_way[0][0]
        assert waiting.take(*question) is None
        free.set()
        assert busy.result()
    assert asked == [], "and not asked a second time"


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/mail/f/inbox", "/mail/f/inbox/t/T1", "/mail/body/M1"])
def test_an_engine_that_fails_what_was_asked_ahead_is_told_like_any_other(
    reader: Any, engine: Engine, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    reader.client.get("/mail/f/inbox")
    assert known(reader) == reader.mailbox.email
    taken: list[Any] = []
    take = Ahead.take

    def noted(self: Ahead, *question: Any) -> Any:
        taken.append(take(self, *question))
        return taken[-1]

    def away(_request: Any) -> Any:
        raise httpx2.ConnectError("refused")

    monkeypatch.setattr(Ahead, "take", noted)
    monkeypatch.setattr(engine.fake(reader.mailbox.email), "handle", away)
    engine.accounts.clear()
    answer = reader.client.get(path)
    assert answer.status_code == 503
    assert taken
    assert taken[0] is not None, "it was under way"
    if "body" in path:
        assert b"could not be loaded" in answer.content
    else:
        assert answer.headers["Retry-After"] == "10"
        assert b"Mail is not available at the moment" in answer.content


def test_who_came_least_lately_is_forgotten() -> None:
    seen = Last(size=2)

    def visit(session: str) -> Any:
        request = RequestFactory().get("/")
        request.COOKIES["dm_session"] = session
        return request

    for session in ("one", "two", "one", "three"):
        seen.remember(visit(session), f"{session}@acme.test")
    assert [seen.of(visit(session)) for session in ("one", "two", "three")] == ["one@acme.test", "", "three@acme.test"]
    assert seen.of(RequestFactory().get("/")) == ""


def test_only_the_guess_that_was_wrong_is_forgotten() -> None:
    seen = Last()
    request = RequestFactory().get("/")
    request.COOKIES["dm_session"] = "one"
    seen.remember(request, "new@acme.test")
    seen.forget(request, "old@acme.test")
    assert seen.of(request) == "new@acme.test"
    seen.forget(request, "new@acme.test")
    seen.forget(request, "new@acme.test")
    assert seen.of(request) == ""
