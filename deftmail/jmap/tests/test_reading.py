"""Messages as hostile as they come; answers to them; what we write ourselves."""

from __future__ import annotations

import string
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deftmail.jmap import Address, EngineUnavailable, InvalidId, InvalidMessage, OutgoingMessage, OutgoingPart, check_id
from deftmail.jmap.compose import as_jmap, check_message, valid_address
from deftmail.jmap.email import Email
from deftmail.jmap.mailbox import Folder
from deftmail.jmap.search import Search, Segment, segments
from deftmail.jmap.thread import _head
from deftmail.jmap.uri import expand, on_origin
from deftmail.jmap.values import MAX_ITEMS, MAX_TEXT, as_when

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=8,
)
EMAIL_MEMBERS = sorted({field.alias or name for name, field in Email.model_fields.items()})


@given(st.dictionaries(st.sampled_from(EMAIL_MEMBERS), json_values))
def test_no_value_of_any_member_breaks_a_message(members: dict[str, Any]) -> None:
    email = Email.model_validate({"id": "M1", **members})
    assert isinstance(email.text, str)
    assert email.html is None or isinstance(email.html, str)
    assert len(email.attachments) + len(email.inline) <= 3 * MAX_ITEMS
    _head(members)


@given(st.dictionaries(st.sampled_from(["name", "role", "myRights", "parentId", "totalEmails"]), json_values))
def test_no_value_of_any_member_breaks_a_folder(members: dict[str, Any]) -> None:
    assert Folder.model_validate({"id": "m1", **members}).total_emails >= 0


def test_huge_headers_are_cut() -> None:
    email = Email.model_validate(
        {
            "id": "M1",
            "to": [{"email": f"a{number}@x.test", "name": "n" * 5000} for number in range(100_000)],
            "subject": "s" * 1_000_000,
            "references": ["r@x.test"] * 100_000,
        }
    )
    assert len(email.to) == MAX_ITEMS
    assert len(email.to[0].name) == 500
    assert len(email.subject) == MAX_TEXT


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-23T05:00:00Z", datetime(2026, 11, 23, 5, tzinfo=UTC)),
        ("2026-11-23T05:00:00+02:00", datetime(2026, 11, 23, 3, tzinfo=UTC)),
        ("2026-11-23T05:00:00", datetime(2026, 11, 23, 5, tzinfo=UTC)),
        ("0001-01-01T00:00:00+14:00", None),
        ("yesterday", None),
        ("9" * 100, None),
        (None, None),
        (5, None),
    ],
)
def test_dates(text: Any, expected: datetime | None) -> None:
    assert as_when(text) == expected


def _email(**members: Any) -> Email:
    return Email.model_validate({"id": "M1", **members})


def test_html_that_alternates_with_text_and_pictures() -> None:
    email = _email(
        htmlBody=[
            {"partId": "1", "type": "text/plain"},
            {"partId": "2", "blobId": "G2", "type": "image/png", "cid": 'c"1', "name": "x.png"},
            {"partId": "3", "type": "text/html"},
        ],
        textBody=[{"partId": "1", "type": "text/plain"}],
        bodyValues={"1": {"value": "1 < 2"}, "3": {"value": "<b>x</b>", "isTruncated": True}},
    )
    assert email.html is not None
    assert "1 &lt; 2" in email.html
    assert 'src="cid:c&quot;1"' in email.html
    assert "<b>x</b>" in email.html
    assert email.text == "1 < 2"
    assert email.truncated


def test_a_picture_the_body_shows_is_inline_and_every_other_file_an_attachment() -> None:
    email = _email(
        htmlBody=[{"partId": "1", "type": "text/html"}],
        bodyValues={"1": {"value": '<img src="cid:logo@x">'}},
        attachments=[
            {"partId": "2", "blobId": "G2", "type": "image/png", "cid": "logo@x", "disposition": "inline"},
            {"partId": "3", "blobId": "G3", "type": "image/png", "cid": "unused@x", "disposition": "inline"},
            {"partId": "4", "blobId": "G4", "type": "text/calendar", "name": "invite.ics"},
            {"partId": "5", "type": "multipart/mixed"},
        ],
    )
    assert [part.blob_id for part in email.inline] == ["G2"]
    assert [part.blob_id for part in email.attachments] == ["G3", "G4"]


@pytest.mark.parametrize(
    ("body", "cid", "kind", "shown"),
    [
        ('<img src="cid:img1">', "img1", "image/png", True),
        ("<img src=cid:img1>", "img1", "image/png", True),
        ('<img src="CID:img%201&amp;x">', "img 1&x", "image/png", True),
        ("<div style=\"background:url('cid:img1')\">", "img1", "image/png", True),
        ('<img src="cid:img10">', "img1", "image/png", False),
        ('<a href="cid:img1">contract</a>', "img1", "application/pdf", False),
        ('<img src="cid:img1">', "img1", "image/svg+xml", False),
        ('<img src="cid:img1">', "img1", "image/tiff", False),
        ('<img src="cid:img1">', "img1", "application/octet-stream", False),
        ('<img src="cid:">', "", "image/png", False),
    ],
)
def test_only_a_picture_that_is_shown_is_no_attachment(body: str, cid: str, kind: str, shown: bool) -> None:
    email = _email(
        htmlBody=[{"partId": "1", "type": "text/html"}],
        bodyValues={"1": {"value": body}},
        attachments=[{"partId": "2", "blobId": "G2", "type": kind, "cid": cid, "disposition": "inline"}],
    )
    assert (len(email.inline), len(email.attachments)) == ((1, 0) if shown else (0, 1))


def test_snippets_are_plain_text_runs() -> None:
    assert segments("a &lt;b&gt; <mark>c</mark><i>") == (Segment("a <b> "), Segment("c", marked=True), Segment("<i>"))


def test_search_conditions() -> None:
    when = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    found = Search(text="x", mailbox_id="m1", after=when, unread=True, starred=False).filter(["t"])
    assert found == {
        "operator": "AND",
        "conditions": [
            {"inMailbox": "m1"},
            {"text": "x"},
            {"notKeyword": "$seen"},
            {"notKeyword": "$flagged"},
            {"after": "2026-01-02T03:04:05Z"},
        ],
    }
    assert Search().filter([]) is None
    assert Search(text="x", everywhere=True).filter(["t"]) == {"text": "x"}
    with pytest.raises(InvalidId):
        Search(mailbox_id="a/b").filter([])


# Ids and URLs

ID_CHARACTERS = string.ascii_letters + string.digits + "-_"


@given(st.text(ID_CHARACTERS, min_size=1, max_size=255))
def test_every_id_of_the_alphabet_is_taken(text: str) -> None:
    assert check_id(text) == text


@given(st.text(max_size=300).filter(lambda text: not text or len(text) > 255 or set(text) - set(ID_CHARACTERS)))
def test_everything_else_is_not_an_id(text: str) -> None:
    with pytest.raises(InvalidId):
        check_id(text)


@pytest.mark.parametrize("value", ["M1\n", None, 5, b"M1", ["M1"]])
def test_not_even_almost_an_id(value: object) -> None:
    with pytest.raises(InvalidId):
        check_id(value)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=50))
def test_a_value_never_leaves_its_place_in_a_url(value: str) -> None:
    url = expand("http://e/d/{blobId}/{name}?accept={type}", blobId="G1", name=value, type="a/b")
    path, _, query = url.removeprefix("http://e/d/G1/").partition("?")
    assert query == "accept=a%2Fb"
    assert set(path) <= set(ID_CHARACTERS + ".~%")
    assert path not in {".", ".."}
    assert unquote(path) == value


def test_templates() -> None:
    assert expand("/x/{missing}/") == "/x//"
    for template in ("{+path}", "{?a,b}", "{a b}", "{}"):
        with pytest.raises(EngineUnavailable):
            expand(template)


@pytest.mark.parametrize(
    ("url", "moved"),
    [
        ("/jmap/", "http://10.0.0.5:80/jmap/"),
        ("https://mail.example:443/jmap/?x=1#y", "http://10.0.0.5:80/jmap/?x=1"),
        ("//evil.example/jmap", "http://10.0.0.5:80/jmap"),
        ("http://user:pw@evil.example/", "http://10.0.0.5:80/"),
        ("upload/{accountId}/", "http://10.0.0.5:80/.well-known/upload/{accountId}/"),
    ],
)
def test_urls_stay_on_the_internal_origin(url: str, moved: str) -> None:
    assert on_origin(url, "http://10.0.0.5:80/.well-known/jmap") == moved


# Writing

ALICE_ADDRESS = Address("alice@acme.test", "Alice")
PICTURE = OutgoingPart("G1", "p.png", "image/png", cid="c1", inline=True)
FILE = OutgoingPart("G2", "../a\r\nb.pdf", "application/pdf; name=x")


def _outgoing(**members: Any) -> OutgoingMessage:
    usual: dict[str, Any] = {"sender": ALICE_ADDRESS, "to": (Address("bob@x.test"),), "message_id": "1@acme.test"}
    return OutgoingMessage(**{**usual, **members})


def _shape(part: dict[str, Any]) -> Any:
    return (part["type"], [_shape(sub) for sub in part["subParts"]]) if "subParts" in part else part["type"]


@pytest.mark.parametrize(
    ("members", "shape"),
    [
        ({}, "text/plain"),
        ({"html": "<p>"}, ("multipart/alternative", ["text/plain", "text/html"])),
        ({"attachments": (FILE,)}, ("multipart/mixed", ["text/plain", "application/pdf"])),
        (
            {"html": "<p>", "attachments": (PICTURE, FILE)},
            (
                "multipart/mixed",
                [
                    ("multipart/alternative", ["text/plain", ("multipart/related", ["text/html", "image/png"])]),
                    "application/pdf",
                ],
            ),
        ),
        ({"attachments": (PICTURE,)}, ("multipart/mixed", ["text/plain", "image/png"])),
    ],
)
def test_the_shape_of_a_message(members: dict[str, Any], shape: Any) -> None:
    assert _shape(as_jmap(_outgoing(**members), "m1")["bodyStructure"]) == shape


def test_names_and_types_of_files_are_made_safe() -> None:
    part = as_jmap(_outgoing(attachments=(FILE,)), "m1")["bodyStructure"]["subParts"][1]
    assert part["name"] == ".._a__b.pdf"
    assert part["type"] == "application/pdf"
    odd = OutgoingPart("G3", "", "multipart/mixed")
    part = as_jmap(_outgoing(attachments=(odd,)), "m1")["bodyStructure"]["subParts"][1]
    assert (part["name"], part["type"], part["disposition"]) == ("file", "application/octet-stream", "attachment")


def test_headers_of_a_message() -> None:
    email = as_jmap(
        _outgoing(
            cc=(Address("half"), Address(" c@x.test ", " C ")),
            in_reply_to=("a@x",),
            references=("a@x",),
            sent_at=datetime(2026, 1, 2, tzinfo=UTC),
        ),
        "m1",
    )
    assert email["cc"] == [{"name": "C", "email": "c@x.test"}]
    assert (email["messageId"], email["inReplyTo"], email["references"]) == (["1@acme.test"], ["a@x"], ["a@x"])
    assert email["sentAt"] == "2026-01-02T00:00:00Z"
    assert not {"bcc", "replyTo"} & set(email)
    assert email["keywords"] == {"$draft": True, "$seen": True}


@pytest.mark.parametrize(
    ("members", "field", "code"),
    [
        ({"subject": "a\r\nBcc: x@y.z"}, "subject", "lineBreak"),
        ({"subject": "a\x00"}, "subject", "lineBreak"),
        ({"subject": "a" * 3000}, "subject", "tooLong"),
        ({"sender": Address("alice@acme.test", "A\nB")}, "sender", "lineBreak"),
        ({"sender": Address("alice")}, "sender", "address"),
        ({"to": (Address("bob@x.test\r\n"),)}, "to", "lineBreak"),
        ({"to": (Address("bob"),)}, "to", "address"),
        ({"cc": (Address("a,b@x.test"),)}, "cc", "address"),
        ({"bcc": (Address("<b@x.test>"),)}, "bcc", "address"),
        ({"to": ()}, "to", "noRecipients"),
        ({"to": tuple(Address(f"a{n}@x.test") for n in range(1001))}, "to", "tooMany"),
        ({"message_id": ""}, "message_id", "messageId"),
        ({"message_id": "<a@b>"}, "message_id", "messageId"),
        ({"attachments": (OutgoingPart("G1", "x", cid="a\nb"),)}, "attachments", "lineBreak"),
    ],
)
def test_what_is_never_sent(members: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(InvalidMessage) as caught:
        check_message(_outgoing(**members), complete=True)
    assert (caught.value.field, caught.value.code) == (field, code)


def test_a_draft_may_be_half_finished() -> None:
    check_message(_outgoing(to=(Address("bo"),)), complete=False)
    check_message(_outgoing(to=()), complete=False)
    with pytest.raises(InvalidId):
        check_message(_outgoing(attachments=(OutgoingPart("../G", "x"),)), complete=False)


def test_recipients_are_each_once() -> None:
    message = _outgoing(cc=(Address("BOB@x.test"),), bcc=(Address("c@x.test"),))
    assert [email.lower() for email in message.recipients] == ["bob@x.test", "c@x.test"]


@pytest.mark.parametrize(
    ("text", "good"),
    [("a@b.c", True), ("jörg@xn--kln-sna.de", True), ("a@b@c", False), ("a b@c", False), ("@b", False), ("a@", False)],
)
def test_plain_addresses(text: str, good: bool) -> None:
    assert valid_address(text) is good
