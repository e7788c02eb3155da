"""The list: who-lines, folders, search words, and one request to the engine for a page."""

from __future__ import annotations

import re
from typing import Any

import pytest

from deftmail.jmap import EngineUnavailable, MailAccount, NotFound
from deftmail.jmap.mailbox import Folder, Folders
from deftmail.webmail import listing
from deftmail.webmail.tests.conftest import Desk
from deftmail.webmail.views import lists

MEI = {"name": "Mei Tanaka", "email": "mei@north.example"}
ME = {"name": "Anna Keller", "email": "ANNA@acme.test"}
WEBER = {"name": "Weber, Jonas", "email": "jonas@acme.test"}
BARE = {"name": "", "email": "info@shop.example"}


def page_of(desk: Desk, path: str = "/mail/f/inbox", **headers: str) -> str:
    answer = desk.call(lists.folder, desk.request("get", path, **headers), folder=path.split("?")[0].rpartition("/")[2])
    return str(answer.content.decode())


def whos(desk: Desk, key: str = "inbox") -> list[str]:
    page = desk.mail.account.conversations(role=key)
    return [row.who for row in listing.rows(page, key, desk.mail.own, {})]


@pytest.mark.parametrize(
    ("senders", "who"),
    [
        ([MEI], "Mei Tanaka"),
        ([BARE], "info@shop.example"),
        ([MEI, ME], "Mei, me"),
        ([WEBER, MEI], "Weber, Mei"),
        ([BARE, MEI], "info, Mei"),
        ([ME], "me"),
        ([None], "(unknown sender)"),
    ],
)
def test_the_who_line(desk: Desk, senders: list[Any], who: str) -> None:
    for sender in senders:
        desk.fake.add_email(thread="T1", from_=[sender] if sender else [], subject="x")
    assert whos(desk) == [who]


def test_sent_and_drafts_name_the_recipients(desk: Desk) -> None:
    desk.fake.add_email(mailbox=desk.fake.role("sent"), from_=[ME], to=[MEI, BARE], subject="x")
    desk.fake.add_email(mailbox=desk.fake.role("drafts"), from_=[ME], subject="y", keywords={"$draft": True})
    assert whos(desk, "sent") == ["To: Mei Tanaka, info@shop.example"]
    assert whos(desk, "drafts") == ["(no recipient)"]


def test_a_list_page_is_one_request_to_the_engine(desk: Desk) -> None:
    for number in range(3):
        desk.fake.add_email(subject=f"Subject {number}", from_=[MEI])
    page_of(desk)  # learns where the folders are
    desk.fake.requests.clear()
    assert page_of(desk).count('<article class="thread"') == 3
    assert len(desk.fake.requests) == 1
    desk.fake.requests.clear()
    fragment = page_of(desk, **{"HX-Request": "true"})
    assert len(desk.fake.requests) == 1
    assert "<html" not in fragment
    assert 'id="folder-list"' in fragment


def test_an_opened_conversation_is_one_request_and_one_for_marking_it_read(desk: Desk) -> None:
    id_ = desk.fake.add_email(subject="New", thread="T7", from_=[MEI])
    page_of(desk)
    for expected in (2, 1):
        desk.fake.requests.clear()
        request = desk.request("get", "/mail/f/inbox/t/T7", **{"HX-Request": "true"})
        answer = desk.call(lists.thread, request, folder="inbox", thread_id="T7")
        assert "New" in answer.content.decode()
        assert len(desk.fake.requests) == expected
    assert desk.fake.emails[id_]["keywords"] == {"$seen": True}


def test_a_prefetch_does_not_mark_as_read(desk: Desk) -> None:
    id_ = desk.fake.add_email(thread="T7", from_=[MEI])
    request = desk.request("get", "/mail/f/inbox/t/T7", **{"HX-Request": "true", "Sec-Purpose": "prefetch"})
    desk.call(lists.thread, request, folder="inbox", thread_id="T7")
    assert desk.fake.emails[id_]["keywords"] == {}


def test_a_list_shows_what_it_was_told_to(desk: Desk) -> None:
    desk.fake.add_email(subject="Old", from_=[MEI], keywords={"$seen": True})
    desk.fake.add_email(subject="Fresh", from_=[MEI])
    desk.fake.add_email(subject="Star", from_=[MEI], keywords={"$seen": True, "$flagged": True})
    assert set(re.findall(r"Old|Fresh|Star\b", _texts(page_of(desk, "/mail/f/inbox?show=unread")))) == {"Fresh"}
    assert set(re.findall(r"Old|Fresh|Star\b", _texts(page_of(desk, "/mail/f/inbox?show=starred")))) == {"Star"}


def _texts(page: str) -> str:
    return " ".join(re.findall(r'<span class="text">(.*?)</span>', page))


def test_pages_link_older_and_newer_and_keep_the_filter(desk: Desk) -> None:
    for number in range(120):
        desk.fake.add_email(subject=f"Subject {number}", from_=[MEI])
    page = page_of(desk, "/mail/f/inbox?show=unread&from=50")
    assert 'rel="prev" href="/mail/f/inbox?show=unread"' in page
    assert 'rel="next" href="/mail/f/inbox?from=100&amp;show=unread"' in page
    assert "51–100 of 120" in page


@pytest.mark.parametrize("raw", ["-1", "x", "1e5", "99999999999999999999", "٣"])
def test_a_position_that_is_none_is_the_beginning(desk: Desk, raw: str) -> None:
    assert lists.position_of(desk.request("get", "/mail/f/inbox", {"from": raw}).GET) == 0


def test_what_a_stranger_wrote_is_escaped(desk: Desk) -> None:
    evil = '<img src=x onerror="alert(1)">'
    desk.fake.add_email(subject=evil, from_=[{"name": evil, "email": "a@b.example"}], preview=evil)
    page = page_of(desk)
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page


def test_an_unknown_folder_is_not_found(desk: Desk) -> None:
    with pytest.raises(NotFound):
        page_of(desk, "/mail/f/mbunknown")


def _folders(*entries: tuple[str, str, str | None, str | None]) -> Folders:
    found = [Folder(id=i, name=n, role=r, parentId=p, totalEmails=4, unreadThreads=2) for i, n, r, p in entries]
    return Folders(tuple(found))


def test_folders_stand_below_their_parents_and_ones_own_under_a_heading() -> None:
    folders = _folders(
        ("i", "INBOX", "inbox", None),
        ("d", "Entwürfe", "drafts", None),
        ("s", "Gesendet", "sent", None),
        ("p", "Projects", None, None),
        ("q", "Benches", None, "p"),
    )
    links = listing.links(folders, "q")
    assert [(link.name, link.depth, link.count) for link in links] == [
        ("Inbox", 0, 2),
        ("Drafts", 0, 4),
        ("Sent", 0, 0),
        ("Projects", 0, 2),
        ("Benches", 1, 2),
    ]
    assert [link.first_own for link in links] == [False, False, False, True, False]
    assert [link.current for link in links] == [False, False, False, False, True]
    assert [link.key for link in listing.targets(links, "q")] == ["inbox", "p"]


def test_a_folder_that_is_its_own_ancestor_does_not_hang() -> None:
    assert listing.links(_folders(("a", "A", None, "b"), ("b", "B", None, "a"))) == []


def test_just_read_lowers_the_count_of_its_folders() -> None:
    links = listing.links(_folders(("i", "INBOX", "inbox", None)), just_read=frozenset({"i"}))
    assert links[0].count == 1


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("oak boards", {"text": "oak boards"}),
        ('"oak boards"', {"text": "oak boards"}),
        ("from:mei oak", {"from_": "mei", "text": "oak"}),
        ('subject:"key for" to:jonas', {"subject": "key for", "to": "jonas"}),
        ("is:unread IS:STARRED has:attachment", {"unread": True, "starred": True, "has_attachment": True}),
        ("is:read", {"unread": False}),
        ("in:anywhere x", {"everywhere": True, "text": "x"}),
        ("12:30 http://x.example", {"text": "12:30 http://x.example"}),
        ("from: x", {"text": "from: x"}),
        ("from:a from:b", {"from_": "a b"}),
    ],
)
def test_search_words(typed: str, found: dict[str, Any]) -> None:
    search = listing.parse_search(typed)
    for name, value in {"text": "", **found}.items():
        assert getattr(search, name) == value


def test_a_search_marks_what_matched_and_escapes_it(desk: Desk) -> None:
    desk.fake.add_email(
        subject="x", from_=[MEI], textBody=[{"partId": "1", "type": "text/plain"}],
        bodyValues={"1": {"value": "<b>oak</b> here"}},
    )  # fmt: skip
    page = desk.call(lists.search, desk.request("get", "/mail/search", {"q": "oak"})).content.decode()
    assert "&lt;b&gt;<mark>oak</mark>" in page


def test_an_empty_search_field_asks_the_engine_for_nothing_but_folders(desk: Desk) -> None:
    desk.fake.requests.clear()
    page = desk.call(lists.search, desk.request("get", "/mail/search")).content.decode()
    assert "Search your mail" in page
    assert desk.fake.methods() == [["Mailbox/get", "Quota/get"]]


def test_above_a_conversation_opened_by_its_address_are_the_folders_and_one_way_back(desk: Desk) -> None:
    desk.fake.add_email(thread="T7", from_=[MEI])
    request = desk.request("get", "/mail/f/inbox/t/T7")
    page = desk.call(lists.thread, request, folder="inbox", thread_id="T7").content.decode()
    assert page.count('aria-label="Back to the list"') == 1
    assert 'href="/mail/folders" aria-label="Folders"' in page


def found(desk: Desk, text: str) -> str:
    return str(desk.call(lists.search, desk.request("get", "/mail/search", {"q": text})).content.decode())


def test_a_search_says_what_it_leaves_out_and_leads_there(desk: Desk) -> None:
    desk.fake.add_email(mailbox=desk.fake.role("trash"), subject="oak", from_=[MEI])
    page = found(desk, "oak")
    assert "Nothing found" in page
    assert "Trash and Junk are not searched" in page
    assert 'href="/mail/search?q=in%3Aanywhere+oak"' in page
    page = found(desk, "oak in:anywhere")
    assert page.count('<article class="thread"') == 1
    assert "are not searched" not in page
    assert "are not searched" not in page_of(desk)


def test_what_one_wrote_oneself_is_found_with_whom_it_was_for(desk: Desk) -> None:
    desk.fake.add_email(mailbox=desk.fake.role("sent"), thread="T1", from_=[ME], to=[MEI], subject="oak")
    desk.fake.add_email(thread="T2", from_=[MEI], to=[ME], subject="oak")
    desk.fake.add_email(mailbox=desk.fake.role("sent"), thread="T2", from_=[ME], to=[MEI], subject="Re: oak")
    shown = re.findall(r"data-open>(?:<span.*?</span>)?(.*?)</a>", found(desk, "oak"))
    assert sorted(shown) == ["Mei, me", "To: Mei Tanaka"]


def html_mail(desk: Desk, html: str, **members: Any) -> str:
    """Mail of which the engine, like Cyrus, gives the source as preview."""
    part = {"partId": "1", "type": "text/html"}
    return desk.fake.add_email(
        from_=[MEI], textBody=[part], htmlBody=[part], bodyValues={"1": {"value": html}}, preview=html[:60], **members
    )


def previews_of(desk: Desk) -> list[str]:
    return [" ".join(text.split()) for text in re.findall(r'class="thread-preview">(.*?)</span>', page_of(desk))]


def test_a_preview_is_what_a_reader_would_see_and_is_asked_for_once(desk: Desk) -> None:
    html_mail(desk, f"<html><head><style>{'p{color:red}' * 500}</style></head><body><p>Dear Anna,<p>a &amp; b")
    html_mail(desk, "<div>Also</div>")
    desk.fake.add_email(subject="Plain", from_=[MEI], preview="see <https://x.example>")
    assert previews_of(desk) == ["see &lt;https://x.example&gt;", "Also", "Dear Anna, a &amp; b"]
    assert desk.fake.methods()[-1] == ["Email/get"]
    assert desk.fake.requests[-1]["methodCalls"][0][1]["maxBodyValueBytes"] < 100_000
    asked = len(desk.fake.requests)
    assert previews_of(desk)[1:] == ["Also", "Dear Anna, a &amp; b"]
    assert len(desk.fake.requests) == asked + 1


def test_a_preview_that_cannot_be_had_leaves_the_list_as_it_is(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    html_mail(desk, "<p>Words</p>")

    def fails(*_arguments: Any, **_more: Any) -> Any:
        raise EngineUnavailable("gone", code="broken")

    monkeypatch.setattr(MailAccount, "text_parts", fails)
    assert previews_of(desk) == ["&lt;p&gt;Words&lt;/p&gt;"]
    monkeypatch.undo()
    assert previews_of(desk) == ["Words"]


def test_beyond_the_end_is_the_last_page(desk: Desk) -> None:
    for number in range(60):
        desk.fake.add_email(subject=f"Subject {number}", from_=[MEI])
    for beyond in (100, 9999):
        page = page_of(desk, f"/mail/f/inbox?from={beyond}")
        assert "51–60 of 60" in page
        assert "This folder is empty" not in page


def test_no_name_turns_what_stands_beside_it(desk: Desk) -> None:
    desk.fake.add_email(
        subject="invoice\u202egpj.exe\u202c", from_=[{"name": "\u202emoc.knab\u2069", "email": "x@\u202eevil.example"}]
    )
    desk.fake.add_email(subject="שלום", from_=[{"name": "דנה\u200f", "email": "d@x.example"}])
    page = page_of(desk)
    assert not re.search("[\u202a-\u202e\u2066-\u2069]", page)
    assert "invoicegpj.exe" in page
    assert "דנה" in page
