"""The composer in Chromium on real servers: what is written is not lost on the way, whatever else is clicked."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Route, expect

from deftmail.webmail.tests.conftest import Box, Office, Tab, letter

pytestmark = pytest.mark.servers

HIT = """(selector) => {
  const shown = [...document.querySelectorAll(selector)].filter((each) => each.checkVisibility())
  return shown.every((each) => {
    const box = each.getBoundingClientRect()
    return each.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2))
  })
}"""
ASKS = "!dispatchEvent(new Event('beforeunload', {cancelable: true}))"  # before the page closes for good
STILL = "(toast) => Promise.all(toast.getAnimations().map((each) => each.finished))"


@pytest.fixture
def anna(office: Office) -> Box:
    office.anna.clear()
    return office.anna


def write(tab: Tab, text: str, **fields: str) -> Locator:
    """Open the composer and write into it."""
    tab.page.keyboard.press("c")
    composer = tab.page.locator(".composer")
    expect(composer.locator("[data-editor]")).to_be_visible()
    for name, value in fields.items():
        composer.locator(f"[name={name}]").fill(value)
    composer.locator("[data-editor]").click()
    tab.page.keyboard.type(text)
    return composer


def test_who_is_signed_out_while_writing_is_led_away_by_no_click(tab: Tab, anna: Box, site: str) -> None:
    anna.put(letter("Hello"))
    tab.page.goto("/mail/f/inbox")
    composer = write(tab, "Precious", subject="Not lost")
    tab.context.clear_cookies(name="dm_session")
    state = composer.locator("[data-save-state]")
    tab.page.locator(".thread .row-link").click()
    expect(state.get_by_role("link", name="Sign in in another tab")).to_have_attribute("target", "_blank")
    tab.page.locator(".folder-link[href$=archive]").click()
    expect(composer.locator("[data-editor]")).to_contain_text("Precious")
    # Closed for good, the browser would ask; one that is busy takes a second's silence for leave to close.
    assert tab.page.evaluate(ASKS)
    tab.context.add_cookies([{"name": "dm_session", "value": anna.session, "url": site}])
    tab.page.evaluate("dispatchEvent(new Event('focus'))")  # back from the other tab
    expect(state).to_have_text("Draft saved")
    tab.page.locator(".folder-link[href$=archive]").click()
    tab.page.wait_for_url("**/mail/f/archive")
    assert not tab.page.evaluate(ASKS)
    assert anna.subjects("Drafts") == ["Not lost"]
    tab.said.clear()  # Chromium reports the answers 401


def test_who_lost_all_cookies_while_writing_signs_in_elsewhere_and_goes_on(
    tab: Tab, anna: Box, office: Office, site: str, tmp_path: Path
) -> None:
    anna.put(letter("Hello"))
    office.bert.clear()
    tab.page.goto("/mail/f/inbox")
    composer = write(tab, "Precious", subject="Not lost", to=office.bert.address)
    state = composer.locator("[data-save-state]")
    expect(state).to_have_text("Draft saved")
    tab.context.clear_cookies()
    composer.locator("[data-send]").click()
    expect(tab.page.locator("#toasts")).to_contain_text("You are signed out")
    expect(state.get_by_role("link", name="Sign in in another tab")).to_be_visible()
    tab.page.keyboard.type("er")
    expect(composer.locator("[data-editor]")).to_contain_text("Precious")
    file = tmp_path / "plan.txt"
    file.write_text("the plan")
    composer.locator("[data-attach]").set_input_files(file)
    expect(tab.page.locator(".toast").filter(has_text="You are signed out")).to_have_count(2)
    tab.context.add_cookies([{"name": "dm_session", "value": anna.session, "url": site}])
    other = tab.context.new_page()
    other.goto("/mail/f/inbox")
    other.close()
    tab.page.evaluate("dispatchEvent(new Event('focus'))")  # back from the other tab
    expect(state).to_have_text("Draft saved")
    composer.locator("[data-attach]").set_input_files(file)
    expect(composer.locator(".file [name=attached]")).to_have_count(1)
    composer.locator("[data-send]").click()
    expect(composer).to_have_count(0)
    expect(tab.page.locator("#toasts")).to_contain_text("Message sent")
    assert anna.subjects("Sent") == ["Not lost"]
    assert anna.subjects("Drafts") == []
    # The rest of the page goes on too.
    tab.page.locator(".thread input[name=ids]").check()
    tab.page.locator("[data-bulk] [data-act=archive]").click()
    expect(tab.page.locator(".thread")).to_have_count(0)
    assert anna.subjects("Archive") == ["Hello"]
    assert tab.loads == 1
    tab.said.clear()  # Chromium reports the answers 401


def test_what_can_never_be_saved_so_is_said_once_and_holds_the_page(tab: Tab, anna: Box) -> None:
    tab.page.goto("/mail/f/inbox")
    composer = write(tab, "Precious", subject="Too many")
    state = composer.locator("[data-save-state]")
    composer.locator("[name=to]").fill("x@n.example, " * 2000)
    expect(state).to_have_text("Not saved: too long")
    tab.page.locator(".folder-link[href$=archive]").click()
    expect(state).to_be_focused()
    assert tab.page.url.endswith("/mail/f/inbox")
    composer.locator("[name=to]").fill("x@n.example")
    expect(state).to_have_text("Draft saved")
    tab.page.locator(".folder-link[href$=archive]").click()
    tab.page.wait_for_url("**/mail/f/archive")
    assert anna.subjects("Drafts") == ["Too many"]
    tab.said.clear()  # Chromium reports the answers 422


def test_a_page_asks_before_it_goes_only_for_what_it_cannot_take_along(tab: Tab, anna: Box) -> None:
    anna.put(letter("Large", html="<p>" + "word " * 20_000 + "</p>"))
    tab.page.goto("/mail/f/inbox")
    composer = write(tab, "Short")
    assert not tab.page.evaluate(ASKS)
    expect(composer.locator("[data-save-state]")).to_have_text("Draft saved")
    composer.locator("[data-close]").click()
    tab.page.locator(".thread .row-link").click()
    tab.page.locator("[data-focus-key=reply]").click()
    expect(composer.locator("[data-editor]")).to_contain_text("word")
    tab.page.keyboard.type("Yes")
    assert tab.page.evaluate(ASKS)
    tab.page.evaluate("dispatchEvent(new Event('pagehide'))")
    assert tab.page.evaluate("sessionStorage.dm_kept") is None, "nobody is told of a draft that is not there"
    expect(composer.locator("[data-save-state]")).to_have_text("Draft saved")
    assert not tab.page.evaluate(ASKS)


def test_a_draft_whose_save_is_under_way_is_looked_for_among_the_drafts(tab: Tab, anna: Box) -> None:
    tab.page.goto("/mail/f/inbox")
    composer = write(tab, "First")
    expect(composer.locator("[data-save-state]")).to_have_text("Draft saved")
    held: list[Route] = []
    tab.page.route("**/mail/compose/draft", lambda route: held.append(route))
    with tab.page.expect_request("**/mail/compose/draft"):
        tab.page.keyboard.type(" second")
    tab.page.evaluate("dispatchEvent(new Event('pagehide'))")
    assert tab.page.evaluate("JSON.parse(sessionStorage.dm_kept).href") == "/mail/f/drafts"
    held[0].continue_()
    expect(composer.locator("[data-save-state]")).to_have_text("Draft saved")
    tab.page.evaluate("dispatchEvent(new Event('pagehide'))")
    assert "draft=" in tab.page.evaluate("JSON.parse(sessionStorage.dm_kept).href")


def test_the_focus_is_seen_on_attach(tab: Tab, anna: Box) -> None:
    tab.page.goto("/mail/f/inbox")
    composer = write(tab, "")
    composer.locator("[data-send]").focus()
    for _ in range(10):
        tab.page.keyboard.press("Tab")
        if tab.page.evaluate("'attach' in document.activeElement.dataset"):
            break
    ring = tab.page.evaluate("getComputedStyle(document.activeElement.closest('label')).outlineStyle")
    assert ring == "solid"


def test_enter_in_the_subject_goes_on_and_does_not_send(tab: Tab, anna: Box) -> None:
    tab.page.goto("/mail/f/inbox")
    composer = write(tab, "", subject="Not", to=anna.address)
    composer.locator("[name=subject]").focus()
    tab.page.keyboard.type(" yet")
    tab.page.keyboard.press("Enter")
    tab.page.keyboard.type("There is more to say")
    expect(composer.locator("[data-editor]")).to_contain_text("There is more to say")
    expect(composer.locator("[name=subject]")).to_have_value("Not yet")


@pytest.mark.parametrize("width", [390, 768, 1024, 1440])
def test_a_toast_lies_on_no_button_and_leaves_with_what_it_is_about(
    chromium: Browser, site: str, anna: Box, tmp_path: Path, width: int
) -> None:
    huge = tmp_path / "huge.bin"
    with huge.open("wb") as file:
        file.truncate(26 * 1024 * 1024)
    anna.put(letter("Hello"))
    tab = Tab(chromium, site, anna, viewport={"width": width, "height": 844})
    page = tab.page
    toast = page.locator(".toast")

    def reachable(selector: str) -> bool:
        """Whether a click in the middle of each of these that is shown hits it."""
        return bool(page.evaluate(HIT, selector))

    page.goto("/mail/f/inbox")
    page.keyboard.press("c")
    composer = page.locator(".composer")
    expect(composer.locator("[data-editor]")).to_be_visible()
    composer.locator("[data-attach]").set_input_files(huge)
    expect(toast).to_contain_text("25 MB")
    toast.evaluate(STILL)
    assert reachable(".composer-head .btn, .composer-foot .btn")
    if width != 390:  # there the composer covers the rest
        assert reachable(".mail-top .btn, .compose-button, .folders-head a")
    composer.locator("[data-close]").click()
    expect(toast).to_have_count(0)
    page.locator(".thread input[name=ids]").check()
    page.locator("[data-bulk] [data-act=archive]").click()
    expect(toast).to_contain_text("Undo")
    toast.evaluate(STILL)
    assert reachable(".compose-fab, .compose-button, .mail-top .btn")
    tab.context.close()
    assert tab.said == []


@pytest.fixture
def phone(chromium: Browser, site: str, anna: Box) -> Iterator[Tab]:
    """Anna's browser on a screen of one pane; its console must have had nothing to complain about."""
    tab = Tab(chromium, site, anna, viewport={"width": 390, "height": 844})
    yield tab
    tab.context.close()
    assert tab.said == []


def test_tab_stays_in_a_composer_that_fills_the_screen(phone: Tab, anna: Box) -> None:
    anna.put(letter("Hello"))
    phone.page.goto("/mail/f/inbox")
    composer = write(phone, "")
    met = set()
    for _ in range(30):
        phone.page.keyboard.press("Tab")
        met.add(
            phone.page.evaluate(
                "document.activeElement === document.body || !!document.activeElement.closest('.composer')"
            )
        )
    assert met == {True}
    composer.locator("[data-close]").click()
    phone.wait("document.activeElement.id === 'main'")


@pytest.mark.parametrize("way", ["folder", "reload", "another"])
def test_a_composer_that_goes_says_where_its_draft_is(tab: Tab, anna: Box, way: str) -> None:
    anna.put(letter("Hello"))
    tab.page.goto("/mail/f/inbox")
    composer = write(tab, "Later", subject="Half done")
    if way != "folder":  # there it is saved on the way
        expect(composer.locator("[data-save-state]")).to_have_text("Draft saved")
    if way == "folder":
        tab.page.locator(".folder-link[href$=archive]").click()
    elif way == "reload":
        tab.page.reload()
    else:
        tab.page.locator(".thread .row-link").click()
        tab.page.locator(".answer-row a").first.click()
        expect(composer.locator(".composer-head h2")).to_have_text("Re: Hello")
    toast = tab.page.locator(".toast")
    expect(toast).to_contain_text("Draft saved")
    toast.get_by_role("link", name="Open").click()
    expect(composer.locator("[name=subject]")).to_have_value("Half done")
    expect(composer.locator("[data-editor]")).to_contain_text("Later")
    expect(toast).to_have_count(0)
    assert anna.subjects("Drafts") == ["Half done"]


def test_what_was_sent_is_no_draft_on_the_way_out(tab: Tab, anna: Box) -> None:
    tab.page.goto("/mail/f/inbox")
    composer = write(tab, "At once", subject="Gone", to=anna.address)
    composer.locator("[data-send]").click()
    expect(composer).to_have_count(0)
    expect(tab.page.locator(".toast")).to_contain_text("Message sent")
    tab.page.locator(".folder-link[href$=drafts]").click()
    tab.page.wait_for_url("**/mail/f/drafts")
    expect(tab.page.locator("#list-pane .empty")).to_be_visible()
    assert anna.subjects("Sent") == ["Gone"]
    expect(tab.page.locator(".toast")).to_have_count(0)


def test_back_on_a_phone_closes_the_composer_and_nothing_else(phone: Tab, anna: Box) -> None:
    anna.put(letter("Hello"))
    page = phone.page
    page.goto("/mail/f/inbox")
    page.locator(".thread .row-link").click()
    page.locator(".answer-row a").first.click()
    composer = page.locator(".composer")
    expect(composer.locator("[data-editor]")).to_be_visible()
    composer.locator("[data-editor]").click()
    page.keyboard.type("Later")
    page.go_back()
    expect(composer).to_have_count(0)
    expect(page.locator(".toast")).to_contain_text("Draft saved")
    expect(page.locator(".conversation > h2")).to_have_text("Hello")
    assert anna.subjects("Drafts") == ["Re: Hello"]
    page.locator(".answer-row a").first.click()
    expect(composer.locator("[data-editor]")).to_be_visible()
    composer.locator("[data-close]").click()
    expect(composer).to_have_count(0)
    phone.wait("!history.state?.composer")  # its entry is gone with it
    page.go_back()
    expect(page.locator("#list-pane")).to_be_visible()
    assert phone.loads == 1


@pytest.mark.parametrize(("button", "said"), [("send", "Message sent"), ("discard", "Draft moved to Trash")])
def test_a_composer_that_is_the_page_leads_back_when_it_is_done(tab: Tab, anna: Box, button: str, said: str) -> None:
    tab.page.goto("/mail/f/drafts")
    composer = write(tab, "Now", subject="Resumed", to=anna.address)
    composer.locator("[data-close]").click()
    tab.page.goto(str(tab.page.locator(".thread .row-link[href*=draft]").get_attribute("href")))
    composer.locator("[data-editor]").click()
    tab.page.keyboard.type("More. ")
    composer.locator(f"[data-{button}]").click()
    expect(tab.page.locator("#list-pane .empty")).to_be_visible()
    expect(tab.page.locator(".toast")).to_contain_text(said)
    assert anna.subjects("Drafts") == []
