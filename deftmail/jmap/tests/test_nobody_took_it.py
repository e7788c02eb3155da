"""A submission that is made although every recipient was refused, or some were (Stalwart); no bounce tells of them."""

from __future__ import annotations

from typing import Any

import pytest

from deftmail.jmap import Address, OutgoingMessage, SendRefused
from deftmail.jmap.testing import FakeJmap


def _stalwart(replies: dict[str, str], *, knows_reference: bool = True) -> FakeJmap:
    """Stalwart's answers when some recipients were refused with these replies; when all were, the submission is made
    too, and is final at once. knows_reference: `#s` is one more name of the submission."""
    fake = FakeJmap("stalwart")
    for role in ("drafts", "sent"):
        fake.add_mailbox(role.title(), role)

    def made(arguments: dict[str, Any], created: dict[str, str]) -> list[tuple[str, dict[str, Any]]]:
        email_id = created["d"]
        fake._patch(email_id, arguments["onSuccessUpdateEmail"]["#s"])
        recipients = {to["email"] for to in arguments["create"]["s"]["envelope"]["rcptTo"]}
        answer = {"created": {"s": {"id": "S1", "undoStatus": "pending" if recipients - set(replies) else "final"}}}
        return [("EmailSubmission/set", answer), ("Email/set", {"updated": {email_id: None}})]

    def read(arguments: dict[str, Any], _: dict[str, str]) -> list[tuple[str, dict[str, Any]]]:
        if arguments["ids"] == ["#s"] and not knows_reference:
            return [("EmailSubmission/get", {"list": [], "notFound": ["#s"]})]
        status: dict[str, dict[str, str]] = {
            to: {"delivered": "no", "smtpReply": reply, "displayed": "unknown"} for to, reply in replies.items()
        }
        status["bob@acme.test"] = {"delivered": "queued", "smtpReply": "250 2.1.5 Queued", "displayed": "unknown"}
        return [("EmailSubmission/get", {"list": [{"id": "S1", "deliveryStatus": status}], "notFound": []})]

    fake._emailsubmission_set = made  # type: ignore[method-assign,assignment]
    fake._emailsubmission_get = read  # type: ignore[attr-defined]
    fake._emailsubmission_query = lambda *_: [("EmailSubmission/query", {"ids": ["S1"]})]  # type: ignore[attr-defined]
    return fake


def _letter(*to: str) -> OutgoingMessage:
    return OutgoingMessage(
        sender=Address("alice@acme.test"),
        to=tuple(Address(one) for one in to),
        subject="hello",
        text="hi",
        message_id="1.abc@acme.test",
    )


@pytest.mark.parametrize(
    ("reply", "kind", "temporary", "sentence"),
    [
        ("550 5.1.2 Mailbox does not exist.", "recipients", False, "Mailbox does not exist."),
        ("452 4.4.5 Rate limit exceeded, try again later.", "refused", True, "Rate limit exceeded, try again later."),
        ("what is this", "engine", True, ""),
    ],
)
def test_mail_that_nobody_took_goes_back_to_drafts(reply: str, kind: str, temporary: bool, sentence: str) -> None:
    fake = _stalwart({"nobody@acme.test": reply})
    with pytest.raises(SendRefused) as caught:
        fake.account().send(_letter("nobody@acme.test"))
    assert (caught.value.kind, caught.value.temporary, caught.value.sentence) == (kind, temporary, sentence)
    [email] = fake.emails.values()
    assert email["id"] == caught.value.draft_id
    assert set(email["mailboxIds"]) == {fake.role("drafts")}
    assert email["keywords"].get("$draft") is True


@pytest.mark.parametrize("knows_reference", [True, False])
def test_whom_mail_did_not_go_to_is_told_beside_what_was_sent(knows_reference: bool) -> None:
    replies = {
        "nobody@acme.test": "550 5.1.2 Mailbox does not exist.",
        "odd@acme.test": "what is this",
        "far@away.test": "Code: 550, Enhanced code: 5.1.1, Message: No such user",
    }
    fake = _stalwart(replies, knows_reference=knows_reference)
    sent = fake.account().send(_letter("bob@acme.test", *replies))
    assert sent.refused == {"nobody@acme.test": "Mailbox does not exist.", "odd@acme.test": ""}, (
        "a bounce tells of far@"
    )
    assert set(fake.emails[sent.email_id]["mailboxIds"]) == {fake.role("sent")}
    assert len([names for names in fake.methods() if "EmailSubmission/get" in names]) == (1 if knows_reference else 2)


def test_a_lost_answer_hides_nobody_who_was_refused() -> None:
    fake = _stalwart({"nobody@acme.test": "550 5.1.2 Mailbox does not exist."})
    fake.lose_answer_to = "EmailSubmission/set"
    sent = fake.account().send(_letter("bob@acme.test", "nobody@acme.test"))
    assert sent.refused == {"nobody@acme.test": "Mailbox does not exist."}
