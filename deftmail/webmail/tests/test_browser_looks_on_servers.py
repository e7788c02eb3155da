"""How HTML mail looks in Chromium on real servers: nothing is cut off, and an answer keeps it."""

from __future__ import annotations

import email
import email.policy
import re
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from deftmail.webmail.tests.conftest import Box, Office, Tab, letter
from deftmail.webmail.tests.test_browser_on_servers import until

pytestmark = pytest.mark.servers


@pytest.fixture
def anna(office: Office) -> Box:
    office.anna.clear()
    office.bert.clear()
    return office.anna


OFFER = """<center><table border="1" width="600" cellpadding="4" bgcolor="red" align="right"
style="border: 3px solid blue">
<tr><td valign="top" style="color: green; padding: 9px; background-position: 0 0"><font color="red" size="5">cell</font>
<strong style="letter-spacing: 3px">wide</strong> <big>big</big>
<img src="https://x.example/p.png" width="40" height="30">
<a href="https://x.example/" style="color: purple">link</a></td></tr>
<tr><td height="8"></td></tr><tr><td><img src="https://x.example/q.png" style="display: block"></td></tr></table>
<a href="https://x.example/buy"><table><tr><td>Buy</td></tr></table></a><b><p>Bold <i>words</i></p></b></center>"""


MEASURED = """(frame) => {
  const { documentElement: root, body } = frame.contentDocument
  const right = (each) => each.getBoundingClientRect().right
  return {
    spare: frame.contentWindow.innerHeight - body.getBoundingClientRect().height,
    cut: Math.max(...[...body.querySelectorAll('*')].map(right)) - root.clientWidth,
    zoom: Number(root.style.zoom || 1),
    sideways: root.scrollWidth - root.clientWidth,
  }
}"""
HERO = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="


def newsletter(width: int, around: str = "<div>") -> str:
    """Mail of a fixed width: a picture, a button, a column at the right."""
    return f"""{around}<table width="{width}" style="width: {width}px; min-width: {width}px" cellspacing="0"><tr>
<td colspan="2"><img src="{HERO}" width="{width}" height="80" style="max-width: none"></td></tr><tr>
<td width="{width - 200}" height="700">Left</td><td width="200" align="right"><a href="https://x.example/">Buy</a></td>
</tr></table></div>"""


def shown(tab: Tab) -> dict[str, float]:
    """Open the only message and measure its frame when it has come to rest."""
    tab.page.goto("/mail/f/inbox")
    tab.page.locator(".thread .row-link").click()
    return measured(tab)


def measured(tab: Tab) -> dict[str, float]:
    frame = tab.page.locator(".message-frame").last
    expect(frame).to_be_visible()
    tab.page.frame_locator(".message-frame").last.locator("body[data-blocked]").wait_for()
    tab.page.wait_for_timeout(400)
    return dict(frame.evaluate(MEASURED))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_end_of_a_message_is_seen(chromium: Browser, site: str, anna: Box, theme: Any) -> None:
    anna.put(letter("Offer", html="<p>one</p>" * 30 + "<blockquote type=cite><p>last</p></blockquote>"))
    tab = Tab(chromium, site, anna, color_scheme=theme)
    found = shown(tab)
    assert -1 <= found["spare"] <= 2, found
    tab.context.close()
    assert tab.said == []


@pytest.mark.parametrize(("width", "narrower"), [(390, 360), (1280, 1100)])
@pytest.mark.parametrize("around", ["<div>", '<div style="overflow: hidden">', '<div dir="rtl">'])
def test_mail_of_a_fixed_width_is_made_to_fit(
    chromium: Browser, site: str, anna: Box, width: int, narrower: int, around: str
) -> None:
    anna.put(letter("Offer", html=newsletter(600, around)))
    tab = Tab(chromium, site, anna, viewport={"width": width, "height": 844})
    found = shown(tab)
    assert found["cut"] <= 1, found
    assert found["sideways"] == 0, found
    assert 0.5 < found["zoom"] < 1, found
    assert -1 <= found["spare"] <= 2, found
    tab.page.set_viewport_size({"width": 1700, "height": 844})
    found = measured(tab)
    assert found["zoom"] == 1, found
    assert -1 <= found["spare"] <= 2, found
    tab.page.set_viewport_size({"width": narrower, "height": 844})
    found = measured(tab)
    assert found["cut"] <= 1, found
    assert -1 <= found["spare"] <= 2, found
    tab.context.close()
    assert tab.said == []


def test_mail_that_would_be_too_small_to_read_scrolls_sideways(chromium: Browser, site: str, anna: Box) -> None:
    anna.put(letter("Offer", html=newsletter(2000)))
    tab = Tab(chromium, site, anna, viewport={"width": 390, "height": 844})
    found = shown(tab)
    assert found["zoom"] == 0.5, found
    assert found["sideways"] > 500, found
    assert found["spare"] >= -1, found
    assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    tab.context.close()
    assert tab.said == []


def html_of(raw: bytes) -> str:
    """The HTML part of a message."""
    part = email.message_from_bytes(raw, policy=email.policy.default).get_body(("html",))
    assert part is not None
    return str(part.get_content())


@pytest.mark.parametrize("key", ["r", "f"])
def test_an_answer_keeps_the_look_of_what_it_quotes(tab: Tab, anna: Box, office: Office, key: str) -> None:
    anna.put(letter("Offer", html=OFFER))
    tab.page.goto("/mail/f/inbox")
    tab.page.locator(".thread .row-link").click()
    expect(tab.page.locator(".answer-row")).to_be_visible()
    tab.page.keyboard.press(key)
    composer = tab.page.locator(".composer")
    editor = composer.locator("[data-editor]")
    cell = editor.locator("td").first
    expect(cell).to_have_css("color", "rgb(0, 128, 0)")
    expect(cell).to_have_css("padding-left", "9px")
    expect(editor.locator("table").first).to_have_css("border-top-color", "rgb(0, 0, 255)")
    expect(editor.locator("table").first).to_have_css("background-color", "rgb(255, 0, 0)")
    expect(editor.get_by_text("cell", exact=True)).to_have_css("color", "rgb(255, 0, 0)")
    # Undo puts in what was there, with its look.
    editor.click(position={"x": 20, "y": 14})
    tab.page.keyboard.type("So be it")
    tab.page.wait_for_timeout(100)
    tab.page.keyboard.press("Control+z")
    expect(editor).not_to_contain_text("So be it")
    expect(cell).to_have_css("color", "rgb(0, 128, 0)")
    composer.locator("[name=to]").fill(office.bert.address)
    composer.locator("[data-send]").click()
    expect(composer).to_have_count(0)
    until(lambda: office.bert.subjects("INBOX"), tab.page)
    sent = html_of(office.bert.folder("INBOX")[0][1])
    attributes = (
        'border="1" width="600" cellpadding="4" bgcolor="red" align="right" align="center" valign="top" height="30"'
    )
    styles = "border: 3px solid blue|color: green|padding: 9px|color: red|letter-spacing: 3px|font-size: x-large"
    more = 'font-size: larger|color: purple|src="https://x.example/p.png"'
    for kept in [*attributes.split(), *styles.split("|"), *more.split("|")]:
        assert kept in sent, sent
    assert re.search(r'<td height="8">\s*</td>', sent), sent
    assert re.search(r'src="https://x.example/q.png"[^>]*>\s*</td>', sent), sent
    assert re.search(r'<a href="https://x.example/buy"[^>]*>Buy</a></td>', sent), sent
    assert "<b>Bold <i>words</i></b></p>" in sent, sent


@pytest.mark.parametrize(("html", "paper"), [("<p style='color: #222'>x</p>", True), ("<p><b>x</b></p>", False)])
def test_an_answer_in_the_dark_can_be_read(chromium: Browser, site: str, anna: Box, html: str, paper: bool) -> None:
    anna.put(letter("Offer", html=html))
    tab = Tab(chromium, site, anna, color_scheme="dark")
    tab.page.goto("/mail/f/inbox")
    tab.page.locator(".thread .row-link").click()
    expect(tab.page.locator(".answer-row")).to_be_visible()
    tab.page.keyboard.press("r")
    editor = tab.page.locator("[data-editor]")
    expect(editor).to_contain_text("x")
    shown = editor.evaluate("(editor) => getComputedStyle(editor).backgroundColor")
    assert (shown == "rgb(255, 255, 255)") is paper
    expect(editor.get_by_text("x", exact=True)).to_be_visible()
    tab.context.close()
    assert tab.said == []


DROP = """(editor, html) => {
  const dataTransfer = new DataTransfer()
  dataTransfer.setData('text/html', html)
  editor.dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }))
}"""
REFUSED = [
    *("javascript:alert(1)", "JaVaScRiPt:alert(1)", "java&#115;cript:alert(1)", "java&Tab;script:alert(1)"),
    *(" &#1;javascript:alert(1)", "java\nscript:alert(1)", "vbscript:x", "VBSCRIPT:x", "data:text/html,x"),
    *("DATA:text/html;base64,eA==", "&#100;ata:text/html,x", "file:///etc/passwd", "blob:x"),
    *("//x.example/", "/\\x.example/"),
]


def test_what_is_dropped_in_keeps_its_look_and_no_address_that_runs(tab: Tab, anna: Box) -> None:
    tab.page.goto("/mail/f/inbox")
    tab.page.keyboard.press("c")
    editor = tab.page.locator("[data-editor]")
    expect(editor).to_be_visible()
    links = "".join(f'<p><a href="{url}" align="right">run {number}</a></p>' for number, url in enumerate(REFUSED))
    frames = "".join(
        f'<img alt="p" src="{url}" width="9" onerror="x()">' for url in REFUSED if "ata:" not in url.lower()
    )
    table = '<table border="1" bgcolor="red" style="position: fixed; color: green"><tr><td>kept</td></tr></table>'
    editor.evaluate(DROP, f'{table}{links}<p>{frames}</p><p><a href="https://x.example/">fine</a></p>')
    expect(editor.locator("table[border='1'][bgcolor=red]")).to_have_css("color", "rgb(0, 128, 0)")
    expect(editor.locator("table")).to_have_css("position", "static")
    expect(editor.get_by_text("run ")).to_have_count(len(REFUSED))
    found = editor.evaluate(
        "(editor) => [...editor.querySelectorAll('*')].flatMap((each) => [...each.attributes])"
        ".filter((each) => ['href', 'src', 'onerror'].includes(each.name)).map((each) => each.value)"
    )
    assert found == ["https://x.example/"]
    tab.said.clear()  # Chromium reports the style in the markup, which is parsed in a page of its own
