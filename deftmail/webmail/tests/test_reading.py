"""One conversation ready to read, without servers."""

from __future__ import annotations

import re
from typing import Any

import pytest

from deftmail.webmail import reading
from deftmail.webmail.tests.conftest import Desk
from deftmail.webmail.tests.test_composing import ME, MEI, email, html_email, text_email
from deftmail.webmail.views import acts, lists


def shown(desk: Desk, message: Any) -> reading.Message:
    return reading.message(desk.mail, message, opened=True, images=False)


@pytest.mark.parametrize(
    ("urls", "where"),
    [
        (["https://shop.example/u?x=1"], "https://shop.example/u?x=1"),
        (["mailto:leave@shop.example?subject=bye", "https://shop.example/u"], "https://shop.example/u"),
        (["mailto:leave@shop.example?subject=bye"], "/mail/compose?to=leave%40shop.example&subject=bye"),
        (["mailto:leave@shop.example"], "/mail/compose?to=leave%40shop.example&subject=unsubscribe"),
        (["javascript:alert(1)", "http://plain.example/u", "data:text/html,x"], ""),
        ([], ""),
    ],
)
def test_leaving_a_list_is_a_page_or_a_letter_and_never_a_script(desk: Desk, urls: list[str], where: str) -> None:
    message = email(**{"header:List-Unsubscribe:asURLs": urls})
    assert shown(desk, message).unsubscribe == where


def test_a_text_is_escaped_linked_and_its_quotation_folded(desk: Desk) -> None:
    html = shown(desk, text_email("<b>no</b> https://x.example/a\n\n> quoted\n")).text_html
    assert "&lt;b&gt;" in html
    assert 'href="https://x.example/a"' in html
    assert "<summary>Quoted text</summary>" in html


def test_a_forged_sender_is_warned_of_by_our_own_result_only(desk: Desk) -> None:
    header = "header:Authentication-Results:asText:all"
    forged = shown(desk, email(**{header: ["mail.deftmail.test; dmarc=fail (p=reject)", "other; dmarc=pass"]}))
    assert "may be forged" in forged.warnings[0]
    assert shown(desk, email(**{header: ["mail.deftmail.test; dmarc=pass", "other; dmarc=fail"]})).warnings == []
    assert shown(desk, email(from_=[ME], **{header: ["mail.deftmail.test; dmarc=fail"]})).warnings == []


def test_who_it_went_to_is_short_and_the_details_are_whole(desk: Desk) -> None:
    people = [{"name": f"Person {n}", "email": f"p{n}@x.example"} for n in range(9)]
    message = shown(desk, text_email("x", to=[ME, *people]))
    assert message.to_line == "me, Person 0, Person 1, Person 2, Person 3, Person 4 and 4 more"
    assert "Person 8 <p8@x.example>" in dict(message.details)["To"]
    assert message.many


def test_files_have_clean_names_and_the_icon_of_their_kind(desk: Desk) -> None:
    parts = [
        {"partId": "2", "blobId": "G2", "type": "image/svg+xml", "name": "../../x\r\n.svg", "size": 1},
        {"partId": "3", "blobId": "G3", "type": "message/rfc822", "name": None, "size": 1},
        {"partId": "4", "blobId": "G4", "type": "application/x-odd", "name": "", "size": 1},
    ]
    files = shown(desk, html_email("<p>x</p>", attachments=parts)).files
    assert [(file.name, file.icon) for file in files][1:] == [("message.eml", "mail"), ("attachment", "file")]
    assert "/" not in files[0].name
    assert "\n" not in files[0].name
    assert files[0].url.startswith("/mail/part/G2/")


def test_a_conversation_opens_at_its_first_unread_message(desk: Desk) -> None:
    for number, seen in enumerate([True, True, False, True]):
        keywords = {"$seen": True} if seen else {}
        desk.fake.add_email(subject="Re: Oak" if number else "Oak", thread="T1", from_=[MEI], keywords=keywords)
    request = desk.request("get", "/mail/f/inbox/t/T1", **{"HX-Request": "true"})
    page = desk.call(lists.thread, request, folder="inbox", thread_id="T1").content.decode()
    heads = [piece.split(">")[0] for piece in page.split('<details class="message"')[1:]]
    assert [" open" in head for head in heads] == [False, False, True, True]
    assert "<h2>Oak</h2>" in page


def opened(desk: Desk, thread: str, folder: str = "inbox") -> str:
    request = desk.request("get", f"/mail/f/{folder}/t/{thread}", **{"HX-Request": "true"})
    return str(desk.call(lists.thread, request, folder=folder, thread_id=thread).content.decode())


def test_a_conversation_that_has_left_the_list_says_where_it_is_and_takes_the_acts_of_that_folder(desk: Desk) -> None:
    fake = desk.fake
    moved = fake.add_email(thread="T1", subject="Oak", from_=[MEI], mailbox=fake.role("trash"))
    fake.add_email(thread="T1", subject="Re: Oak", from_=[ME], mailbox=fake.role("sent"))
    page = opened(desk, "T1")
    assert "In Trash" in page
    assert 'data-act="restore"' in page
    assert 'data-act="archive"' not in page
    assert 'data-act="trash"' not in page
    form = {"do": "move:inbox", "ids": re.findall(r'name="ids" value="([^"]*)"', page)}
    form |= dict(re.findall(r'name="(folder|origin|thread)" value="([^"]*)"', page))
    assert form["ids"] == [moved]
    desk.call(acts.act, desk.request("post", "/mail/act", form, **{"HX-Request": "true"}))
    assert fake.emails[moved]["mailboxIds"] == {fake.role("inbox"): True}
    assert "conversation-place" not in opened(desk, "T1")


def test_a_search_result_says_only_that_it_was_thrown_away(desk: Desk) -> None:
    for thread, role in (("T1", "trash"), ("T2", "archive")):
        desk.fake.add_email(thread=thread, subject="Oak", from_=[MEI], mailbox=desk.fake.role(role))
    where = {}
    for thread in ("T1", "T2"):
        request = desk.request("get", f"/mail/search/t/{thread}", **{"HX-Request": "true"})
        where[thread] = desk.call(lists.search_thread, request, thread_id=thread).content.decode()
    assert "In Trash" in where["T1"]
    assert "conversation-place" not in where["T2"]


def test_remote_images_are_offered_where_there_can_be_any(desk: Desk) -> None:
    html = [{"partId": "1", "type": "text/html"}]
    desk.fake.add_email(thread="T1", from_=[MEI], textBody=html, htmlBody=html, bodyValues={"1": {"value": "<p>x"}})
    desk.fake.add_email(thread="T2", from_=[MEI])
    assert "Show remote images" in opened(desk, "T1")
    assert "Show remote images" not in opened(desk, "T2")


PDF = {"partId": "2", "blobId": "G2", "type": "application/pdf", "name": "bill.pdf", "size": 1}


@pytest.mark.parametrize("body", [None, "", "\n\n \n", "<html><body><div><br>&nbsp;</div></body></html>"])
def test_a_message_without_text_says_so_above_its_files(desk: Desk, body: str | None) -> None:
    kind = "text/html" if (body or "").startswith("<") else "text/plain"
    parts = [] if body is None else [{"partId": "1", "type": kind}]
    values = {"1": {"value": body or ""}}
    desk.fake.add_email(thread="T1", from_=[MEI], textBody=parts, htmlBody=parts, bodyValues=values, attachments=[PDF])
    page = opened(desk, "T1")
    assert page.index("This message has no text.") < page.index("bill.pdf")
    assert "<iframe" not in page
    assert "Show remote images" not in page


def test_a_picture_alone_is_shown_and_blank_html_gives_way_to_its_plain_text(desk: Desk) -> None:
    assert shown(desk, html_email('<img src="https://x.example/a.png">')).has_html
    both = email(
        textBody=[{"partId": "1", "type": "text/plain"}],
        htmlBody=[{"partId": "2", "type": "text/html"}],
        bodyValues={"1": {"value": "Words"}, "2": {"value": "<p>&nbsp;</p>"}},
    )
    assert not shown(desk, both).has_html
    assert "Words" in shown(desk, both).text_html
