"""Star, read, archive, trash, move, junk on real Cyrus: on one and on many, by plain forms and in place, with Undo."""

from __future__ import annotations

import re
from typing import Any

import pytest

from deftmail.stack.testing import wait_for
from deftmail.webmail.tests.conftest import Box, Office, letter

pytestmark = pytest.mark.servers

INBOX = "/mail/f/inbox"
FOLDER_OF = {"archive": "Archive", "trash": "Trash", "junk": "Junk", "move:archive": "Archive"}


@pytest.fixture
def clara(office: Office) -> Box:
    office.clara.clear()
    return office.clara


def ids(box: Box, path: str = INBOX) -> list[str]:
    """The values of the rows' boxes."""
    return re.findall(r'name="ids" value="([^"]+)" data-focus-key', box.client.get(path).content.decode())


def undo_url(answer: Any) -> str:
    found = re.search(r"/mail/undo/[\w-]+", answer.headers.get("HX-Trigger", ""))
    assert found
    return found[0]


@pytest.mark.parametrize("act", ["archive", "trash", "junk", "move:archive"])
def test_what_is_filed_goes_to_its_folder_and_comes_back_by_undo(clara: Box, act: str) -> None:
    clara.put(letter("One"))
    clara.put(letter("Two"), flags="\\Seen")
    both = ids(clara)
    answer = clara.htmx("post", "/mail/act", {"do": act, "ids": both, "folder": "inbox", "view": ""})
    assert answer.status_code == 200
    assert "Your inbox is empty" in answer.content.decode()
    assert sorted(clara.subjects(FOLDER_OF[act])) == ["One", "Two"]
    assert clara.subjects("INBOX") == []
    undone = clara.htmx("post", undo_url(answer))
    assert "deft:mail-changed" in undone.headers["HX-Trigger"]
    assert sorted(clara.subjects("INBOX")) == ["One", "Two"]
    assert clara.subjects("INBOX", "SEEN") == ["Two"]
    assert clara.subjects(FOLDER_OF[act]) == []


def test_an_act_by_plain_form_answers_with_the_list_and_an_undo_in_the_page(clara: Box) -> None:
    clara.put(letter("Plain"))
    answer = clara.client.post(
        "/mail/act", {"do": "archive", "ids": ids(clara), "folder": "inbox", "next": INBOX}, follow=True
    )
    assert answer.redirect_chain == [(INBOX, 303)]
    page = answer.content.decode()
    assert "Archived 1 conversation" in page
    undo = re.search(r'action="(/mail/undo/[^"]+)"', page)
    assert undo
    clara.client.post(undo[1], headers={"Referer": "http://testserver" + INBOX})
    assert clara.subjects("INBOX") == ["Plain"]


def test_undo_gives_each_message_its_own_mark_back(clara: Box) -> None:
    clara.put(letter("Was read"), flags="\\Seen")
    clara.put(letter("Was unread"))
    answer = clara.htmx("post", "/mail/act", {"do": "read", "ids": ids(clara), "folder": "inbox"})
    assert sorted(clara.subjects("INBOX", "SEEN")) == ["Was read", "Was unread"]
    clara.htmx("post", undo_url(answer))
    assert clara.subjects("INBOX", "SEEN") == ["Was read"]


def test_an_undo_works_once_and_for_its_own_person_only(office: Office, clara: Box) -> None:
    clara.put(letter("Mine"))
    answer = clara.htmx("post", "/mail/act", {"do": "trash", "ids": ids(clara), "folder": "inbox"})
    url = undo_url(answer)
    assert office.bert.htmx("post", url).status_code == 409
    assert clara.htmx("post", url).status_code == 200
    assert clara.htmx("post", url).status_code == 409


def test_a_star_goes_to_the_newest_message_and_off_all(clara: Box) -> None:
    first = letter("Talk", Message_ID="<talk-1@northwind.example>")
    second = letter("Re: Talk", In_Reply_To="<talk-1@northwind.example>", References="<talk-1@northwind.example>")
    clara.put(first)
    clara.put(second)
    (both,) = ids(clara)
    assert both.count(",") == 1
    clara.htmx("post", "/mail/act", {"row": f"star|{both}", "folder": "inbox"})
    assert clara.subjects("INBOX", "FLAGGED") == ["Re: Talk"]
    clara.htmx("post", "/mail/act", {"row": f"unstar|{both}", "folder": "inbox"})
    assert clara.subjects("INBOX", "FLAGGED") == []


def test_an_act_on_a_row_leaves_ticked_rows_alone(clara: Box) -> None:
    clara.put(letter("Ticked"))
    clara.put(letter("Meant"))
    meant, ticked = ids(clara)
    clara.htmx("post", "/mail/act", {"row": f"trash|{meant}", "ids": [ticked], "folder": "inbox"})
    assert clara.subjects("Trash") == ["Meant"]
    assert clara.subjects("INBOX") == ["Ticked"]


def test_filing_what_was_searched_leaves_the_own_copies_in_sent(clara: Box) -> None:
    clara.put(letter("Quartz", Message_ID="<q1@northwind.example>"))
    own = letter(
        "Re: Quartz", From=clara.address, In_Reply_To="<q1@northwind.example>", References="<q1@northwind.example>"
    )
    clara.put(own, "Sent", "\\Seen")
    # The engine's index is a moment behind what arrives.
    (both,) = wait_for(
        lambda: [found for found in ids(clara, "/mail/search?q=subject:Quartz") if "," in found] or None,
        "the conversation to be found",
    )
    answer = clara.htmx("post", "/mail/act", {"do": "archive", "ids": [both], "folder": "", "view": "q=subject:Quartz"})
    assert clara.subjects("Archive") == ["Quartz"]
    assert clara.subjects("Sent") == ["Re: Quartz"]
    clara.htmx("post", undo_url(answer))
    assert clara.subjects("INBOX") == ["Quartz"]


def test_emptying_trash_asks_for_its_name(clara: Box) -> None:
    clara.put(letter("Old"), "Trash")
    page = clara.client.get("/mail/folders/trash/empty").content.decode()
    assert "1 message" in page
    clara.client.post("/mail/folders/trash/empty", {"confirm": "something else"})
    assert clara.subjects("Trash") == ["Old"]
    assert clara.client.post("/mail/folders/trash/empty", {"confirm": "Trash"}).status_code == 303
    assert clara.subjects("Trash") == []
    assert clara.client.get("/mail/folders/inbox/empty").status_code == 404


def test_folders_are_made_renamed_and_deleted_with_their_mail_in_trash(clara: Box) -> None:
    made = clara.client.post("/mail/folders/new", {"name": "Projects"})
    assert made.status_code == 303
    url = made.headers["Location"]
    folder_id = url.rpartition("/")[2]
    assert clara.client.post("/mail/folders/new", {"name": "Projects"}).status_code == 422
    clara.put(letter("Filed"), "Projects")
    assert "Filed" in clara.client.get(url).content.decode()
    clara.client.post(f"/mail/folders/{folder_id}/rename", {"name": "Works"})
    assert "Works" in clara.client.get(url).content.decode()
    question = clara.client.get(f"/mail/folders/{folder_id}/delete").content.decode()
    assert "Its messages move to Trash." in question
    assert "data-confirm-phrase" not in question  # typing is for what destroys
    assert clara.client.post(f"/mail/folders/{folder_id}/delete").status_code == 303
    assert clara.client.get(url).status_code == 404
    assert clara.subjects("Trash") == ["Filed"]


def test_fifty_a_page_with_counts(clara: Box) -> None:
    clara.put_many([letter(f"Number {n}") for n in range(1, 56)])
    page = clara.client.get(INBOX).content.decode()
    assert page.count('<article class="thread"') == 50
    assert "55 conversations" in page
    assert re.search(r'class="count">55<', page)
    older = re.search(r'rel="next" href="([^"]+)"', page)
    assert older
    rest = clara.client.get(older[1].replace("&amp;", "&")).content.decode()
    assert rest.count('<article class="thread"') == 5
    assert "51–55 of 55" in rest
    unread = clara.client.get(INBOX + "?show=unread").content.decode()
    assert "Showing unread conversations" in unread


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({"do": "archive"}, 422),
        ({"do": "explode", "ids": ["x"]}, 422),
        ({"do": "trash", "ids": ["not an id\n"]}, 404),
        ({"do": "trash", "ids": ["M0000000000000000000000"]}, 409),
        ({"do": "move", "ids": ["M0000000000000000000000"]}, 422),
    ],
)
def test_what_makes_no_sense_is_refused_in_words(clara: Box, data: dict[str, Any], status: int) -> None:
    assert clara.client.post("/mail/act", {"folder": "inbox", **data}).status_code == status
