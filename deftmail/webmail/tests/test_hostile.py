"""Forged forms and links, and parts that are away: nothing of one's mail is lost and nobody is led elsewhere."""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

import pytest
import redis
from django.core.files.uploadedfile import SimpleUploadedFile

from deftmail.kit.errors import Invalid, NotFound
from deftmail.webmail import undo
from deftmail.webmail.composing import Attached
from deftmail.webmail.errors import TooLarge
from deftmail.webmail.tests.conftest import Desk
from deftmail.webmail.views import acts, compose, lists

ELSEWHERE = (
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example/",
    "javascript:alert(1)",
    " https://evil.example/",
    "/mail/../signout",
    "/\t/evil.example/",
    "/signout",
)


@pytest.mark.parametrize("target", ELSEWHERE)
def test_no_link_leads_the_composer_elsewhere(desk: Desk, target: str) -> None:
    page = desk.call(compose.compose, desk.request("get", "/mail/compose", {"next": target})).content.decode()
    assert 'href="/mail/f/inbox"' in page
    assert f'href="{target}"' not in page
    assert f'name="next" value="{target}"' not in page


@pytest.mark.parametrize("target", ELSEWHERE)
def test_no_act_leads_elsewhere(desk: Desk, target: str) -> None:
    id_ = desk.fake.add_email(subject="Hello")
    answer = desk.call(acts.act, desk.request("post", "/mail/act", {"do": "read", "ids": id_, "next": target}))
    assert answer.headers["Location"] == "/mail/"


def test_a_received_message_is_not_opened_as_a_draft(desk: Desk) -> None:
    received = desk.fake.add_email(subject="Contract")
    with pytest.raises(NotFound):
        desk.call(compose.compose, desk.request("get", "/mail/compose", {"draft": received}))


@pytest.mark.parametrize("do", ["save", "send"])
def test_only_a_draft_is_replaced_by_what_is_saved_or_sent(desk: Desk, do: str) -> None:
    received = desk.fake.add_email(subject="Contract")
    form = {"to": "b@other.example", "subject": "Re", "text": "Hi", "draft_id": received, "do": do}
    if do == "save":
        desk.call(compose.save, desk.request("post", "/mail/compose/draft", form))
    else:
        desk.call(compose.compose, desk.request("post", "/mail/compose", form))
    assert received in desk.fake.emails


def test_something_else_written_in_a_form_that_was_sent_is_not_taken_for_a_second_click(desk: Desk) -> None:
    """Back in the browser after sending, another text, Send: it said "sent" and nothing left."""
    page = desk.call(compose.compose, desk.request("get", "/mail/compose")).content.decode()
    found = re.search(r'name="message_id" value="([^"]+)"', page)
    assert found
    form = {"to": "b@other.example", "subject": "One", "text": "Hello", "message_id": found[1], "do": "send"}

    def send(**changed: str) -> Any:
        return desk.call(compose.compose, desk.request("post", "/mail/compose", {**form, **changed}))

    def left() -> list[str]:
        sent = desk.fake.role("sent")
        return sorted(email["subject"] for email in desk.fake.emails.values() if sent in email["mailboxIds"])

    assert send().status_code == 303
    assert send().status_code == 303  # a second click
    assert left() == ["One"]
    answer = send(subject="Two", text="Something else")
    assert answer.status_code == 422
    again = re.search(r'name="message_id" value="([^"]+)"', answer.content.decode())
    assert again
    assert again[1] != found[1]
    assert send(subject="Two", text="Something else", message_id=again[1]).status_code == 303
    assert left() == ["One", "Two"]


def test_a_file_of_another_mailbox_cannot_be_attached(desk: Desk) -> None:
    token = Attached("G1", "secret.pdf", "application/pdf", 10).token(desk.mail)
    forged = token[:-1] + ("a" if token[-1] != "a" else "b")
    for bad in (forged, "x", "", token + "\0"):
        with pytest.raises(Invalid):
            desk.call(compose.save, desk.request("post", "/mail/compose/draft", {"attached": bad}))


def test_an_act_is_done_and_answered_also_while_the_cache_is_away(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    class Away:
        def __getattr__(self, _name: str) -> Any:
            def fails(*_args: Any, **_kwargs: Any) -> NoReturn:
                raise redis.ConnectionError("away")

            return fails

    monkeypatch.setattr(undo, "cache", Away())
    id_ = desk.fake.add_email(subject="Hello")
    answer = desk.call(acts.act, desk.request("post", "/mail/act", {"do": "archive", "ids": id_, "folder": "inbox"}))
    assert answer.status_code == 303
    assert desk.fake.role("archive") in desk.fake.emails[id_]["mailboxIds"]


@pytest.mark.parametrize(("letter", "saved"), [("ä", True), ("💥", False)])
def test_the_longest_letter_is_saved_and_a_longer_one_is_told(desk: Desk, letter: str, saved: bool) -> None:
    """In the browser it goes as text and as HTML at once, each letter up to four bytes."""
    count = 1024 * 1024 if saved else 1024 * 1024 + 1
    form = {"to": "b@other.example", "text": letter * count, "html": letter * count, "rich": "1"}
    answer = desk.call(compose.save, desk.request("post", "/mail/compose/draft", form))
    assert answer.status_code == (200 if saved else 422)
    if not saved:
        sent = desk.call(compose.compose, desk.request("post", "/mail/compose", {**form, "do": "send"}))
        assert sent.status_code == 422
        assert sent.content.decode().count("This message is too long.") == 1


def test_more_files_than_a_message_may_have_are_refused_with_words(desk: Desk) -> None:
    files = [SimpleUploadedFile(f"{number}.txt", b"x") for number in range(51)]
    request = desk.request("post", "/mail/compose", {"do": "send", "to": "b@other.example", "file": files})
    with pytest.raises(TooLarge):
        desk.call(compose.compose, request)
    assert desk.fake.blobs == {}


@pytest.mark.parametrize("text", ["%00", "a%00b", "from:%00"])
def test_a_nul_is_no_search_word(desk: Desk, text: str) -> None:
    assert desk.call(lists.search, desk.request("get", f"/mail/search?q={text}")).status_code == 200
    assert "\\u0000" not in json.dumps(desk.fake.requests)
