"""Bodies as their writers meant them, read through the real engine."""

from __future__ import annotations

import re

import pytest

from deftmail.webmail.tests.conftest import Box, Office

pytestmark = pytest.mark.servers

HEAD = b"From: Mei <mei@northwind.example>\r\nSubject: Body\r\nMIME-Version: 1.0\r\n"


@pytest.fixture
def anna(office: Office) -> Box:
    office.anna.clear()
    return office.anna


def opened(anna: Box, message: bytes) -> str:
    """The page of the one message there is."""
    anna.put(HEAD + message)
    thread = re.search(r'href="(/mail/f/inbox/t/[^"]+)"', anna.client.get("/mail/f/inbox").content.decode())
    assert thread
    return str(anna.client.get(thread[1]).content.decode())


def test_a_flowed_text_is_read_in_whole_paragraphs(anna: Box) -> None:
    page = opened(anna, b'Content-Type: text/plain; charset=utf-8;\r\n format="flowed"\r\n\r\none \r\ntwo\r\nthree\r\n')
    assert "one two\nthree" in page


@pytest.mark.parametrize(
    ("head", "codec"),
    [
        ("<meta charset=windows-1251>", "cp1251"),
        ('<META HTTP-EQUIV="Content-Type" CONTENT="text/html; charset=koi8-r">', "koi8_r"),
        ("", "utf-8"),
    ],
)
def test_html_is_read_and_quoted_in_the_charset_it_names_itself(anna: Box, head: str, codec: str) -> None:
    html = f"<html><head>{head}</head><body><p>Привет</p></body></html>\r\n".encode(codec)
    page = opened(anna, b"Content-Type: text/html\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + html)
    frame = re.search(r'src="(/mail/body/[^"]+)"', page)
    email_id = re.search(r'data-email="([^"]+)"', page)
    assert frame
    assert email_id
    assert "<p>Привет</p>" in anna.client.get(frame[1]).content.decode()
    assert "&gt; Привет" in anna.client.get(f"/mail/compose?reply={email_id[1]}").content.decode()
