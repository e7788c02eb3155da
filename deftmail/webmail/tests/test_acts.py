"""What acts say, without servers."""

from __future__ import annotations

from typing import Any

import pytest

from deftmail.kit.errors import NotFound
from deftmail.webmail.tests.conftest import Desk
from deftmail.webmail.views import acts


def done(desk: Desk, **form: Any) -> str:
    """The words of the toast."""
    request = desk.request("post", "/mail/act", {"folder": "inbox", **form}, **{"HX-Request": "true"})
    desk.call(acts.act, request)
    return " ".join(str(message) for message in request._messages)


@pytest.fixture
def talk(desk: Desk) -> str:
    """The messages of one conversation."""
    return ",".join(desk.fake.add_email(thread="T1", subject="Oak") for _ in range(2))


@pytest.mark.parametrize(
    ("do", "said"),
    [
        ("archive", "Archived 1 conversation"),
        ("trash", "Moved 1 conversation to Trash"),
        ("junk", "Moved 1 conversation to Junk"),
        ("move:archive", "Moved 1 conversation to Archive"),
    ],
)
def test_what_was_chosen_is_counted_and_the_target_named(desk: Desk, talk: str, do: str, said: str) -> None:
    assert said in done(desk, do=do, ids=[talk])


def test_a_folder_of_ones_own_is_named_too(desk: Desk, talk: str) -> None:
    other = desk.fake.add_email(thread="T2", subject="Elm")
    folder = desk.fake.add_mailbox("Benches", None)
    assert "Moved 2 conversations to Benches" in done(desk, do=f"move:{folder}", ids=[talk, other])


def test_nothing_moves_to_a_folder_that_is_gone(desk: Desk, talk: str) -> None:
    with pytest.raises(NotFound):
        done(desk, do="move:Pgone", ids=[talk])
    assert all(desk.fake.role("inbox") in email["mailboxIds"] for email in desk.fake.emails.values())
