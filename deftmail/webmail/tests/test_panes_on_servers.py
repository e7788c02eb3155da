"""What the list and the reading pane show while one goes to and fro between them, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from deftmail.webmail.tests.conftest import Box, Office, Tab, letter
from deftmail.webmail.tests.test_browser_on_servers import hold, rows, until

pytestmark = pytest.mark.servers

NOTHING_OPEN = "#reading [data-nothing-open] > .empty"


@pytest.fixture
def anna(office: Office) -> Box:
    office.anna.clear()
    return office.anna


@pytest.fixture
def phone(chromium: Browser, site: str, anna: Box) -> Iterator[Tab]:
    """Anna's telephone."""
    tab = Tab(chromium, site, anna, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    yield tab
    tab.context.close()
    assert tab.said == []


def test_a_conversation_that_takes_its_time_shows_that_it_is_coming(tab: Tab, anna: Box) -> None:
    anna.put(letter("Slow"))
    tab.page.goto("/mail/f/inbox")
    expect(tab.page.locator(NOTHING_OPEN)).to_be_visible()
    held = hold(tab, "**/t/*")
    rows(tab).locator(".row-link").click()
    until(lambda: held, tab.page)
    expect(tab.page.locator(NOTHING_OPEN)).to_be_hidden()
    tab.wait("document.querySelector('.page-busy').getBoundingClientRect().width > 300")
    tab.page.unroute("**/t/*")
    expect(tab.page.locator(".conversation > h2")).to_have_text("Slow")


def test_the_move_menu_of_a_phone_lies_on_its_screen(phone: Tab, anna: Box) -> None:
    anna.put(letter("Move me"))
    phone.page.goto("/mail/f/inbox")
    rows(phone).locator(".row-link").tap()
    phone.page.locator("#reading [data-act=move]").tap()
    panel = phone.page.locator("#reading .move-panel")
    expect(panel).to_be_visible()
    box = panel.bounding_box()
    assert box
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390


def test_the_page_is_named_by_what_it_shows(tab: Tab, anna: Box) -> None:
    anna.put(letter("Oak boards"))
    anna.put(letter("Read before"), flags="\\Seen")
    tab.page.goto("/mail/f/inbox")
    expect(tab.page).to_have_title("Inbox (1) · DeftMail")
    rows(tab).nth(1).locator(".row-link").click()
    expect(tab.page).to_have_title("Oak boards · DeftMail")
    tab.page.locator("#reading [data-act=archive]").click()
    expect(tab.page).to_have_title("Inbox · DeftMail")
    assert tab.loads == 1


def test_back_on_a_phone_gives_the_list_its_name_again_without_what_was_read(phone: Tab, anna: Box) -> None:
    anna.put(letter("Oak boards"))
    phone.page.goto("/mail/f/inbox")
    for back in (lambda: phone.page.locator("[data-back]").tap(), phone.page.go_back):
        rows(phone).locator(".row-link").tap()
        expect(phone.page).to_have_title("Oak boards · DeftMail")
        back()
        expect(phone.page).to_have_title("Inbox · DeftMail")
    assert phone.loads == 1


@pytest.mark.parametrize("slow", [False, True])
def test_after_undo_the_focus_is_on_what_came_back(tab: Tab, anna: Box, slow: bool) -> None:
    for subject in ("One", "Two", "Three"):
        anna.put(letter(subject))
    tab.page.goto("/mail/f/inbox")
    rows(tab).nth(1).locator(".row-link").click()
    expect(tab.page.locator(".conversation > h2")).to_have_text("Two")
    tab.page.locator("#reading [data-act=trash]").click()
    expect(rows(tab)).to_have_count(2)
    held = hold(tab, "**/mail/undo/*") if slow else []
    tab.page.get_by_role("button", name="Undo").click()
    if slow:  # the answer comes when the toast, and the focus with it, has gone
        until(lambda: held, tab.page)
        expect(tab.page.locator(".toast form")).to_have_count(0)
        tab.page.unroute("**/mail/undo/*")
    expect(rows(tab)).to_have_count(3)
    expect(rows(tab).nth(1).locator(".row-link")).to_be_focused()
    expect(tab.page.locator(".toast form")).to_have_count(0)  # and it does not leave with the toast
    expect(rows(tab).nth(1).locator(".row-link")).to_be_focused()


def test_after_undoing_a_mark_the_focus_is_in_the_list(tab: Tab, anna: Box) -> None:
    for subject in ("One", "Two"):
        anna.put(letter(subject))
    tab.page.goto("/mail/f/inbox")
    rows(tab).nth(1).hover()
    rows(tab).nth(1).locator(".thread-acts [value^='read|']").click()
    tab.page.get_by_role("button", name="Undo").click()
    expect(tab.page.locator(".thread[data-unread]")).to_have_count(2)
    tab.wait("document.activeElement.closest('.thread')")


def test_an_empty_folder_does_not_ask_to_choose_a_conversation(tab: Tab, anna: Box) -> None:
    anna.put(letter("The last one"))
    tab.page.goto("/mail/f/inbox")
    expect(tab.page.locator(NOTHING_OPEN)).to_be_visible()
    rows(tab).hover()
    rows(tab).locator(".thread-acts [value^=archive]").click()
    expect(tab.page.locator("#list-pane")).to_contain_text("Your inbox is empty")
    expect(tab.page.locator(NOTHING_OPEN)).to_be_hidden()
    tab.page.get_by_role("button", name="Undo").click()
    expect(tab.page.locator(NOTHING_OPEN)).to_be_visible()


def test_the_box_for_all_stands_above_the_boxes_of_the_rows(tab: Tab, phone: Tab, anna: Box) -> None:
    anna.put(letter("One"))
    for each in (tab, phone):
        each.page.goto("/mail/f/inbox")
        whole, one = (each.page.locator(name).bounding_box() for name in ("[data-select-all]", ".thread-check > input"))
        assert whole
        assert one
        assert whole["x"] == one["x"]


def test_the_size_of_a_file_stays_in_one_line(phone: Tab, anna: Box, tmp_path: Path) -> None:
    file = tmp_path / f"{'a plan with a long name ' * 5}.txt"
    file.write_text("the plan" * 200)
    phone.page.goto("/mail/compose")
    phone.page.locator("[data-attach]").set_input_files(file)
    expect(phone.page.locator(".file [name=attached]")).to_have_count(1)
    size = phone.page.locator(".file > .file-name + span")
    expect(size).to_have_text("1.6 KB")
    assert size.evaluate("element => element.offsetHeight") <= 20
