"""Bodies as their writers meant them, without servers."""

from __future__ import annotations

from typing import Any

from deftmail.jmap import Email
from deftmail.webmail import bodies
from deftmail.webmail.tests.conftest import Desk
from deftmail.webmail.tests.test_composing import MEI, email, text_email
from deftmail.webmail.tests.test_reading import opened, shown
from deftmail.webmail.views import compose

FLOWED = {"partId": "1", "type": "text/plain", "header:Content-Type": " text/plain; format=flowed"}


def flowed(text: str, **members: Any) -> Email:
    return email(textBody=[FLOWED], htmlBody=[FLOWED], bodyValues={"1": {"value": text}}, **members)


def test_a_flowed_paragraph_is_read_as_one(desk: Desk) -> None:
    assert "one two<" in shown(desk, flowed("one \ntwo\n-- \nMei")).text_html
    assert "one \ntwo<" in shown(desk, text_email("one \ntwo")).text_html


def test_a_flowed_part_beside_html_is_read_as_one_paragraph() -> None:
    html = {"partId": "2", "type": "text/html"}
    mixed = email(
        textBody=[FLOWED], htmlBody=[FLOWED, html], bodyValues={"1": {"value": "one \ntwo"}, "2": {"value": "x"}}
    )
    assert "one \ntwo" in (mixed.html or "")  # whatever was read before
    assert "one two" in (bodies.readable(mixed).html or "")


def test_a_flowed_message_is_one_request_and_quoted_in_whole_lines(desk: Desk) -> None:
    parts = {"textBody": [FLOWED], "htmlBody": [FLOWED], "bodyValues": {"1": {"value": "one \ntwo\n"}}}
    id_ = desk.fake.add_email(thread="T1", from_=[MEI], keywords={"$seen": True}, **parts)
    desk.fake.requests.clear()
    assert "one two" in opened(desk, "T1")
    assert len(desk.fake.requests) == 1
    asked = [call[1] for call in desk.fake.requests[0]["methodCalls"] if "bodyProperties" in call[1]]
    assert ["header:Content-Type" in arguments["bodyProperties"] for arguments in asked] == [True]
    page = desk.call(compose.compose, desk.request("get", "/mail/compose", {"reply": id_})).content.decode()
    assert "&gt; one two" in page
