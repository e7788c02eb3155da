"""Drafts and sending: nothing is lost, nothing leaves twice, a refusal is understood."""

from __future__ import annotations

import dataclasses
from typing import Any

import httpx2
import pytest

from deftmail.jmap import (
    Address,
    EngineUnavailable,
    InvalidMessage,
    NotFound,
    OutgoingMessage,
    OverQuota,
    SendRefused,
    SendUnknown,
    SetError,
    new_message_id,
    submission,
)
from deftmail.jmap.refusal import explain
from deftmail.jmap.testing import FakeJmap
from deftmail.jmap.tests.support import STYLES

both = pytest.mark.parametrize("style", STYLES)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submission, "LOOKS", (0.0,))


def _fake(style: str) -> FakeJmap:
    fake = FakeJmap(style)
    for role in ("drafts", "sent", "trash", "junk", "archive"):
        fake.add_mailbox(role.title(), role)
    return fake


def _message(**members: Any) -> OutgoingMessage:
    usual: dict[str, Any] = {
        "sender": Address("alice@acme.test", "Alice"),
        "to": (Address("bob@out.test", "Bob"),),
        "subject": "hello",
        "text": "hi",
        "message_id": "1.abc@acme.test",
    }
    return OutgoingMessage(**{**usual, **members})


def _in(fake: FakeJmap, role: str) -> list[dict[str, Any]]:
    return [email for email in fake.emails.values() if fake.role(role) in email["mailboxIds"]]


@both
def test_sending_files_in_sent_and_marks_the_original(style: str) -> None:
    fake = _fake(style)
    account = fake.account()
    original = fake.add_email(subject="question")
    draft = account.save_draft(_message())
    bcc = (Address("secret@out.test"), Address("BOB@out.test"))
    sent = account.send(_message(bcc=bcc), replaces=draft.id, answers=original)
    assert sent.tidy
    assert not sent.already
    assert [email["id"] for email in _in(fake, "sent")] == [sent.email_id]
    assert _in(fake, "drafts") == []
    assert fake.emails[sent.email_id]["keywords"] == {"$seen": True}
    assert fake.emails[original]["keywords"] == {"$answered": True}
    [envelope] = fake.outbox
    assert envelope["mailFrom"] == {"email": "alice@acme.test"}
    assert [rcpt["email"] for rcpt in envelope["rcptTo"]] == ["BOB@out.test", "secret@out.test"]


@both
def test_forwarding_marks_the_original_as_forwarded(style: str) -> None:
    fake = _fake(style)
    original = fake.add_email(subject="look")
    fake.account().send(_message(), forwards=original)
    assert fake.emails[original]["keywords"] == {"$forwarded": True}


@both
def test_a_second_click_sends_nothing(style: str) -> None:
    fake = _fake(style)
    first = fake.account().send(_message())
    again = fake.account().send(_message())
    assert (again.already, again.email_id) == (True, first.email_id)
    assert len(fake.outbox) == 1


@both
def test_a_lost_answer_is_looked_up_in_sent(style: str) -> None:
    fake = _fake(style)
    fake.lose_answer_to = "EmailSubmission/set"
    sent = fake.account().send(_message())
    assert len(fake.outbox) == 1
    assert sent.email_id == _in(fake, "sent")[0]["id"]


@both
def test_an_unknown_outcome_is_said_and_sending_again_leaves_no_copies(style: str) -> None:
    fake = _fake(style)
    fake.refuse_submission = {"type": "serverFail"}
    fake.lose_answer_to = "EmailSubmission/set"
    with pytest.raises(SendUnknown) as caught:
        fake.account().send(_message())
    assert caught.value.temporary
    assert len(_in(fake, "drafts")) == 1
    fake.refuse_submission = None
    fake.account().send(_message())
    assert len(fake.outbox) == 1
    assert _in(fake, "drafts") == []


@both
def test_a_refused_message_stays_in_drafts_and_the_original_unmarked(style: str) -> None:
    fake = _fake(style)
    account = fake.account()
    original = fake.add_email(subject="question")
    draft = account.save_draft(_message())
    fake.refuse_submission = {"type": "smtpProtocolError", "description": "4.7.1 You have sent 300 of 300 today."}
    with pytest.raises(SendRefused) as caught:
        account.send(_message(subject="newer"), replaces=draft.id, answers=original)
    assert caught.value.sentence == "You have sent 300 of 300 today."
    [kept] = _in(fake, "drafts")
    assert (kept["id"], kept["subject"]) == (caught.value.draft_id, "newer")
    assert kept["keywords"]["$draft"]
    assert fake.emails[original]["keywords"] == {}
    assert (_in(fake, "sent"), fake.outbox) == ([], [])


@both
def test_a_draft_that_cannot_be_stored_leaves_the_old_one(style: str) -> None:
    fake = _fake(style)
    account = fake.account()
    draft = account.save_draft(_message())
    fake.refuse_create = {"type": "overQuota"}
    for act in (account.save_draft, account.send):
        with pytest.raises(OverQuota):
            act(_message(subject="newer"), replaces=draft.id)
    assert [email["id"] for email in _in(fake, "drafts")] == [draft.id]


@both
def test_saving_replaces_and_a_lost_answer_leaves_no_copy(style: str) -> None:
    fake = _fake(style)
    account = fake.account()
    first = account.save_draft(_message())
    fake.lose_answer_to = "Email/set"
    with pytest.raises(EngineUnavailable):
        account.save_draft(_message(subject="second"), replaces=first.id)
    assert len(_in(fake, "drafts")) == 2
    third = account.save_draft(_message(subject="third"), replaces=first.id)
    assert [(email["id"], email["subject"]) for email in _in(fake, "drafts")] == [(third.id, "third")]


@both
def test_a_similar_message_id_is_not_taken_for_the_same(style: str) -> None:
    """Engines search headers by parts of words."""
    fake = _fake(style)
    account = fake.account()
    other = account.save_draft(_message(message_id="x1.abc@acme.test.example"))
    account.save_draft(_message())
    account.send(_message())
    assert [email["id"] for email in _in(fake, "drafts")] == [other.id]
    fake.account().send(_message(message_id="abc@acme.test"))
    assert len(fake.outbox) == 2


@both
def test_missing_folders_are_made_before_anything_is_sent(style: str) -> None:
    fake = FakeJmap(style)
    fake.account().send(_message())
    assert len(_in(fake, "sent")) == len(fake.outbox) == 1


@both
def test_a_sent_folder_deleted_meanwhile_is_made_again(style: str) -> None:
    fake = _fake(style)
    account = fake.account()
    account.folders()
    del fake.mailboxes[fake.role("sent")]
    sent = account.send(_message())
    assert [email["id"] for email in _in(fake, "sent")] == [sent.email_id]


@both
def test_a_drafts_folder_deleted_meanwhile_is_made_again(style: str) -> None:
    fake = _fake(style)
    account = fake.account()
    account.folders()
    del fake.mailboxes[fake.role("drafts")]
    draft = account.save_draft(_message())
    assert [email["id"] for email in _in(fake, "drafts")] == [draft.id]


@both
def test_submitting_a_held_message(style: str) -> None:
    fake = _fake(style)
    account = fake.account()
    scheduled = fake.add_mailbox("Scheduled", "scheduled")
    keywords = {"$draft": True, "$seen": True}
    held = fake.add_email(mailbox=scheduled, messageId=["h1@acme.test"], keywords=keywords, subject="later")
    sent = account.submit(held, "alice@acme.test", ["bob@out.test", "bob@out.test"])
    assert sent.message_id == "h1@acme.test"
    assert fake.emails[held]["mailboxIds"] == {fake.role("sent"): True}
    assert [rcpt["email"] for rcpt in fake.outbox[0]["rcptTo"]] == ["bob@out.test"]
    assert account.submit(held, "alice@acme.test", ["bob@out.test"]).already
    assert len(fake.outbox) == 1
    with pytest.raises(NotFound):
        account.submit("M999", "alice@acme.test", ["bob@out.test"])


def test_without_submission_the_message_is_kept_as_a_draft() -> None:
    fake = _fake("cyrus")
    original = fake._session

    def session() -> dict[str, Any]:
        found = original()
        del found["accounts"][fake.account_id]["accountCapabilities"]["urn:ietf:params:jmap:submission"]
        return found

    fake._session = session  # type: ignore[method-assign]
    account = fake.account()
    with pytest.raises(SendRefused) as caught:
        account.send(_message())
    assert (caught.value.kind, caught.value.temporary) == ("engine", True)
    assert [email["id"] for email in _in(fake, "drafts")] == [caught.value.draft_id]
    fake._session = original  # type: ignore[method-assign]
    assert account.send(_message(), replaces=caught.value.draft_id).tidy
    assert _in(fake, "drafts") == []


@both
def test_discarding_takes_only_drafts(style: str) -> None:
    fake = _fake(style)
    account = fake.account()
    received = fake.add_email(subject="keep me")
    draft = account.save_draft(_message())
    account.discard_draft(draft.id)
    with pytest.raises(NotFound):
        account.discard_draft(received)
    assert list(fake.emails) == [received]


def test_a_broken_message_is_refused_before_anything_is_asked() -> None:
    fake = _fake("cyrus")
    with pytest.raises(InvalidMessage):
        fake.account().send(_message(to=()))
    assert fake.requests == []


def test_how_many_requests_it_takes() -> None:
    fake = _fake("cyrus")
    account = fake.account()
    account.folders()
    account.identities()
    fake.requests.clear()
    draft = account.save_draft(_message())
    assert len(fake.requests) == 1
    draft = account.save_draft(_message(subject="b"), replaces=draft.id)
    assert len(fake.requests) == 3
    account.send(_message(subject="c"), replaces=draft.id)
    # Is it sent already, and is the draft one; create and submit; the old draft goes.
    assert fake.methods()[3:] == [
        ["Email/query", "Email/get", "Email/query", "Email/get", "Email/get"],
        ["Email/set", "EmailSubmission/set"],
        ["Email/set"],
    ]


# What Cyrus 3.6.1 answered for refusals by its SMTP server, and the RFC's own words.
REFUSALS: list[tuple[dict[str, Any], str, bool, str, str]] = [
    ({"type": "smtpProtocolError", "description": "4.7.1 Wait an hour"}, "refused", True, "Wait an hour", "4.7.1"),
    ({"type": "smtpProtocolError", "description": "5.7.1 Switched off"}, "refused", False, "Switched off", "5.7.1"),
    ({"type": "smtpProtocolError", "description": "550 5.7.1 Off"}, "refused", False, "Off", "5.7.1"),
    (
        {
            "type": "smtpProtocolError",
            "description": "4.7.1 <bob@out.test>: Recipient address rejected: 300 of 300 sent: wait.",
        },
        *("refused", True, "300 of 300 sent: wait.", "4.7.1"),
    ),
    (
        {"type": "smtpProtocolError", "description": "5.7.1 <END-OF-MESSAGE>: End-of-data rejected: No."},
        *("refused", False, "No.", "5.7.1"),
    ),
    ({"type": "smtpProtocolError", "description": "2.1.5 OK"}, "recipients", True, "", ""),
    ({"type": "smtpProtocolError", "description": "Internal Error"}, "engine", True, "", ""),
    ({"type": "smtpProtocolError"}, "engine", True, "", ""),
    ({"type": "tooManyRecipients", "more": {"maxRecipients": 1}}, "too_many", False, "", ""),
    ({"type": "tooLarge", "more": {"maxSize": 52428800}}, "too_large", False, "", ""),
    ({"type": "forbiddenToSend", "description": "Temporary lookup failure"}, "engine", True, "", ""),
    ({"type": "forbiddenToSend"}, "engine", False, "", ""),
    ({"type": "forbiddenFrom"}, "sender", False, "", ""),
    ({"type": "forbiddenMailFrom"}, "sender", False, "", ""),
    ({"type": "noRecipients"}, "recipients", False, "", ""),
    ({"type": "invalidEmail"}, "refused", False, "", ""),
    ({"type": "serverFail"}, "engine", True, "", ""),
    ({"type": "rateLimit"}, "engine", True, "", ""),
    ({"type": "somethingNew"}, "engine", True, "", ""),
]


@pytest.mark.parametrize(("error", "kind", "temporary", "sentence", "code"), REFUSALS)
def test_refusals(error: dict[str, Any], kind: str, temporary: bool, sentence: str, code: str) -> None:
    found = explain(SetError(**error), "M1")
    assert isinstance(found, SendRefused)
    assert (found.kind, found.temporary, found.sentence, found.enhanced_code) == (kind, temporary, sentence, code)
    assert found.draft_id == "M1"


def test_invalid_recipients_are_named() -> None:
    found = explain(SetError("invalidRecipients", more={"invalidRecipients": ["x@out.test", 1]}), None)
    assert isinstance(found, SendRefused)
    assert (found.kind, found.recipients) == ("recipients", ("x@out.test",))


@pytest.mark.parametrize("description", ["End data with <CR><LF>.<CR><LF>", "354 go ahead"])
def test_a_connection_lost_after_the_body_is_an_unknown_outcome(description: str) -> None:
    assert isinstance(explain(SetError("smtpProtocolError", description), "M1"), SendUnknown)


def test_message_ids_are_unique_and_carry_the_domain() -> None:
    ids = {new_message_id("acme.test") for _ in range(100)}
    assert len(ids) == 100
    assert all(id_.endswith("@acme.test") for id_ in ids)


def test_a_refused_connection_while_sending_is_not_an_unknown_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = _fake("cyrus")
    account = fake.account()
    account.folders()
    account.identities()
    handle = fake.handle

    def down(request: httpx2.Request) -> httpx2.Response:
        if b"EmailSubmission/set" in request.read():
            raise httpx2.ConnectError("down")
        return handle(request)

    for client, _pulse in account.client._clients.values():
        client._transport = httpx2.MockTransport(down)
    with pytest.raises(EngineUnavailable) as caught:
        account.send(dataclasses.replace(_message(), message_id="2.abc@acme.test"))
    assert not caught.value.sent


@pytest.mark.parametrize(
    ("type_", "stage", "kind", "temporary", "sentence"),
    [
        ("forbiddenToSend", "DATA: 550 5.7.1", "refused", False, "You have reached your limit"),
        ("forbiddenMailFrom", "MAIL-FROM: 452 4.5.3", "refused", True, "Daily sending limit reached"),
        ("forbiddenToSend", "DATA: 451 4.3.5", "refused", True, "Unable to accept message at this time."),
        ("forbiddenToSend", "DATA: 250 2.0.0", "recipients", True, ""),
    ],
)
def test_stalwarts_answers_are_read_with_the_hooks_sentence(
    type_: str, stage: str, kind: str, temporary: bool, sentence: str
) -> None:
    refused = explain(SetError(type_, f"Server rejected {stage} {sentence or 'Message queued'}"), "d1")
    assert isinstance(refused, SendRefused)
    assert (refused.kind, refused.temporary, refused.sentence) == (kind, temporary, sentence)
