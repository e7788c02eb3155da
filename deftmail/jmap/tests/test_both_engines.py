"""The same calls on what both engines answered: the same typed result, in one request a page."""

from __future__ import annotations

from typing import Any

import pytest

from deftmail.jmap import Address, MethodFailed, OutgoingMessage, Search, Segment, SetError
from deftmail.jmap.access import Access
from deftmail.jmap.answers import read_query, read_set
from deftmail.jmap.mailbox import USUAL_ROLES, read_folders
from deftmail.jmap.quota import Quota, read_quotas
from deftmail.jmap.search import read_snippets
from deftmail.jmap.session import SIEVE, parse_session
from deftmail.jmap.testing import FakeJmap
from deftmail.jmap.tests.support import STYLES, account_on, answering, loaded, recorded, session_object

both = pytest.mark.parametrize("style", STYLES)
EMPTY = read_set({})


@both
def test_a_list_page_is_one_request_and_the_same_rows_on_both(style: str) -> None:
    fake = loaded(style)
    account = fake.account()
    page = account.conversations(fake.role("inbox"), quota=True)
    assert (len(fake.requests), fake.session_requests) == (1, 1)
    rows = {row.subject.removeprefix("Re: "): row for row in page.rows}
    assert set(rows) == {"Quarterly report", "Newsletter", "Grüße aus Köln"}
    assert page.total == 3
    assert page.quota == Quota(0, 1_073_741_824)
    report = rows["Quarterly report"]
    assert report.count == 2
    assert len(report.ids_here) == len(report.email_ids) == 2
    assert [sender.label for sender in report.senders] == ["Bob Example", "Carol"]
    assert report.unread
    assert report.has_attachment
    assert not report.starred
    greeting = rows["Grüße aus Köln"]
    assert greeting.senders == (Address("joerg@rec.test", "Jörg"),)
    assert greeting.preview == "Umlaute: äöü €"
    assert greeting.received_at is not None
    assert greeting.received_at.tzinfo is not None
    account.conversations(fake.role("inbox"))
    assert (len(fake.requests), fake.session_requests) == (2, 1)


@both
def test_a_conversation_reads_the_same_on_both(style: str) -> None:
    fake = loaded(style)
    account = fake.account()
    thread = next(row for row in account.conversations().rows if row.count == 2).thread_id
    fake.requests.clear()
    conversation = account.conversation(thread)
    assert len(fake.requests) == 1
    first, second = conversation.emails
    assert conversation.subject == first.subject == "Quarterly report"
    assert first.message_id == ("r1@rec.test",)
    assert second.in_reply_to == second.references == ("r1@rec.test",)
    assert first.text == "The report is attached. zebra\n"
    assert first.html is None
    assert [(part.name, part.type, part.size) for part in first.attachments] == [("report.pdf", "application/pdf", 13)]
    assert first.from_ == (Address("bob@rec.test", "Bob Example"),)
    assert second.attachments == ()
    assert not first.seen
    assert conversation.folders is not None
    assert conversation.folders.inbox is not None


@both
def test_folders_are_found_by_role_and_missing_ones_are_made_subscribed(style: str) -> None:
    fake = loaded(style)
    fake.mailboxes = {k: v for k, v in fake.mailboxes.items() if v["role"] not in {"archive", "trash"}}
    folders = fake.account().ensure_roles()
    assert [folder.role for folder in folders.all] == ["inbox", "drafts", "sent", "archive", "junk", "trash"]
    trash = folders.role("trash")
    assert trash is not None
    assert trash.subscribed
    assert fake.methods() == [["Mailbox/get"], ["Mailbox/set"], ["Mailbox/get"]]
    assert folders.all[0] is folders.inbox


@both
def test_a_folder_that_has_the_name_already_gets_the_role(style: str) -> None:
    fake = loaded(style)
    fake.mailboxes = {k: v for k, v in fake.mailboxes.items() if v["role"] == "inbox"}
    own = fake.add_mailbox("sent")
    assert fake.account().role_id("sent") == own


@both
def test_a_taken_name_is_the_same_error_on_both(style: str) -> None:
    fake = loaded(style)
    with pytest.raises(Exception, match="alreadyExists") as caught:
        fake.account().create_folder("Inbox")
    assert getattr(caught.value, "code", "") == "alreadyExists"


@both
def test_recorded_folder_answers(style: str) -> None:
    folders = read_folders(recorded(style, "folders"))
    inbox = folders.inbox
    assert inbox is not None
    assert (inbox.name, inbox.total_emails, inbox.unread_threads) == ("Inbox", 4, 3)
    assert inbox.may_add


@both
def test_recorded_set_answers(style: str) -> None:
    star = read_set(recorded(style, "star and mark read"))
    assert len(star.updated) == 1
    assert (star.created, star.destroyed, star.not_updated) == (EMPTY.created, EMPTY.destroyed, EMPTY.not_updated)
    draft = read_set(recorded(style, "draft with attachment and threading headers"))
    assert set(draft.created["d"]) >= {"id", "blobId", "threadId", "size"}
    sent = read_set(recorded(style, "send it held for 30 s"))
    assert "s" in sent.created
    assert len(read_set(recorded(style, "send it held for 30 s", 1)).updated) == 1
    refused = read_set(recorded(style, "refusals", 1))
    assert refused.not_updated == {"nonexistent": SetError("notFound")}
    taken = read_set(recorded(style, "refusals", 2)).not_created["x"]
    assert (taken.type, taken.properties) in {("invalidProperties", ("name",)), ("alreadyExists", ())}


@both
def test_recorded_search_quota_and_errors(style: str) -> None:
    query = read_query(recorded(style, "search text with snippets"))
    snippet = read_snippets(recorded(style, "search text with snippets", 1))[query.ids[0]]
    assert Segment("zebra", marked=True) in snippet.preview
    assert snippet.preview[0] == Segment("The report is attached. ")
    assert snippet.subject == ()
    quota = read_quotas(recorded(style, "quota"))
    assert quota is not None
    assert (quota.total, quota.percent) == (1_073_741_824, 0)
    answer = recorded(style, "refusals", 3)
    account = account_on(answering(("error", answer)))
    with pytest.raises(MethodFailed) as caught:
        account.identities()
    assert caught.value.type in {"invalidArguments", "unsupportedFilter"}
    assert not caught.value.temporary


@both
def test_search_is_one_request_and_leaves_trash_and_junk_out(style: str) -> None:
    fake = loaded(style)
    account = fake.account()
    account.folders()
    fake.requests.clear()
    page = account.search(Search(text="zebra"))
    assert [row.subject.removeprefix("Re: ") for row in page.rows] == ["Quarterly report"]
    snippet = page.rows[0].snippet
    assert snippet is not None
    assert [segment.text for segment in snippet.preview if segment.marked] == ["zebra"]
    assert len(fake.requests) == 1
    conditions = fake.requests[0]["methodCalls"][1][1]["filter"]["conditions"]
    assert conditions[0] == {"inMailboxOtherThan": [fake.role("trash"), fake.role("junk")]}


def _session(style: str, account_id: str | None = None) -> Any:
    access = Access("http://10.0.0.5:8080/jmap/", {}, "alice@rec.test", account_id=account_id)
    return parse_session(session_object(style), access)


def test_the_session_is_read_and_its_urls_are_moved_to_the_internal_origin() -> None:
    cyrus, stalwart = _session("cyrus"), _session("stalwart")
    assert cyrus.account_id == "alice@rec.test"
    assert stalwart.account_id == "d333333"
    for session in (cyrus, stalwart):
        assert session.api_url == "http://10.0.0.5:8080/jmap/"
        url = session.download_url("G1", "a b/ü.pdf", "application/pdf")
        account = session.account_id.replace("@", "%40")
        expected = f"http://10.0.0.5:8080/jmap/download/{account}/G1/a%20b%2F%C3%BC.pdf?accept=application%2Fpdf"
        assert url == expected
        assert session.upload_url() == f"http://10.0.0.5:8080/jmap/upload/{account}/"
    assert (cyrus.limits.calls_in_request, cyrus.limits.objects_in_get) == (50, 4096)
    assert (stalwart.limits.calls_in_request, stalwart.limits.objects_in_get) == (16, 500)
    assert cyrus.capability_for("Quota") == "https://cyrusimap.org/ns/jmap/quota"
    assert stalwart.capability_for("SieveScript") == SIEVE


def test_acting_for_an_account_that_the_session_does_not_list() -> None:
    session = _session("stalwart", "b")
    assert session.account_id == "b"
    assert session.capability_for("EmailSubmission") is not None


def test_submission_is_gone_when_only_the_account_lost_it() -> None:
    data = session_object("cyrus")
    del data["accounts"]["alice@rec.test"]["accountCapabilities"]["urn:ietf:params:jmap:submission"]
    session = parse_session(data, Access("http://engine/jmap/", {}, "alice@rec.test"))
    assert session.capability_for("EmailSubmission") is None
    assert session.capability_for("Email") is not None


def test_what_the_webmail_does_takes_as_many_requests_on_either() -> None:
    counts = {}
    for style in STYLES:
        fake = FakeJmap(style, username="alice@rec.test")
        for role in USUAL_ROLES:
            fake.add_mailbox(role.title(), role)
        for _ in range(3):
            fake.add_email(thread="T1", subject="report", bodyValues={"1": {"value": "the report"}})
        account = fake.account()
        inbox = fake.role("inbox")
        row = account.conversations(inbox, quota=True).rows[0]
        account.conversation(row.thread_id)
        account.search(Search("report"), quota=True)
        ids = [id_ for id_, email in fake.emails.items() if email["threadId"] == row.thread_id]
        account.mark_read(ids)
        account.star(ids)
        account.archive(ids, inbox)
        account.trash(ids)
        account.folders(quota=True)
        letter = OutgoingMessage(
            sender=Address("alice@rec.test"),
            to=(Address("bob@rec.test"),),
            subject="hello",
            text="Hello.",
            message_id="1.2@rec.test",
        )
        draft = account.save_draft(letter)
        account.send(letter, replaces=draft.id)
        account.sieve_put("keep;")
        # Whom of several it refused, Stalwart tells only when it is asked: a call more, in the request that sends.
        calls = [[name for name in names if name != "EmailSubmission/get"] for names in fake.methods()]
        counts[style] = (fake.session_requests, len(fake.requests), [len(names) for names in calls])
        asked = [names for names in fake.methods() if "EmailSubmission/get" in names]
        assert asked == ([] if style == "cyrus" else [["Email/set", "EmailSubmission/set", "EmailSubmission/get"]])
    assert counts["cyrus"] == counts["stalwart"]
