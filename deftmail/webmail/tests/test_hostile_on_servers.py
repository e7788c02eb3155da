# ruff: noqa: E501 -- attacks are quoted as they come
"""Mail written to do harm, in Chromium on real servers: nothing runs, nothing is fetched, nothing breaks."""

from __future__ import annotations

import http.server
import re
import threading
from collections.abc import Iterator
from email.message import EmailMessage

import pytest
from playwright.sync_api import Dialog, expect

from deftmail.webmail.tests.conftest import Box, Office, Tab, letter

pytestmark = pytest.mark.servers


class Tracker:
    """A server of the outside world that counts who asks it."""

    def __init__(self) -> None:
        asked = self.asked = []  # type: list[str]

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_response(200)
                self.send_header("Content-Type", "image/gif")
                self.end_headers()
                self.wfile.write(
                    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
                )

            do_POST = do_GET  # noqa: N815 -- the name http.server calls

            def log_message(self, *_arguments: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def tracker() -> Iterator[Tracker]:
    tracker = Tracker()
    yield tracker
    tracker.server.shutdown()


def attacks(url: str) -> list[str]:
    """Ways in that were found in other webmails."""
    return [
        "<script>parent.document.title='pwned';alert(1)</script>",
        f"<img src=x onerror=\"fetch('{url}/onerror');alert(2)\">",
        f"<svg onload=\"fetch('{url}/svg')\"><script>alert(3)</script><image href='{url}/svgimage'/></svg>",
        f"<math><mtext><table><mglyph><style><img src=x onerror=\"fetch('{url}/mxss')\"></style></mglyph></table></mtext></math>",
        f"<a id=go href=\"javascript:fetch('{url}/js')\">click</a><a href=' &#x6a;avascript:alert(4)'>click</a>",
        f"<form action='{url}/form' method=post><input name=password autofocus onfocus=alert(5)><button>Sign in</button></form>",
        f"<meta http-equiv=refresh content='0;url={url}/refresh'><base href='{url}/'>",
        f"<iframe src='{url}/iframe'></iframe><object data='{url}/object'></object><embed src='{url}/embed'>",
        f"<link rel=stylesheet href='{url}/link.css'><link rel=preconnect href='{url}'><link rel=dns-prefetch href='{url}'>",
        f"<style>@import '{url}/import.css';body{{background:url({url}/style.gif)}} @font-face{{font-family:x;src:url({url}/font)}} *{{font-family:x}}</style>",
        f"<div style=\"background:url('{url}/inline.gif');position:fixed;inset:0;z-index:9999\">over everything</div>",
        f"<img src='{url}/pixel.gif' width=1 height=1><img srcset='{url}/srcset.gif 2x'><picture><source srcset='{url}/source.gif'><img></picture>",
        f"<table background='{url}/table.gif'><tr><td background='{url}/td.gif'>x</td></tr></table>",
        f"<video src='{url}/video' poster='{url}/poster' autoplay></video><audio src='{url}/audio' autoplay></audio>",
        f"<input type=image src='{url}/inputimage'><body background='{url}/body.gif' onload=alert(6)>",
        "<!--<img src=--><img src=x onerror=alert(7)//>",
        "<details open ontoggle=alert(8)><summary>x</summary></details><marquee onstart=alert(9)>x</marquee>",
        f'<img src=\'cid:none@x\'><img src=\'data:image/svg+xml,<svg xmlns="http://www.w3.org/2000/svg" onload="alert(10)"><image href="{url}/d"/></svg>\'>',
    ]


@pytest.fixture
def anna(office: Office) -> Box:
    office.anna.clear()
    return office.anna


def test_nothing_of_a_hostile_message_runs_or_is_fetched(tab: Tab, anna: Box, tracker: Tracker, site: str) -> None:
    for number, attack in enumerate(attacks(tracker.url)):
        anna.put(
            letter(f"Attack {number}", html=f"<p>Before</p>{attack}<p>After</p>", Message_ID=f"<a{number}@x.example>")
        )
    everything = "".join(attacks(tracker.url))
    anna.put(letter("All at once", html=everything))
    dialogs: list[str] = []

    def refuse(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        dialog.dismiss()

    tab.page.on("dialog", refuse)
    tracker.asked.clear()
    tab.page.goto("/mail/f/inbox")
    title = tab.page.title()
    for subject in ["All at once", *(f"Attack {number}" for number in range(len(attacks(""))))]:
        row = tab.page.locator(".thread").filter(has=tab.page.get_by_text(subject, exact=True))
        row.locator(".row-link").click()
        expect(tab.page.locator(".conversation > h2")).to_have_text(subject)
        frame = tab.page.frame_locator(".message-frame")
        expect(frame.locator("body[data-blocked]")).to_be_attached()
        for link in frame.locator("a").all():
            href = link.get_attribute("href") or ""
            assert not re.match(r"\s*(javascript|data|vbscript):", href, re.IGNORECASE)
        assert (
            frame.locator("script, form, input, iframe, object, embed, svg, link, base, meta[http-equiv]").count() == 0
        )
    # Straight in the address bar, without the frame's own sandbox.
    source = tab.page.locator(".message-frame").get_attribute("src")
    assert source
    tab.page.goto(source)
    tab.page.wait_for_timeout(500)
    assert dialogs == []
    assert tracker.asked == []
    assert [url for url in tab.asked if not url.startswith((site, "data:", "about:"))] == []
    assert title.startswith("Inbox")
    # The browser names what the policy kept out: none may be a script that was about to run in our page.
    assert [text for text in tab.said if "script" in text.lower() and "sandbox" not in text.lower()] == []
    tab.said.clear()


def test_remote_images_come_when_asked_for_and_tell_nobody_where_from(tab: Tab, anna: Box, tracker: Tracker) -> None:
    anna.put(letter("Newsletter", html=f"<p>News</p><img src='{tracker.url}/news.gif' width=300 height=600>"))
    tracker.asked.clear()
    tab.page.goto("/mail/f/inbox")
    tab.page.locator(".thread .row-link").first.click()
    note = tab.page.locator("[data-images-note]")
    expect(note).to_be_visible()
    assert tracker.asked == []
    note.get_by_text("Show images").click()
    tab.wait("document.querySelector('.message-frame').contentDocument?.images[0]?.naturalWidth === 1")
    expect(note).to_be_hidden()
    assert tracker.asked == ["/news.gif"]
    assert tab.loads == 1


def test_the_frame_is_as_high_as_its_letter_and_links_leave_in_a_new_tab(tab: Tab, anna: Box) -> None:
    long = "<p>line</p>" * 120 + '<a href="https://elsewhere.example/x">out</a>'
    anna.put(letter("Long", html=long))
    tab.page.goto("/mail/f/inbox")
    tab.page.locator(".thread .row-link").first.click()
    tab.wait("document.querySelector('.message-frame')?.clientHeight > 2000")
    frame = tab.page.locator(".message-frame")
    inner = tab.page.evaluate("document.querySelector('.message-frame').contentDocument.documentElement.scrollHeight")
    box = frame.bounding_box()
    assert box
    assert abs(box["height"] - inner) < 40
    link = tab.page.frame_locator(".message-frame").locator("a")
    assert link.get_attribute("target") == "_blank"
    assert "noopener" in (link.get_attribute("rel") or "")


def test_a_link_to_a_place_in_the_letter_scrolls_the_page_to_it(tab: Tab, anna: Box) -> None:
    anna.put(letter("Contents", html='<a href="#end">To the end</a>' + "<p>line</p>" * 120 + '<h2 id="end">End</h2>'))
    tab.page.goto("/mail/f/inbox")
    tab.page.locator(".thread .row-link").first.click()
    tab.wait("document.querySelector('.message-frame')?.clientHeight > 2000")
    frame = tab.page.frame_locator(".message-frame")
    expect(frame.get_by_role("heading", name="End")).not_to_be_in_viewport()
    frame.get_by_text("To the end").click()
    expect(frame.get_by_role("heading", name="End")).to_be_in_viewport()
    assert len(tab.context.pages) == 1
    assert tab.loads == 1


def test_the_body_has_a_policy_of_its_own(anna: Box) -> None:
    anna.put(letter("Policy", html="<p>x</p>"))
    page = anna.client.get("/mail/f/inbox").content.decode()
    thread = re.search(r'href="(/mail/f/inbox/t/[^"]+)"', page)
    assert thread
    body = re.search(r'src="(/mail/body/[^"]+)"', anna.client.get(thread[1]).content.decode())
    assert body
    answer = anna.client.get(body[1])
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "sandbox allow-same-origin allow-popups allow-popups-to-escape-sandbox" in policy
    assert not re.search(r"script-src|connect-src|font-src|frame-src|media-src", policy)
    assert "https:" not in policy
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "https:" in anna.client.get(body[1] + "?images=1").headers["Content-Security-Policy"]


def nested(depth: int) -> bytes:
    """multipart/mixed in multipart/mixed, `depth` deep."""
    head = b"From: a@b.example\r\nSubject: Nested\r\nMIME-Version: 1.0\r\n"
    opened = b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (level, level) for level in range(depth)
    )
    return (
        head
        + opened
        + b"Content-Type: text/plain\r\n\r\ndeep\r\n"
        + b"".join(b"\r\n--b%d--\r\n" % level for level in reversed(range(depth)))
    )


def enclosed(depth: int) -> bytes:
    """A message in a message, `depth` deep."""
    message = b"From: a@b.example\r\nSubject: core\r\n\r\ncore\r\n"
    for _level in range(depth):
        message = b"From: a@b.example\r\nSubject: Enclosed\r\nContent-Type: message/rfc822\r\n\r\n" + message
    return message


MALFORMED = {
    "nested": nested(200),
    "enclosed": enclosed(60),
    "nothing": b"\r\n",
    "no headers": b"\r\nOnly a body, no header at all\r\n",
    "wrong charset": b"From: a@b.example\r\nSubject: =?x-none?B?!!!!?= =?utf-8?Q?=FF=FE?=\r\n"
    b"Content-Type: text/plain; charset=klingon\r\nContent-Transfer-Encoding: base64\r\n\r\n\xff\xfe!!!not base64\r\n",
    "eight bits": b"From: \xff\xfe <a@b.example>\r\nSubject: \xe4\xf6\xfc\r\nContent-Type: text/html\r\n\r\n<p>\xe4\xf6\xfc\xff</p>\r\n",
    "no boundary": b"From: a@b.example\r\nSubject: No boundary\r\nContent-Type: multipart/mixed\r\n\r\ntext\r\n",
    "never closed": b'From: a@b.example\r\nSubject: Open\r\nContent-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\n'
    b"Content-Type: text/html\r\n\r\n<b>open",
    "many addresses": b"From: a@b.example\r\nSubject: Many\r\nTo: "
    + b",\r\n ".join(b"p%d@x.example" % n for n in range(3000))
    + b"\r\n\r\nx\r\n",
    "odd addresses": b'From: "" <>, undisclosed:;\r\nTo: <<<>>>, @, a@@b\r\nDate: never\r\nMessage-ID: x y z <<\r\n'
    b"Subject:\r\n\r\nodd\r\n",
    "long line": b"From: a@b.example\r\nSubject: Long line\r\nContent-Type: text/plain\r\n\r\n"
    + b"x" * 5_000_000
    + b"\r\n",
    "long html": b"From: a@b.example\r\nSubject: Long html\r\nContent-Type: text/html\r\n\r\n"
    + b"<b>y" * 600_000
    + b"\r\n",
    "attachment names": b"From: a@b.example\r\nSubject: Names\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\nContent-Type: a/b/c; name="../../etc/passwd"\r\n'
    b'Content-Disposition: attachment; filename="=?utf-8?Q?=0D=0ASet-Cookie:_x?="\r\n\r\nx\r\n--x--\r\n',
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_mail_never_breaks_a_list_or_a_page(anna: Box, name: str) -> None:
    anna.put(letter("Neighbour"))
    anna.put(MALFORMED[name])
    page = anna.client.get("/mail/f/inbox")
    assert page.status_code == 200
    assert "Neighbour" in page.content.decode()
    threads = re.findall(r'href="(/mail/f/inbox/t/[^"]+)"', page.content.decode())
    assert len(threads) == 2
    opened = anna.client.get(threads[0])
    assert opened.status_code == 200
    shown = opened.content.decode()
    for body in re.findall(r'src="(/mail/body/[^"]+)"', shown):
        assert anna.client.get(body).status_code == 200
    for file in re.findall(r'class="file" href="([^"]+)"', shown):
        answer = anna.client.get(file.replace("&amp;", "&"))
        assert answer.status_code == 200
        assert answer.headers["Content-Disposition"].startswith("attachment")
    email_id = re.search(r'data-email="([^"]+)"', shown)
    assert email_id
    for mode in ("reply", "all", "forward"):
        assert anna.client.get(f"/mail/compose?{mode}={email_id[1]}").status_code == 200


def test_nuls_arrive_by_the_mx_and_are_read(anna: Box) -> None:
    from deftmail.stack.testing import running_stack, wait_for

    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "mei@outside.example", anna.address, "Nul"
    message.set_content("a\x00b\n", cte="base64")
    running_stack().receive(message, anna.address)
    folder = wait_for(
        lambda: next((name for name in ("INBOX", "Junk") if anna.subjects(name)), None), "the message", 30
    )
    page = anna.client.get("/mail/f/inbox" if folder == "INBOX" else "/mail/f/junk").content.decode()
    thread = re.search(r'href="(/mail/f/\w+/t/[^"]+)"', page)
    assert thread
    assert anna.client.get(thread[1]).status_code == 200


@pytest.mark.parametrize("charset", ["utf-8", "iso-8859-1"])
def test_the_list_shows_the_words_of_mail_that_is_html_alone(anna: Box, charset: str) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Mei <mei@northwind.example>", anna.address, "News"
    html = "<html><head><title>T</title><style>p{color:red}</style></head><body><p>Grüße an alle,<br>wie immer</body></html>"
    message.set_content(html, subtype="html", charset=charset)
    anna.put(message)
    anna.put(letter("Both", "Plain words\n", html="<p>Html words</p>"))

    def previews(path: str) -> list[str]:
        page = anna.client.get(path).content.decode()
        return [re.sub("<[^>]+>", "", text) for text in re.findall(r'class="thread-preview">(.*?)</span>', page)]

    assert previews("/mail/f/inbox") == ["Plain words", "Grüße an alle, wie immer"]
    oldest = re.findall(r'href="(/mail/f/inbox/t/[^"]+)"', anna.client.get("/mail/f/inbox").content.decode())[-1]
    page = anna.client.get(oldest).content.decode()
    assert "Grüße an alle, wie immer" in page
    assert "&lt;html" not in page
