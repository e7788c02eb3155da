"""The webmail's tests: with `FakeJmap` and no server, and on the running stack.

On the stack the views run in this process (so that they are measured), on the stack's own database: gate, Postfix and
worker see the same mailboxes. `office` is a company with mailboxes made by the product's actions.
"""

from __future__ import annotations

import contextlib
import imaplib
import itertools
import secrets
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
import uvicorn
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import AnonymousUser
from django.contrib.messages.storage.cookie import CookieStorage
from django.db import connections
from django.test import Client, RequestFactory
from playwright.sync_api import Browser, Page, sync_playwright
from psycopg.conninfo import conninfo_to_dict

from deftmail.jmap.testing import FakeJmap
from deftmail.kit.conf import conf
from deftmail.kit.tenancy import tenant_tx
from deftmail.kit.testing import GOOD_PASSWORD
from deftmail.sending import counters
from deftmail.sending.limits import ALLOWED
from deftmail.webmail import previews
from deftmail.webmail.access import Mail

PATIENCE = 60.0
_seconds = itertools.count()


# ——— Without servers


@dataclass
class Desk:
    """A mailbox in memory and requests of its person, straight to the views behind their guard."""

    fake: FakeJmap
    mail: Mail

    def request(self, method: str, path: str, data: Any = None, **headers: str) -> Any:
        """A request as the middleware would hand it on."""
        request = getattr(RequestFactory(), method)(path, data or {}, headers=headers)
        request.user = AnonymousUser()
        request.session = {}
        request.csp_nonce = "nonce"
        request._messages = CookieStorage(request)
        request.htmx = "HX-Request" in headers
        return request

    def call(self, view: Any, request: Any, **kwargs: Any) -> Any:
        """Run a view without sign-in and limits: these have tests of their own."""
        return view.__wrapped__.__wrapped__.__wrapped__(request, self.mail, **kwargs)


@pytest.fixture(autouse=True)
def _nothing_used(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the stack nothing is used of any limit, and nobody is asked."""
    if request.node.get_closest_marker("servers") is None:
        monkeypatch.setattr(counters, "peek", lambda _address, _recipients: ALLOWED)
        monkeypatch.setattr(counters, "usage_of_mailbox", lambda _mailbox: [])


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    """anna@acme.test with the usual folders and nothing in them."""
    monkeypatch.setattr(previews, "_kept", OrderedDict())
    fake = FakeJmap("cyrus", username="anna@acme.test")
    for name, role in (("Sent", "sent"), ("Drafts", "drafts"), ("Trash", "trash"), ("Junk", "junk")):
        fake.add_mailbox(name, role)
    fake.add_mailbox("Archive", "archive")
    mailbox = SimpleNamespace(pk=uuid4(), email="anna@acme.test", display_name="Anna Keller", status="active")
    actor = SimpleNamespace(user_id=uuid4(), can=lambda _action: False)
    return Desk(fake, Mail(actor, mailbox, fake.account()))  # type: ignore[arg-type]


# ——— On the running stack


@contextlib.contextmanager
def stack_database(blocker: Any, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every connection goes to the stack's own database instead of a test database."""
    urls = {"default": conf.database_url, "system": conf.database_system_url, "owner": conf.database_owner_url}
    before = {}
    patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
    with blocker.unblock():
        for alias in connections:
            connections[alias].close()
            before[alias] = connections[alias].settings_dict["NAME"]
            url = urls[alias]
            assert url is not None
            connections[alias].settings_dict["NAME"] = conninfo_to_dict(url.get_secret_value())["dbname"]
        try:
            yield
        finally:
            for alias in connections:
                connections[alias].close()
                connections[alias].settings_dict["NAME"] = before[alias]


@dataclass
class Box:
    """A mailbox of the stack: its row, its person, a signed-in browser without JavaScript, and IMAP."""

    address: str
    row: Any
    client: Client
    session: str

    def htmx(self, method: str, path: str, data: Any = None, **headers: str) -> Any:
        """What a script would ask for."""
        return getattr(self.client, method)(path, data or {}, headers={"HX-Request": "true", **headers})

    @contextlib.contextmanager
    def imap(self) -> Iterator[imaplib.IMAP4]:
        """Signed in by password at the real server, through the gate."""
        host, _colon, port = conf.imap.rpartition(":")
        box = imaplib.IMAP4(host, int(port), timeout=30)
        box.login(self.address, GOOD_PASSWORD)
        try:
            yield box
        finally:
            box.logout()

    def put(self, message: EmailMessage | bytes, folder: str = "INBOX", flags: str = "") -> None:
        """Lay a message into a folder, as if it had come."""
        with self.imap() as box:
            self._put(box, message, folder, flags)

    def put_many(self, messages: list[EmailMessage], folder: str = "INBOX") -> None:
        """Many in one connection."""
        with self.imap() as box:
            for message in messages:
                self._put(box, message, folder, "")

    @staticmethod
    def _put(box: imaplib.IMAP4, message: EmailMessage | bytes, folder: str, flags: str) -> None:
        raw = message if isinstance(message, bytes) else bytes(message)
        # Each a second after the one before: lists are in the order of coming.
        when = imaplib.Time2Internaldate(time.time() - 7200 + next(_seconds))
        status, said = box.append(folder, f"({flags})", when, raw.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))
        assert status == "OK", said

    def folder(self, folder: str, query: str = "ALL", what: str = "(FLAGS BODY.PEEK[])") -> list[tuple[bytes, bytes]]:
        """(head with flags, message) of what matches in a folder."""
        with self.imap() as box:
            if box.select(f'"{folder}"', readonly=True)[0] != "OK":
                return []
            numbers = box.search(None, query)[1][0].split()
            found = []
            for number in numbers:
                part = box.fetch(number.decode(), what)[1][0]
                if isinstance(part, tuple):
                    found.append((part[0], part[1]))
            return found

    def subjects(self, folder: str, query: str = "ALL") -> list[str]:
        """The subjects in a folder."""
        heads = self.folder(folder, query, "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        return [text.decode().partition(":")[2].strip() for _flags, text in heads]

    def clear(self) -> None:
        """Empty every folder."""
        with self.imap() as box:
            for line in box.list()[1]:
                assert isinstance(line, bytes)
                name = line.decode().rpartition(' "/" ')[2].strip('"')
                if box.select(f'"{name}"')[0] == "OK":
                    box.store("1:*", "+FLAGS", "\\Deleted")
                    box.expunge()


@dataclass
class Office:
    """A company on the stack."""

    tenant: Any
    actor: Any
    domain: str
    boxes: dict[str, Box] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Box:
        return self.boxes[name]


def _open_office(name: str, people: tuple[str, ...]) -> Office:
    from deftmail.domains.actions import add_domain, check_domain
    from deftmail.domains.models import Domain
    from deftmail.domains.records import records_of
    from deftmail.mailboxes.access import mailbox_for
    from deftmail.mailboxes.actions import create_mailbox
    from deftmail.mailproto.dkim import split_txt
    from deftmail.stack.testing import running_stack, wait_for
    from deftmail.tenants.actions.company import create_company
    from deftmail.tenants.actor import Actor
    from deftmail.tenants.models import Plan

    zone = f"{name}{secrets.token_hex(4)}.test"
    tenant, _owner = create_company(
        company_name=name.title(),
        owner_name="Olga Owner",
        owner_email=f"owner@{zone}.example",
        stored_password=make_password(GOOD_PASSWORD),
        plan=Plan.objects.get(slug="business"),
        trial=False,
        actor_label="test",
    )
    actor = Actor.system(tenant.pk, "test")
    domain = add_domain(actor=actor, name=zone)
    with tenant_tx(tenant.pk):
        records = records_of(domain)
    running_stack().publish(
        zone,
        [
            (
                record.name.removesuffix(zone).rstrip(".") or "@",
                record.type,
                f"{record.priority} {record.value}."
                if record.type == "MX"
                else " ".join(f'"{part}"' for part in split_txt(record.value)),
            )
            for record in records
        ],
    )
    wait_for(
        lambda: check_domain(actor=actor, domain_id=domain.pk).status == Domain.Status.ACTIVE or None,
        f"{zone} to be active",
        PATIENCE,
    )
    office = Office(tenant, actor, zone)
    made = {
        person: create_mailbox(
            actor=actor, email=f"{person}@{zone}", password=GOOD_PASSWORD, display_name=f"{person.title()} Keller"
        )
        for person in people
    }
    for person, row in made.items():

        def ready(row: Any = row) -> Any:
            with tenant_tx(tenant.pk):
                return mailbox_for(actor, row.pk) if mailbox_for(actor, row.pk).synced_at else None

        office.boxes[person] = _open_box(wait_for(ready, f"mailbox {row.email}", PATIENCE), tenant)
    return office


def _open_box(row: Any, tenant: Any) -> Box:
    from deftmail.tenants.testing import make_client

    with tenant_tx(tenant.pk):
        user = row.user
    client = make_client()
    client.force_login(user, backend="deftmail.tenants.signin.PasswordBackend")
    box = Box(row.email, row, client, client.cookies["dm_session"].value)
    with box.imap() as imap:  # the folders every mailbox has, which the index page makes
        assert imap.select("INBOX")[0] == "OK"
    client.get("/mail/")
    return box


_offices: dict[str, Office] = {}


@pytest.fixture(scope="module")
def on_stack(django_db_blocker: Any) -> Iterator[None]:
    """This module's tests use the stack's database. Playwright keeps an event loop in this thread, which Django would
    take for an async context."""
    with pytest.MonkeyPatch.context() as patch, stack_database(django_db_blocker, patch):
        yield


@pytest.fixture(scope="module")
def office(on_stack: None) -> Office:
    """Anna, Bert and Clara of one company; made once a session."""
    if "office" not in _offices:
        _offices["office"] = _open_office("office", ("anna", "bert", "clara"))
    return _offices["office"]


@pytest.fixture(scope="module")
def stranger(on_stack: None) -> Box:
    """Eve of another company."""
    if "other" not in _offices:
        _offices["other"] = _open_office("other", ("eve",))
    return _offices["other"].boxes["eve"]


@pytest.fixture(scope="module")
def site(on_stack: None) -> Iterator[str]:
    """The product on a free port, in this process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = uvicorn.Config("deftmail.asgi:application", host="127.0.0.1", port=port, lifespan="off", log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 15
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.05)
    assert server.started
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield browser
        browser.close()


class Tab:
    """A signed-in browser, what its console said, and every address it asked for."""

    def __init__(self, browser: Browser, site: str, box: Box, **options: Any) -> None:
        size = options.pop("viewport", {"width": 1440, "height": 900})
        self.context = browser.new_context(viewport=size, base_url=site, **options)
        self.context.add_cookies([{"name": "dm_session", "value": box.session, "url": site}])
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(10_000)
        self.said: list[str] = []
        self.asked: list[str] = []
        self.loads = 0
        self.page.on("console", lambda m: self.said.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("load", lambda _page: self._loaded())

    def _loaded(self) -> None:
        self.loads += 1

    def wait(self, script: str, seconds: float = 10) -> Any:
        """Until `script` is true in the page; Playwright's own way evaluates strings, which the policy forbids."""
        deadline = time.monotonic() + seconds
        while not (found := self.page.evaluate(script)):
            assert time.monotonic() < deadline, script
            self.page.wait_for_timeout(50)
        return found


@pytest.fixture
def tab(chromium: Browser, site: str, office: Office) -> Iterator[Tab]:
    """Anna's browser; its console must have had nothing to complain about."""
    tab = Tab(chromium, site, office.anna)
    yield tab
    tab.context.close()
    assert tab.said == []


def letter(subject: str, text: str = "Hello.\n", *, html: str = "", **headers: str) -> EmailMessage:
    """A message from outside; header names are written with underscores."""
    message = EmailMessage()
    defaults = {
        "From": "Mei Tanaka <mei@northwind.example>",
        "To": "someone@example.test",
        "Message-ID": f"<{secrets.token_hex(8)}@northwind.example>",
    }
    given = {name.rstrip("_").replace("_", "-"): value for name, value in headers.items()}
    for name, value in {**defaults, **given, "Subject": subject}.items():
        if value:
            message[name] = value
    message.set_content(text)
    if html:
        message.add_alternative(html, subtype="html")
    return message
