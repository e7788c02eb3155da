"""Marking, moving, throwing away; folders; blobs; the Sieve script."""

from __future__ import annotations

import io

import pytest

from deftmail.jmap import InvalidScript, JmapError, NotFound, Search, SetFailed, TooLarge
from deftmail.jmap.actions import pointer
from deftmail.jmap.quota import Quota, read_quotas
from deftmail.jmap.testing import FakeJmap
from deftmail.jmap.tests.support import STYLES

both = pytest.mark.parametrize("style", STYLES)


@both
def test_marking_many_is_one_request_and_says_what_failed(style: str) -> None:
    fake = FakeJmap(style)
    ids = [fake.add_email() for _ in range(3)]
    account = fake.account()
    result = account.mark_read([*ids, "Mgone", ids[0]])
    assert result.done == ids
    assert result.failed["Mgone"].type == "notFound"
    assert not result.ok
    assert len(fake.requests) == 1
    assert account.star(ids).ok
    assert account.mark_read(ids[:1], read=False).ok
    assert fake.emails[ids[0]]["keywords"] == {"$flagged": True}


@both
def test_more_than_the_engine_takes_at_once(style: str) -> None:
    fake = FakeJmap(style, limits={"maxObjectsInSet": 10, "maxCallsInRequest": 4})
    ids = [fake.add_email() for _ in range(95)]
    assert fake.account().star(ids).done == ids
    assert [len(methods) for methods in fake.methods()] == [4, 4, 2]


@both
def test_trash_is_made_when_missing_and_nothing_is_destroyed(style: str) -> None:
    fake = FakeJmap(style)
    ids = [fake.add_email() for _ in range(2)]
    result = fake.account().trash(ids)
    assert result.done == ids
    assert all(fake.emails[id_]["mailboxIds"] == {fake.role("trash"): True} for id_ in ids)
    assert not any("destroy" in call[1] for request in fake.requests for call in request["methodCalls"])


@both
def test_a_trash_folder_deleted_meanwhile_is_made_again(style: str) -> None:
    fake = FakeJmap(style)
    account = fake.account()
    account.ensure_roles()
    del fake.mailboxes[fake.role("trash")]
    email = fake.add_email()
    assert account.trash([email]).ok
    assert fake.emails[email]["mailboxIds"] == {fake.role("trash"): True}


@both
def test_moving_from_a_folder_leaves_other_copies(style: str) -> None:
    fake = FakeJmap(style)
    account = fake.account()
    account.ensure_roles()
    inbox, sent, archive = (fake.role(role) for role in ("inbox", "sent", "archive"))
    email = fake.add_email()
    fake.emails[email]["mailboxIds"] = {inbox: True, sent: True}
    assert account.archive([email], from_=inbox).ok
    assert fake.emails[email]["mailboxIds"] == {sent: True, archive: True}
    assert account.move([email], inbox).ok
    assert fake.emails[email]["mailboxIds"] == {inbox: True}
    assert account.junk([email]).ok
    assert fake.emails[email]["keywords"] == {"$junk": True}
    assert account.not_junk([email]).ok
    assert fake.emails[email]["mailboxIds"] == {inbox: True}
    assert fake.emails[email]["keywords"] == {"$notjunk": True}


@both
def test_emptying_takes_only_trash_and_spares_copies_elsewhere(style: str) -> None:
    fake = FakeJmap(style)
    account = fake.account()
    account.ensure_roles()
    trash, archive = fake.role("trash"), fake.role("archive")
    gone = [fake.add_email(mailbox=trash) for _ in range(3)]
    copied, kept = fake.add_email(mailbox=trash), fake.add_email()
    fake.emails[copied]["mailboxIds"][archive] = True
    assert sorted(account.empty_folder(trash).done) == sorted([*gone, copied])
    assert set(fake.emails) == {copied, kept}
    assert fake.emails[copied]["mailboxIds"] == {archive: True}
    with pytest.raises(NotFound):
        account.empty_folder(archive)


@both
def test_deleting_a_folder_moves_its_mail_to_trash(style: str) -> None:
    fake = FakeJmap(style)
    account = fake.account()
    folder = account.create_folder("Projects")
    account.rename_folder(folder, "Old projects")
    email = fake.add_email(mailbox=folder)
    with pytest.raises(SetFailed, match="mailboxHasEmail"):
        account.delete_folder(folder, mail_to_trash=False)
    account.delete_folder(folder)
    assert folder not in fake.mailboxes
    assert fake.emails[email]["mailboxIds"] == {fake.role("trash"): True}


@both
def test_destroying_for_ever(style: str) -> None:
    fake = FakeJmap(style)
    email = fake.add_email()
    result = fake.account().destroy([email, "Mgone"])
    assert (result.done, list(result.failed)) == ([email], ["Mgone"])


def test_keywords_are_checked_and_paths_escaped() -> None:
    account = FakeJmap().account()
    with pytest.raises(ValueError, match="keyword"):
        account.set_keywords(["M1"], add=["a b"])
    assert pointer("keywords", "a/b~c") == "keywords/a~1b~0c"
    assert account.set_keywords(["M1"]).done == ["M1"]


@both
def test_paging_by_anchor_falls_back_to_the_position(style: str) -> None:
    fake = FakeJmap(style)
    ids = [fake.add_email(subject=str(number)) for number in range(7)]
    account = fake.account()
    first = account.conversations(limit=3)
    assert [row.subject for row in first.rows] == ["6", "5", "4"]
    second = account.conversations(anchor=first.rows[-1].email_id, position=3, limit=3)
    assert [row.subject for row in second.rows] == ["3", "2", "1"]
    del fake.emails[ids[4]]
    again = account.conversations(anchor=ids[4], position=3, limit=3)
    assert [row.subject for row in again.rows] == ["2", "1", "0"]


@both
def test_thrown_away_messages_do_not_count_outside_trash(style: str) -> None:
    fake = FakeJmap(style)
    account = fake.account()
    account.ensure_roles()
    from_ = [{"email": "a@x.test"}]
    fake.add_email(thread="T1", mailbox=fake.role("trash"), from_=from_, keywords={"$flagged": True})
    here = fake.add_email(thread="T1", from_=from_, keywords={"$seen": True})
    row = account.conversations().rows[0]
    assert (row.count, row.starred, row.unread, row.ids_here) == (1, False, False, (here,))
    assert len(row.email_ids) == 2
    assert account.conversations(role="trash").rows[0].starred


@both
def test_filters_and_search(style: str) -> None:
    fake = FakeJmap(style)
    read = fake.add_email(subject="read me", keywords={"$seen": True, "$flagged": True})
    new = fake.add_email(subject="new", hasAttachment=True)
    account = fake.account()
    assert [row.email_id for row in account.conversations(unread=True).rows] == [new]
    assert [row.email_id for row in account.conversations(starred=True).rows] == [read]
    for search, found in (
        (Search(subject="READ"), [read]),
        (Search(unread=True), [new]),
        (Search(unread=False, starred=True), [read]),
        (Search(has_attachment=True, text=" "), [new]),
        (Search(), [new, read]),
    ):
        assert [row.email_id for row in account.search(search).rows] == found


@both
def test_a_folder_that_is_gone(style: str) -> None:
    with pytest.raises(NotFound):
        FakeJmap(style).account().conversations("m999")
    with pytest.raises(NotFound):
        FakeJmap(style).account().conversation("T999")
    with pytest.raises(NotFound):
        FakeJmap(style).account().email("M999")


@both
def test_a_conversation_too_large_for_one_answer_shows_its_newest(style: str) -> None:
    fake = FakeJmap(style, limits={"maxObjectsInGet": 60})
    ids = [fake.add_email(thread="T1", subject=str(number)) for number in range(70)]
    conversation = fake.account().conversation("T1")
    assert conversation.cut
    assert [email.id for email in conversation.emails] == ids[-50:]


@both
def test_blobs_go_up_and_come_down_in_pieces(style: str) -> None:
    account = FakeJmap(style, limits={"maxSizeUpload": 300_000}).account()
    data = bytes(range(256)) * 1000
    for source in (data, io.BytesIO(data), iter([data[:1000], data[1000:]])):
        blob = account.upload(source, "application/pdf")
        assert blob.size == len(data)
    download = account.download(blob.id, "a/b.pdf")
    assert download.size == len(data)
    assert b"".join(download) == data
    with pytest.raises(TooLarge):
        account.download(blob.id).read(1000)
    with pytest.raises(TooLarge):
        account.upload(io.BytesIO(), "text/plain", size=300_001)
    with pytest.raises(NotFound):
        account.download("Gnone")


@both
def test_the_sieve_script_is_replaced_refused_and_removed(style: str) -> None:
    fake = FakeJmap(style)
    account = fake.account()
    assert account.sieve_get() is None
    account.sieve_put("keep;")
    account.sieve_put("discard;")
    with pytest.raises(InvalidScript, match="line 1"):
        account.sieve_put("bogus")
    assert account.sieve_get() == "discard;"
    assert [(script.name, script.active) for script in account.scripts()] == [("deftmail", True)]
    account.sieve_put(None)
    account.sieve_put(None)
    assert account.scripts() == []


@both
def test_quota(style: str) -> None:
    fake = FakeJmap(style)
    fake.quota = (950, 1000)
    assert fake.account().quota() == Quota(950, 1000)
    fake.quota = (950, None)
    quota = fake.account().quota()
    assert quota is not None
    assert quota.percent is None
    assert Quota(5, 0).percent == 100
    assert read_quotas({"list": [{"id": "x", "resourceType": "count", "types": ["Email"], "used": 5}]}) is None


def test_every_error_is_of_one_family() -> None:
    for kind in (InvalidScript, NotFound, SetFailed, TooLarge):
        assert issubclass(kind, JmapError)
