"""The main job in Chromium, as the owner of a company and as the person of a mailbox, on real servers."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import dns.query
import dns.rdatatype
import dns.tsigkeyring
import dns.update
import dns.zone
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.world import World, letter, until

pytestmark = pytest.mark.servers
PASSWORD = "plum orbit ledger quay"
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
    """A browser of its own, and what its console complained about."""

    def __init__(self, browser: Browser, base: str, width: int = 1280) -> None:
        self.context = browser.new_context(viewport={"width": width, "height": 860}, base_url=base)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.said: list[str] = []
        self.page.on("console", lambda m: self.said.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))

    def complaints(self) -> list[str]:
        """Errors of the console. DOMPurify parses inert copies, and Chromium names the styles it does not apply."""
        return [text for text in self.said if "inline style" not in text]


def submit(page: Page, **fields: str) -> None:
    """Fill the form's fields by name and send it."""
    form = page.locator("main form").filter(has=page.locator(f"[name={next(iter(fields))}]")).first
    for name, value in fields.items():
        control = form.locator(f"[name={name}]")
        if control.get_attribute("type") == "checkbox":
            control.check()
        else:
            control.fill(value)
    form.locator("button.btn:not([type=button])").first.click()


def publish_zone_file(world: World, zone: str, text: str) -> None:
    """Publish the zone file that the page shows (RFC 2136)."""
    access = world.status["dns"]
    keyring = dns.tsigkeyring.from_text({access["tsig_name"]: access["tsig_secret"]})
    update = dns.update.UpdateMessage(zone, keyring=keyring, keyalgorithm=access["tsig_algorithm"])
    for name, _ttl, rdata in dns.zone.from_text(text, origin=zone + ".", check_origin=False).iterate_rdatas():
        update.add(name, 5, rdata)
    assert dns.query.tcp(update, access["host"], port=access["port"], timeout=5).rcode() == 0


def test_from_sign_up_to_an_answered_mail(world: World, chromium: Browser):
    base = world.status["web"]
    domain = f"browser{secrets.token_hex(4)}.test"
    owner_address = f"kumar{secrets.token_hex(3)}@{secrets.token_hex(3)}.example"
    owner = Tab(chromium, base)
    page = owner.page

    # Sign up; the mail with the link went through the real Postfix and was caught.
    page.goto("/signup")
    submit(page, company_name="Kumar Trading", name="Asha Kumar", email=owner_address, password=PASSWORD, accept="on")
    page.wait_for_url("**/signup/sent*")

    def verification() -> bool:
        page.goto("/dev/outbox")
        return page.locator("tr", has_text=owner_address).count() > 0

    until(verification, "the verification mail is caught")
    page.locator("tr", has_text=owner_address).first.locator("a").first.click()
    page.locator("a[href*='/signup/confirm/']").first.click()
    page.locator("main form button.btn, form button.btn").first.click()
    page.wait_for_url("**/overview")
    expect(page.get_by_role("heading", level=1)).to_have_text("Set up your email")

    # Add the domain; publish exactly what the page shows; it becomes active without another click.
    page.get_by_role("link", name="Add domain").click()
    submit(page, domain=domain)
    page.wait_for_url("**/domains/*-*/")
    expect(page.locator("[data-check=dkim]")).to_contain_text("default._domainkey")
    world.zone(domain)
    publish_zone_file(world, domain, page.locator("details pre").first.text_content() or "")
    page.get_by_role("button", name="Check now").click()
    expect(page.locator("[data-check=mx]")).to_have_attribute("data-state", "pass")
    until(lambda: page.reload() and page.get_by_text("Mail arrives and leaves.").count() > 0, "active by itself")

    # A mailbox.
    page.goto("/addresses/add/")
    anna = f"anna@{domain}"
    local, password = page.locator("[name=local], [name=email], [name=address]").first, page.locator("[name=password]")
    local.fill("anna" if local.get_attribute("name") == "local" else anna)
    page.locator("[name=display_name]").fill("Anna Kumar")
    password.fill(PASSWORD)
    page.locator("main form button.btn:not([type=button])").last.click()
    page.wait_for_url("**/addresses/*-*/")

    def ready() -> bool:
        with world.outside() as server:
            server.mail("friend@outside.example")
            return server.rcpt(anna)[0] == 250

    until(ready, "the mailbox takes mail")

    # Mail from the world.
    subject = f"Delivery on Monday {secrets.token_hex(3)}"
    message = letter("Mei Tanaka <mei@outside.example>", anna, subject, "The truck comes at seven.\n")
    message["Message-ID"] = f"<{secrets.token_hex(6)}@outside.example>"
    with world.outside() as server:
        server.sendmail("mei@outside.example", [anna], message.as_bytes())

    # Anna signs in on the same page, reads and answers.
    reader = Tab(chromium, base)
    page = reader.page
    page.goto("/signin")
    submit(page, login=anna, password=PASSWORD)
    page.wait_for_url("**/mail/**")
    until(lambda: page.goto("/mail/f/inbox") and page.locator(".thread", has_text=subject).count() > 0, "it arrives")
    page.locator(".thread", has_text=subject).locator(".row-link").click()
    expect(page.locator("#reading")).to_contain_text("The truck comes at seven.")
    page.keyboard.press("r")
    editor = page.locator("[data-editor]")
    expect(editor).to_be_visible()
    expect(page.locator("[data-composer] [name=to]")).to_have_value("Mei Tanaka <mei@outside.example>")
    editor.click()
    page.keyboard.press("Control+Home")
    page.keyboard.type("Monday is fine.")
    page.locator("[data-send]").click()
    expect(page.locator("#toasts")).to_contain_text("sent", ignore_case=True)

    def caught() -> str | None:
        page.goto("/dev/outbox")
        row = page.locator("tr", has_text=f"Re: {subject}")
        return row.first.locator("a").first.get_attribute("href") if row.count() else None

    page.goto(until(caught, "the answer leaves and is caught"))
    headers = page.locator("dl.facts").last
    headers_text = headers.text_content() or ""
    assert message["Message-ID"] in headers_text, "In-Reply-To and References name the message answered"
    assert f"d={domain};" in headers_text.replace("\n", "").replace(" ", ""), "signed as the sender's domain"
    expect(page.locator("main, body").first).to_contain_text("Monday is fine.")

    # The answered mark, and the sent copy.
    page.goto("/mail/f/inbox")
    expect(page.locator(".thread", has_text=subject).get_by_label("Answered")).to_be_visible()
    assert world.fetch(anna, PASSWORD, f"Re: {subject}", "Sent") is not None

    # A stranger sees none of it.
    stranger = world.company("Stranger", f"o@{secrets.token_hex(4)}.example", PASSWORD)
    other = Tab(chromium, base)
    other.page.goto("/signin")
    submit(other.page, login=stranger.owner, password=PASSWORD)
    other.page.wait_for_url("**/overview")
    other.page.goto("/domains/")
    expect(other.page.locator("body")).not_to_contain_text(domain)

    assert owner.complaints() == []
    assert reader.complaints() == []


def test_the_owner_who_hosts_his_own_address_keeps_one_sign_in(world: World, chromium: Browser):
    """Signed up as kumar@kumar…, hosts kumar…: the mailbox joins his user; one password, console and webmail."""
    domain = f"kumar{secrets.token_hex(4)}.test"
    owner = f"kumar@{domain}"
    company = world.company("Kumar", owner, PASSWORD)
    with company.api as api:
        made = api.post("/domains", json={"domain": domain}).json()
        world.zone(domain)
        world.publish(domain, made["dns_records"])
        until(lambda: api.post(f"/domains/{made['id']}/verify").json()["status"] == "active", "active")
        box = api.post("/mailboxes", json={"email": owner, "password": PASSWORD, "display_name": "Kumar"})
        assert box.status_code == 201, box.text
        until(lambda: api.get(f"/mailboxes/{box.json()['id']}").json()["provisioning"] == "ready", "ready")
    tab = Tab(chromium, world.status["web"], width=390)
    tab.page.goto("/signin")
    submit(tab.page, login=owner, password=PASSWORD)
    tab.page.wait_for_url("**/overview")
    expect(tab.page.locator("body")).to_contain_text("recovery address")
    tab.page.goto("/mail/")
    tab.page.wait_for_url("**/mail/f/inbox")
    with world.imap(owner, PASSWORD):
        pass
    assert tab.complaints() == []


def test_the_messages_shown_are_those_of_ones_own_mailbox_only(world: World, chromium: Browser):
    """An owner without a mailbox opens the webmail: told so, not shown somebody's mail."""
    company = world.company("Nobox", f"o@{secrets.token_hex(4)}.example", PASSWORD)
    tab = Tab(chromium, world.status["web"])
    tab.page.goto("/signin")
    submit(tab.page, login=company.owner, password=PASSWORD)
    tab.page.wait_for_url("**/overview")
    answer = tab.page.goto("/mail/f/inbox")
    assert answer is not None
    assert answer.status in (200, 409)
    expect(tab.page.locator("body")).to_contain_text("no mailbox", ignore_case=True)


@pytest.mark.parametrize("width", [390, 1440])
def test_the_front_page_fits_and_offers_the_plans(world: World, chromium: Browser, width: int):
    tab = Tab(chromium, world.status["web"], width=width)
    tab.page.goto("/")
    expect(tab.page.locator("#plans")).to_contain_text("Starter")
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.complaints() == []
