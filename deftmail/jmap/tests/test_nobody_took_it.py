"""A submission that is made although every recipient was refused (Stalwart), and of which no bounce comes."""

from __future__ import annotations

from typing import Any

import pytest

from deftmail.jmap import Address, OutgoingMessage, SendRefused
from deftmail.jmap.testing import FakeJmap


def _all_refused(fake: FakeJmap, reply: str) -> None:
    """As Stalwart answers when no recipient was taken: a submission is made, final at once."""

    def made(arguments: dict[str, Any], created: dict[str, str]) -> list[tuple[str, dict[str, Any]]]:
        email_id = created["d"]
        fake._patch(email_id, arguments["onSuccessUpdateEmail"]["#s"])
        answer = {"created": {"s": {"id": "S1", "undoStatus": "final"}}}
        return [("EmailSubmission/set", answer), ("Email/set", {"updated": {email_id: None}})]

    def read(arguments: dict[str, Any], _: dict[str, str]) -> list[tuple[str, dict[str, Any]]]:
        status = {"nobody@acme.test": {"delivered": "no", "smtpReply": reply, "displayed": "unknown"}}
        return [("EmailSubmission/get", {"list": [{"id": "S1", "deliveryStatus": status}], "notFound": []})]

    fake._emailsubmission_set = made  # type: ignore[method-assign,assignment]
    fake._emailsubmission_get = read  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("reply", "kind", "temporary", "sentence"),
    [
        ("550 5.1.2 Mailbox does not exist.", "recipients", False, "Mailbox does not exist."),
        ("452 4.4.5 Rate limit exceeded, try again later.", "refused", True, "Rate limit exceeded, try again later."),
        ("what is this", "engine", True, ""),
    ],
)
def test_mail_that_nobody_took_goes_back_to_drafts(reply: str, kind: str, temporary: bool, sentence: str) -> None:
    fake = FakeJmap("stalwart")
    for role in ("drafts", "sent"):
        fake.add_mailbox(role.title(), role)
    _all_refused(fake, reply)
    letter = OutgoingMessage(
        sender=Address("alice@acme.test"),
        to=(Address("nobody@acme.test"),),
        subject="hello",
        text="hi",
        message_id="1.abc@acme.test",
    )
    with pytest.raises(SendRefused) as caught:
        fake.account().send(letter)
    assert (caught.value.kind, caught.value.temporary, caught.value.sentence) == (kind, temporary, sentence)
    [email] = fake.emails.values()
    assert email["id"] == caught.value.draft_id
    assert set(email["mailboxIds"]) == {fake.role("drafts")}
    assert email["keywords"].get("$draft") is True
