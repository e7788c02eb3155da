"""Whom an answer reaches, and what it refers to: `mailproto.replies`, asked about a message of the engine."""

from __future__ import annotations

from deftmail.jmap import Address, Email
from deftmail.mailproto import replies
from deftmail.mailproto.replies import Original, Person, ReplyMode


def recipients(email: Email, own: set[str], mode: ReplyMode) -> tuple[tuple[Address, ...], tuple[Address, ...]]:
    """To and Cc of an answer; `own` are one's own addresses."""
    answer = replies.reply_recipients(_original(email), own, mode=mode)
    return _addresses(answer.to), _addresses(answer.cc)


def list_address(email: Email) -> str:
    """Where the mailing list of a message takes letters, or ""."""
    return replies.list_address(_original(email).list_post)


def threading(email: Email) -> replies.Threading:
    """In-Reply-To and References of an answer."""
    return replies.references(_original(email))


def _original(email: Email) -> Original:
    return Original(
        from_=_people(email.from_ or email.sender),
        reply_to=_people(email.reply_to),
        to=_people(email.to),
        cc=_people(email.cc),
        list_post=", ".join(f"<{url}>" for url in email.list_post),
        message_id=email.message_id,
        in_reply_to=email.in_reply_to,
        references=email.references,
    )


def _people(addresses: tuple[Address, ...]) -> tuple[Person, ...]:
    return tuple(Person(address.name, address.email) for address in addresses)


def _addresses(people: tuple[Person, ...]) -> tuple[Address, ...]:
    return tuple(Address(person.email, person.name) for person in people)
