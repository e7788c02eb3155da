"""The style guide in Chromium under the real policy: nonces, focus, toasts, dialogs, keys, and no script at all."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from django.core.asgi import get_asgi_application
from playwright.sync_api import Browser, Page, expect, sync_playwright

pytestmark = pytest.mark.servers

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    """The product itself on a free port; the style guide needs no database."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = uvicorn.Config(get_asgi_application(), host="127.0.0.1", port=port, lifespan="off", log_level="error")
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


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class Guide:
    """A page of the guide and what the console said."""

    def __init__(self, browser: Browser, site: str, **options: Any) -> None:
        self.context = browser.new_context(viewport={"width": 1440, "height": 900}, **options)
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(8000)
        self.said: list[str] = []
        self.page.on("console", lambda m: self.said.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.goto(site + "/dev/ui")


@pytest.fixture
def guide(chromium: Browser, site: str) -> Iterator[Guide]:
    guide = Guide(chromium, site)
    yield guide
    guide.context.close()


def test_nothing_is_refused_by_the_policy(guide: Guide, site: str) -> None:
    for path in ("/legal/terms", "/dev/ui", "/dev/ui/mail?pane=reading"):
        guide.page.goto(site + path)
        guide.page.wait_for_function("document.documentElement.dataset.js !== undefined")
    assert guide.said == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 820, 1600])
def test_no_page_is_wider_than_the_screen(chromium: Browser, site: str, width: int, scheme: Any) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page = context.new_page()
    for path in (
        "/legal/privacy",
        "/dev/ui",
        "/dev/ui/mail",
        "/dev/ui/mail?pane=reading",
        "/dev/ui/confirm",
        "/no",
    ):
        page.goto(site + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    context.close()


def test_a_fragment_with_its_own_nonce_goes_on_working(guide: Guide) -> None:
    page = guide.page
    for _ in range(3):
        page.get_by_role("button", name="Again").focus()
        with page.expect_response("**/dev/ui/act/again"):
            page.keyboard.press("Enter")
        # The focus is kept although the button is a new element each time.
        page.wait_for_function("document.activeElement.textContent.trim() === 'Again'")
    expect(page.locator("#live")).to_have_text("Refreshed")
    assert guide.said == []


@pytest.mark.parametrize("nonce", ["", 'hx-nonce="guessed"'])
def test_injected_htmx_is_stripped(guide: Guide, nonce: str) -> None:
    html = f'<button id="evil" {nonce} hx-post="/dev/ui/act/again" hx-trigger="load">x</button>'
    requests: list[str] = []
    guide.page.on("request", lambda request: requests.append(request.url))
    guide.page.evaluate(
        "html => { const box = document.createElement('div'); box.innerHTML = html;"
        " document.body.append(box); htmx.process(box) }",
        html,
    )
    guide.page.wait_for_timeout(300)
    left = guide.page.evaluate("document.getElementById('evil').getAttributeNames()")
    assert [name for name in left if name.startswith("hx-")] == []
    assert [url for url in requests if "/dev/" in url] == []


def test_toast_undoes_and_a_refusal_is_a_toast(guide: Guide) -> None:
    page = guide.page
    page.get_by_role("button", name="Toast with undo").click()
    expect(page.locator(".toast p")).to_have_text("Moved to Archive")
    page.locator(".toast-act").click()
    expect(page.locator(".toast p").last).to_have_text("Moved back to Inbox")
    page.get_by_role("button", name="Refusal").click()
    expect(page.locator(".toast[data-kind=error] p")).to_contain_text("still holds 3 mailboxes")


def test_a_form_is_sent_once_however_often_it_is_pressed(guide: Guide) -> None:
    page = guide.page
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    button = page.locator("#sample-form button.btn")
    button.evaluate("button => { for (let i = 0; i < 3; i++) button.form.requestSubmit(button) }")
    expect(page.locator("#sample-form .field-error").first).to_be_visible()
    page.wait_for_timeout(300)
    assert len(sent) == 1
    expect(page.locator("#sample-form button.btn")).not_to_have_attribute("aria-busy", "true")
    expect(page.locator("#sample-form [role=alert]")).to_be_focused()


def test_confirm_dialog_wakes_its_button_and_gives_the_focus_back(guide: Guide) -> None:
    page = guide.page
    opener = page.get_by_role("link", name="Delete domain")
    opener.click()
    submit = page.locator("#confirm [data-confirm-submit]")
    expect(submit).to_be_disabled()
    page.locator("#id_confirm").fill("acme.tes")
    expect(submit).to_be_disabled()
    page.keyboard.press("Escape")
    expect(page.locator("#confirm")).to_have_count(0)
    expect(opener).to_be_focused()
    opener.click()
    page.locator("#id_confirm").fill("acme.test")
    submit.click()
    expect(page.locator(".toast p")).to_have_text("acme.test was deleted")


def test_shortcuts_are_listed_and_can_be_switched_off(guide: Guide) -> None:
    page = guide.page
    page.locator("#main").focus()
    page.keyboard.press("/")
    expect(page.locator("input[name=q]")).to_be_focused()
    page.locator("#main").focus()
    page.keyboard.press("Shift+?")
    expect(page.locator("#shortcuts")).to_contain_text("Search")
    page.locator("[data-shortcut-switch]").uncheck()
    page.keyboard.press("Escape")
    page.reload()
    page.locator("#main").focus()
    page.keyboard.press("/")
    expect(page.locator("#main")).to_be_focused()


def test_theme_is_kept_for_the_next_page(guide: Guide) -> None:
    page = guide.page
    page.locator(".console-side details.account > summary").click()
    page.locator(".console-side [data-theme-set=dark]").click()
    page.reload()
    assert page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "dark"
    assert page.locator(".console-side [data-theme-set=dark]").get_attribute("aria-pressed") == "true"


def test_a_choice_can_be_hit(guide: Guide) -> None:
    """24 CSS pixels (WCAG 2.5.8)."""
    labels = guide.page.locator(".field [data-options] label, .field[data-kind='check'] > label")
    assert labels.count() > 2
    heights: list[float] = labels.evaluate_all("all => all.map((each) => each.getBoundingClientRect().height)")
    assert min(heights) >= 24


def test_the_sign_in_form_says_in_which_time_zone_the_browser_is(chromium: Browser, site: str) -> None:
    there = Guide(chromium, site, timezone_id="Asia/Kolkata")
    there.page.goto(site + "/signin")
    expect(there.page.locator("input[name=timezone]")).to_have_value(re.compile("^Asia/(Kolkata|Calcutta)$"))
    there.context.close()


def test_everything_works_without_script(chromium: Browser, site: str) -> None:
    guide = Guide(chromium, site, java_script_enabled=False)
    page = guide.page
    page.get_by_role("link", name="Delete domain").click()
    page.locator("#id_confirm").fill("wrong")
    page.get_by_role("button", name="Delete domain").click()
    expect(page.locator(".field-error")).to_contain_text("Nothing was changed")
    page.locator("#id_confirm").fill("acme.test")
    page.get_by_role("button", name="Delete domain").click()
    expect(page.locator("#toasts .toast p")).to_have_text("acme.test was deleted")
    page.get_by_role("button", name="Toast with undo").click()
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(page.locator("#toasts .toast p")).to_have_text("Moved back to Inbox")
    guide.context.close()
