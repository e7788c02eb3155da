"""Bodies as their writers meant them, without servers."""

from __future__ import annotations

from typing import Any

import pytest

from deftmail.jmap import Download, Email, MailAccount
from deftmail.jmap.email import MAX_BODY_VALUE
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
    parts: dict[str, Any] = {"textBody": [FLOWED], "htmlBody": [FLOWED], "bodyValues": {"1": {"value": "one \ntwo\n"}}}
    id_ = desk.fake.add_email(thread="T1", from_=[MEI], keywords={"$seen": True}, **parts)
    desk.fake.requests.clear()
    assert "one two" in opened(desk, "T1")
    assert len(desk.fake.requests) == 1
    asked = [call[1] for call in desk.fake.requests[0]["methodCalls"] if "bodyProperties" in call[1]]
    assert ["header:Content-Type" in arguments["bodyProperties"] for arguments in asked] == [True]
    page = desk.call(compose.compose, desk.request("get", "/mail/compose", {"reply": id_})).content.decode()
    assert "&gt; one two" in page


def broken_html(desk: Desk, charset: str | None, *, problem: bool = True) -> Email:
    """HTML in windows-1251 that says so, as an engine reads it that takes it for something else."""
    raw = "<meta charset=windows-1251><p>Привет</p>".encode("cp1251")
    desk.fake.blobs["G2"] = raw
    part = {"partId": "1", "blobId": "G2", "type": "text/html", "charset": charset}
    value = {"value": raw.decode("ascii", "replace"), "isEncodingProblem": problem}
    return email(textBody=[part], htmlBody=[part], bodyValues={"1": value})


@pytest.mark.parametrize(
    ("charset", "problem", "reads"),
    [
        (None, True, True),
        ("us-ascii", True, True),
        ("klingon", True, True),
        ("utf-8", True, False),
        (None, False, False),
    ],
)
def test_html_is_fetched_again_only_where_its_charset_was_not_known(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, charset: str | None, problem: bool, reads: bool
) -> None:
    fetched: list[str] = []
    download = MailAccount.download

    def counted(account: MailAccount, blob_id: str) -> Download:
        fetched.append(blob_id)
        return download(account, blob_id)

    monkeypatch.setattr(MailAccount, "download", counted)
    message = broken_html(desk, charset, problem=problem)
    assert ("<p>Привет</p>" in (bodies.readable(message, desk.mail.account).html or "")) is reads
    assert fetched == ["G2"] * reads
    assert bodies.readable(message) is message  # a conversation fetches nothing: its frames do


def test_html_whose_bytes_are_gone_is_shown_as_the_engine_reads_it(desk: Desk) -> None:
    message = broken_html(desk, None)
    del desk.fake.blobs["G2"]
    assert bodies.readable(message, desk.mail.account) is message


def test_no_more_than_a_body_is_fetched_of_one(desk: Desk) -> None:
    message = broken_html(desk, None)
    desk.fake.blobs["G2"] = b"<meta charset=koi8-r>" + b"x" * (2 * MAX_BODY_VALUE)
    assert len(bodies.readable(message, desk.mail.account).html or "") == MAX_BODY_VALUE
