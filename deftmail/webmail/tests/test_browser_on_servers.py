"""The webmail in Chromium on real servers: acts in place, the keyboard alone, the composer while somebody types."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from deftmail.webmail.tests.conftest import Box, Office, Tab, letter

pytestmark = pytest.mark.servers


def until(look: Callable[[], Any], page: Page, seconds: float = 20) -> Any:
    """Ask until there is something, while the page lives on."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "nothing came in time"
        page.wait_for_timeout(100)
    return found


@pytest.fixture
def anna(office: Office) -> Box:
    office.anna.clear()
    office.bert.clear()
    return office.anna


@pytest.fixture
def bert(office: Office) -> Box:
    return office.bert


def hold(tab: Tab, url: str) -> list[Route]:
    """Requests for `url` wait until it is unrouted."""
    held: list[Route] = []
    tab.page.route(url, lambda route: held.append(route))
    return held


def rows(tab: Tab) -> Any:
    return tab.page.locator(".thread")


def focused(tab: Tab) -> str:
    """The subject of the row that has the focus."""
    return str(
        tab.page.evaluate("document.activeElement?.closest('.thread')?.querySelector('.text')?.textContent ?? ''")
    )


def test_acts_happen_in_place_and_are_undone_in_place(tab: Tab, anna: Box) -> None:
    for subject in ("One", "Two", "Three"):
        anna.put(letter(subject))
    tab.page.goto("/mail/f/inbox")
    expect(tab.page.locator(".folder-link[aria-current] .count")).to_contain_text("3")
    rows(tab).nth(0).locator(".row-link").click()
    expect(tab.page.locator(".conversation > h2")).to_have_text("Three")
    expect(tab.page.locator(".folder-link[aria-current] .count")).to_contain_text("2")
    assert "/t/" in tab.page.url
    tab.page.locator("#reading [data-act=star]").click()
    expect(rows(tab).nth(0).locator(".thread-star button")).to_have_attribute("aria-pressed", "true")
    expect(tab.page.locator("#reading [data-act=star]")).to_have_attribute("aria-pressed", "true")
    assert anna.subjects("INBOX", "FLAGGED") == ["Three"]
    tab.page.locator("#reading [data-act=archive]").click()
    expect(rows(tab)).to_have_count(2)
    expect(tab.page.locator("#reading")).to_contain_text("Nothing is open")
    assert tab.page.url.endswith("/mail/f/inbox")
    assert anna.subjects("Archive") == ["Three"]
    tab.page.get_by_role("button", name="Undo").click()
    expect(rows(tab)).to_have_count(3)
    assert anna.subjects("INBOX", "FLAGGED") == ["Three"]
    rows(tab).nth(1).hover()
    rows(tab).nth(1).locator(".thread-acts [value^=trash]").click()
    expect(rows(tab)).to_have_count(2)
    assert anna.subjects("Trash") == ["Two"]
    for at in (0, 1):
        rows(tab).nth(at).locator("input[name=ids]").check()
    expect(tab.page.locator("[data-bulk-count]")).to_have_text("2")
    tab.page.locator("[data-bulk] summary").click()
    tab.page.locator("[data-bulk] [value='move:archive']").click()
    expect(tab.page.locator("#list-pane")).to_contain_text("Your inbox is empty")
    assert sorted(anna.subjects("Archive")) == ["One", "Three"]
    assert tab.loads == 1


def test_everything_is_done_by_keys_and_the_focus_stays(tab: Tab, anna: Box) -> None:
    for number in range(1, 6):
        anna.put(letter(f"Letter {number}"))
    press = tab.page.keyboard.press
    tab.page.goto("/mail/f/inbox")
    tab.wait("document.documentElement.dataset.js !== undefined")
    press("j")
    assert focused(tab) == "Letter 5"
    press("j")
    press("j")
    press("k")
    assert focused(tab) == "Letter 4"
    press("s")
    expect(rows(tab).nth(1).locator(".thread-star button")).to_have_attribute("aria-pressed", "true")
    until(lambda: anna.subjects("INBOX", "FLAGGED") == ["Letter 4"], tab.page)
    press("e")
    expect(rows(tab)).to_have_count(4)
    tab.wait("document.activeElement.closest('.thread')")
    assert focused(tab) == "Letter 3"
    press("x")
    press("j")
    press("x")
    press("#")
    expect(rows(tab)).to_have_count(2)
    assert sorted(anna.subjects("Trash")) == ["Letter 2", "Letter 3"]
    press("k")
    press("o")
    expect(tab.page.locator(".conversation > h2")).to_have_text("Letter 5")
    press("f")
    expect(tab.page.locator(".composer-head h2")).to_have_text("Fwd: Letter 5")
    tab.wait("document.activeElement.name === 'to'")
    press("Escape")
    expect(tab.page.locator(".composer")).to_have_count(0)
    press("r")
    tab.page.keyboard.type("See you at once. ")  # begun before the composer is there: no letter of it is a shortcut
    expect(tab.page.locator(".composer-head h2")).to_have_text("Re: Letter 5")
    tab.wait("document.activeElement.closest('[data-editor]')")
    expect(tab.page.locator("[data-editor]")).to_contain_text("See you at once.")
    expect(rows(tab)).to_have_count(2)
    press("Escape")
    expect(tab.page.locator(".composer")).to_have_count(0)
    press("c")
    tab.wait("document.activeElement.name === 'to'")
    press("Escape")
    press("/")
    tab.wait("document.activeElement.name === 'q'")
    tab.page.keyboard.type("subject:5")
    tab.wait("(document.activeElement.blur(), true)")
    press("Shift+?")
    expect(tab.page.locator("#shortcuts")).to_be_visible()
    expect(tab.page.locator("#shortcuts")).to_contain_text("Archive")
    press("Escape")
    press("g")
    press("t")
    tab.page.wait_for_url("**/mail/f/sent")
    press("g")
    press("i")
    tab.page.wait_for_url("**/mail/f/inbox")


@pytest.mark.parametrize("width", [390, 1440])
def test_a_message_deleted_elsewhere_leaves_no_other_in_its_place(
    chromium: Browser, site: str, anna: Box, width: int
) -> None:
    anna.put(letter("Gone"))
    anna.put(letter("Here"))
    tab = Tab(chromium, site, anna, viewport={"width": width, "height": 844})
    page = tab.page
    page.goto("/mail/f/inbox")
    rows(tab).filter(has_text="Here").locator(".row-link").click()
    expect(page.locator(".conversation > h2")).to_have_text("Here")
    if width == 390:
        page.locator("[data-back]").click()
    with anna.imap() as box:
        box.select("INBOX")
        box.store(box.search(None, "SUBJECT Gone")[1][0].decode(), "+FLAGS", "\\Deleted")
        box.expunge()
    rows(tab).filter(has_text="Gone").locator(".row-link").click()
    expect(page.locator(".toast")).to_contain_text("There is nothing here")
    expect(page.locator("#reading [data-nothing-open]")).to_have_count(1)
    expect(page.locator("#reading .conversation")).to_have_count(0)
    expect(rows(tab)).to_have_count(1)
    expect(page.locator(".thread[aria-current]")).to_have_count(0)
    expect(page.locator("#list-pane")).to_be_visible()
    assert page.url.endswith("/mail/f/inbox")
    until(lambda: focused(tab) == "Here", page)
    page.keyboard.press("o")
    expect(page.locator(".conversation > h2")).to_have_text("Here")
    page.go_back()
    expect(rows(tab)).to_have_count(1)
    tab.context.close()
    assert all("404" in said for said in tab.said)


@pytest.mark.parametrize("away", ["refused", "offline"])
def test_a_message_that_does_not_come_leaves_no_other_in_its_place(tab: Tab, anna: Box, away: str) -> None:
    for subject in ("One", "Two"):
        anna.put(letter(subject))
    tab.page.goto("/mail/f/inbox")
    rows(tab).nth(0).locator(".row-link").click()
    expect(tab.page.locator(".conversation > h2")).to_have_text("Two")
    tab.page.route("**/t/*", lambda route: route.abort() if away == "offline" else route.fulfill(status=503))
    rows(tab).nth(1).locator(".row-link").click()
    expect(tab.page.locator(".toast")).to_have_count(1)
    expect(tab.page.locator("#reading")).to_contain_text("Nothing is open")
    expect(rows(tab).nth(1)).to_have_attribute("data-unread", "")
    expect(tab.page.locator(".thread[aria-current]")).to_have_count(0)
    tab.page.unroute("**/t/*")
    rows(tab).nth(1).locator(".row-link").click()
    expect(tab.page.locator(".conversation > h2")).to_have_text("One")
    tab.said.clear()  # Chromium reports what did not come


def test_a_search_by_the_field_shows_what_matched(tab: Tab, anna: Box) -> None:
    anna.put(letter("Timber", "The oak boards come on Monday.\n"))
    anna.put(letter("Lunch", "Soup.\n"))
    tab.page.goto("/mail/f/inbox")
    tab.page.get_by_role("searchbox").fill("boards")
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_url("**/mail/search?q=boards")
    expect(rows(tab)).to_have_count(1)
    expect(rows(tab).locator("mark")).to_have_text("boards")
    rows(tab).locator(".row-link").click()
    expect(tab.page.locator(".conversation > h2")).to_have_text("Timber")


def test_autosave_touches_neither_field_nor_cursor_and_survives_closing(tab: Tab, anna: Box) -> None:
    tab.page.goto("/mail/f/inbox")
    tab.page.keyboard.press("c")
    tab.page.locator(".composer [name=to]").fill("half typ")
    editor = tab.page.locator("[data-editor]")
    editor.click()
    tab.page.keyboard.type("Dear Mei, ")
    tab.page.keyboard.press("ArrowLeft")
    tab.page.keyboard.press("ArrowLeft")
    expect(tab.page.locator("[data-save-state]")).to_have_text("Draft saved")
    tab.page.keyboard.type("ko")
    assert editor.inner_text().strip() == "Dear Meiko,"
    assert tab.page.locator(".composer [name=to]").input_value() == "half typ"
    tab.page.locator("[data-close]").click()
    expect(tab.page.locator(".composer")).to_have_count(0)
    tab.page.goto("/mail/f/drafts")
    expect(rows(tab)).to_have_count(1)
    rows(tab).locator(".row-link").click()
    expect(editor).to_contain_text("Dear Meiko,")
    assert len(anna.folder("Drafts")) == 1


def test_opening_and_closing_an_answer_leaves_no_draft_behind(tab: Tab, anna: Box) -> None:
    anna.put(letter("Only read", html="<p>Hello <b>you</b></p>"))
    tab.page.goto("/mail/f/inbox")
    rows(tab).locator(".row-link").click()
    expect(tab.page.locator(".answer-row")).to_be_visible()
    tab.page.keyboard.press("r")
    tab.wait("document.activeElement.closest('[data-editor]')")
    tab.page.wait_for_timeout(3000)
    tab.page.keyboard.press("Escape")
    expect(tab.page.locator(".composer")).to_have_count(0)
    assert anna.subjects("Drafts") == []


@pytest.mark.parametrize("slow", ["**/mail/compose*", "**/dist/composer*.js"])
def test_escape_counts_also_before_the_composer_is_ready(tab: Tab, anna: Box, slow: str) -> None:
    held = hold(tab, slow)
    tab.page.goto("/mail/f/inbox")
    tab.page.keyboard.press("c")
    until(lambda: held, tab.page)
    if "dist" in slow:
        tab.wait("document.activeElement.name === 'to'")
    tab.page.keyboard.press("Escape")
    tab.page.unroute(slow)
    tab.wait("document.activeElement.id === 'main'")  # where the focus goes when a composer has closed
    expect(tab.page.locator(".composer")).to_have_count(0)
    tab.page.keyboard.press("c")
    expect(tab.page.locator("[data-editor]")).to_be_visible()
    assert tab.loads == 1


def test_what_is_sent_before_the_editor_is_there_is_sent_as_text(tab: Tab, anna: Box, bert: Box) -> None:
    held = hold(tab, "**/dist/composer*.js")
    tab.page.goto("/mail/f/inbox")
    tab.page.keyboard.press("c")
    composer = tab.page.locator(".composer")
    composer.locator("[name=to]").fill(bert.address)
    composer.locator("[name=subject]").fill("Quick")
    composer.locator("[name=text]").fill("No editor yet")
    until(lambda: held, tab.page)
    with tab.page.expect_response("**/dist/composer*.js") as came:
        tab.page.unroute("**/dist/composer*.js")
    came.value.finished()
    tab.page.wait_for_timeout(300)  # the editor would take the field's place now
    expect(composer.locator("[name=text]")).to_be_visible()
    composer.locator("[data-send]").click()
    expect(composer).to_have_count(0)
    assert until(lambda: bert.subjects("INBOX"), tab.page) == ["Quick"]
    assert b"No editor yet" in bert.folder("INBOX")[0][1]
    assert tab.loads == 1


def test_a_letter_is_written_with_a_file_and_sent(tab: Tab, anna: Box, bert: Box, tmp_path: Path) -> None:
    file = tmp_path / "plan.txt"
    file.write_text("the plan")
    tab.page.goto("/mail/f/inbox")
    tab.page.keyboard.press("c")
    composer = tab.page.locator(".composer")
    composer.locator("[name=to]").fill(bert.address)
    composer.locator("[name=subject]").fill("The plan")
    composer.locator("[data-editor]").click()
    tab.page.keyboard.type("Here it is.")
    composer.locator("[data-attach]").set_input_files(file)
    expect(composer.locator(".file [name=attached]")).to_have_count(1)
    composer.locator("[data-send]").dblclick()
    expect(composer).to_have_count(0)
    expect(tab.page.locator("#toasts")).to_contain_text("Message sent")
    until(lambda: bert.folder("INBOX"), tab.page)
    tab.page.wait_for_timeout(800)
    assert bert.subjects("INBOX") == ["The plan"]
    assert anna.subjects("Sent") == ["The plan"]
    assert anna.subjects("Drafts") == []
    assert b"plan.txt" in bert.folder("INBOX")[0][1]
    assert tab.loads == 1


@pytest.mark.parametrize("key", ["", "Enter"])
def test_a_draft_that_is_thrown_away_is_not_sent(tab: Tab, anna: Box, bert: Box, key: str) -> None:
    tab.page.goto("/mail/f/inbox")
    tab.page.keyboard.press("c")
    composer = tab.page.locator(".composer")
    composer.locator("[name=to]").fill(bert.address)
    composer.locator("[name=subject]").fill("Better not")
    expect(tab.page.locator("[data-save-state]")).to_have_text("Draft saved")
    bin_ = composer.locator("[data-discard]")
    bin_.press(key) if key else bin_.click()
    expect(composer).to_have_count(0)
    expect(tab.page.locator("#toasts")).to_contain_text("Draft moved to Trash")
    assert anna.subjects("Trash") == ["Better not"]
    assert anna.subjects("Drafts") == anna.subjects("Sent") == bert.subjects("INBOX") == []


def test_files_over_25_mb_are_refused_before_they_travel(tab: Tab, anna: Box, tmp_path: Path) -> None:
    huge = tmp_path / "huge.bin"
    with huge.open("wb") as file:
        file.truncate(26 * 1024 * 1024)
    tab.page.goto("/mail/f/inbox")
    tab.page.keyboard.press("c")
    tab.page.locator("[data-attach]").set_input_files(huge)
    expect(tab.page.locator("#toasts")).to_contain_text("25 MB")
    assert not [url for url in tab.asked if "upload" in url]
    tab.page.locator("[data-close]").click()
    expect(tab.page.locator(".composer")).to_have_count(0)
    assert anna.subjects("Drafts") == []


def test_a_refused_letter_says_why_beside_send_and_is_still_there(tab: Tab, anna: Box) -> None:
    tab.page.goto("/mail/f/inbox")
    tab.page.keyboard.press("c")
    composer = tab.page.locator(".composer")
    composer.locator("[name=to]").fill("nobody at all")
    composer.locator("[data-editor]").click()
    tab.page.keyboard.type("Still here")
    composer.locator("[data-send]").click()
    expect(composer.locator(".field-error")).to_have_text('"nobody at all" is not an email address.')
    expect(composer.locator("[data-editor]")).to_contain_text("Still here")
    assert composer.locator("[name=to]").input_value() == "nobody at all"
    composer.locator("[name=to]").press_sequentially("x")
    expect(composer.locator(".field-error, [aria-invalid]")).to_have_count(0)
    tab.said.clear()  # Chromium reports the answer 422


def test_a_server_that_is_away_loses_nothing_that_was_typed(tab: Tab, anna: Box) -> None:
    tab.page.goto("/mail/f/inbox")
    tab.page.keyboard.press("c")
    composer = tab.page.locator(".composer")
    composer.locator("[name=to]").fill("x@outside.example")
    composer.locator("[data-editor]").click()
    tab.page.keyboard.type("Precious")

    def away(route: Route) -> None:
        route.fulfill(status=503, body="away", headers={"Retry-After": "5"})

    tab.page.route("**/mail/compose*", away)
    composer.locator("[data-send]").click()
    expect(tab.page.locator("#toasts")).to_contain_text("unavailable")
    expect(composer.locator("[data-editor]")).to_contain_text("Precious")
    tab.page.unroute("**/mail/compose*")
    composer.locator("[data-send]").click()
    expect(tab.page.locator("#toasts")).to_contain_text("Message sent")
    tab.said.clear()


def test_who_was_signed_out_while_writing_signs_in_elsewhere_and_sends(
    tab: Tab, anna: Box, bert: Box, site: str
) -> None:
    tab.page.goto("/mail/f/inbox")
    tab.page.keyboard.press("c")
    composer = tab.page.locator(".composer")
    composer.locator("[name=to]").fill(bert.address)
    composer.locator("[name=subject]").fill("After all")
    composer.locator("[data-editor]").click()
    tab.page.keyboard.type("Not lost")
    tab.context.clear_cookies(name="dm_session")
    composer.locator("[data-send]").click()
    expect(tab.page.locator("#toasts")).to_contain_text("You are signed out")
    expect(composer.locator("[data-editor]")).to_contain_text("Not lost")
    tab.context.add_cookies([{"name": "dm_session", "value": anna.session, "url": site}])
    composer.locator("[data-send]").click()
    expect(composer).to_have_count(0)
    assert "After all" in until(lambda: bert.subjects("INBOX"), tab.page)
    tab.said.clear()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_phone_shows_one_pane_at_a_time_and_nothing_is_cut_off(
    chromium: Browser, site: str, anna: Box, theme: str
) -> None:
    anna.put(letter("A subject that is much longer than a narrow screen is wide, as they are", html="<p>x</p>" * 40))
    tab = Tab(chromium, site, anna, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    tab.context.add_cookies([{"name": "dm_theme", "value": theme, "url": site}])
    page = tab.page

    def fits() -> None:
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url

    page.goto("/mail/f/inbox")
    fits()
    rows(tab).locator(".row-link").tap()
    expect(page.locator(".conversation")).to_be_visible()
    expect(page.locator("#list-pane")).to_be_hidden()
    tab.wait("document.activeElement.matches('[data-reading-scroll]')")
    fits()
    for button in page.locator("#reading .pane-bar .btn:visible").all():
        size = button.bounding_box()
        assert size
        assert size["height"] >= 44
    page.locator("[data-back]").tap()
    expect(page.locator("#list-pane")).to_be_visible()
    page.go_back()
    expect(page.locator(".conversation")).to_be_visible()
    page.goto("/mail/folders")
    fits()
    page.goto("/mail/compose")
    fits()
    expect(page.locator("[data-send]")).to_be_in_viewport()
    tab.context.close()
    assert tab.said == []
