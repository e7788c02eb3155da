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
