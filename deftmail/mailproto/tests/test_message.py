"""Messages built here read back whole, and nothing can be injected into their headers."""

import email
import re
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deftmail.mailproto.addresses import Recipient, parse_address
from deftmail.mailproto.errors import HeaderError
from deftmail.mailproto.message import Attachment, build_message, new_message_id

ANN = Recipient("Ann Müller", parse_address("ann@acme.test"))
BOB = Recipient("Bob, the Builder", parse_address("bob@bücher.example"))


def build(**changes: Any) -> EmailMessage:
    return build_message(**{"sender": ANN, "to": [BOB], "subject": "Grüße", "text": "Hallo\nWelt", **changes})


def read(message: EmailMessage) -> EmailMessage:
    parsed = email.message_from_bytes(bytes(message), policy=policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def test_a_message_reads_back() -> None:
    message = read(
        build(
            cc=[Recipient("", parse_address("cat@acme.test"))],
            html="<p>Hallo</p>",
            in_reply_to=["a@x.test"],
            references=["<r@x.test>", "a@x.test"],
            date=datetime(2026, 11, 24, 12, 0, tzinfo=UTC),
            headers=[("Auto-Submitted", "auto-generated")],
        )
    )
    assert message["From"].addresses[0].display_name == "Ann Müller"
    assert message["To"].addresses[0].addr_spec == "bob@xn--bcher-kva.example"
    assert message["To"].addresses[0].display_name == "Bob, the Builder"
    assert str(message["Cc"]) == "cat@acme.test"
    assert message["Subject"] == "Grüße"
    assert message["Date"] == "Tue, 24 Nov 2026 12:00:00 +0000"
    assert message["In-Reply-To"] == "<a@x.test>"
    assert message["References"] == "<r@x.test> <a@x.test>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert re.fullmatch(r"<[0-9a-f.]+@acme\.test>", message["Message-ID"])
    assert message["Bcc"] is None
    plain, html = message.get_body(("plain",)), message.get_body(("html",))
    assert plain is not None
    assert html is not None
    assert plain.get_content().splitlines() == ["Hallo", "Welt"]
    assert html.get_content().strip() == "<p>Hallo</p>"


def test_lines_end_in_crlf_and_are_short() -> None:
    raw = bytes(build(subject="ü" * 300, text="x" * 5_000 + "\nü", references=[f"{n}@example.test" for n in range(60)]))
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert max(map(len, raw.split(b"\r\n"))) <= 998


def test_attachments_and_inline_pictures_are_carried() -> None:
    message = read(
        build(
            html='<img src="cid:logo@acme.test">',
            attachments=[
                Attachment("logo.png", "image/png", b"\x89PNG", cid="logo@acme.test"),
                Attachment("Übersicht.pdf", "application/pdf; x=y", b"%PDF"),
                Attachment("../evil.eml", "message/rfc822", b"Subject: x\r\n\r\ny"),
                Attachment("odd", "not a type", b"\x00\xff"),
            ],
        )
    )
    parts = [
        (p.get_content_type(), p.get_filename(), p.get_payload(decode=True)) for p in message.walk() if p.get_filename()
    ]
    assert parts == [
        ("image/png", "logo.png", b"\x89PNG"),
        ("application/pdf", "Übersicht.pdf", b"%PDF"),
        ("application/octet-stream", "evil.eml", b"Subject: x\r\n\r\ny"),
        ("application/octet-stream", "odd", b"\x00\xff"),
    ]
    (picture,) = (part for part in message.walk() if part.get_content_type() == "image/png")
    assert picture["Content-ID"] == "<logo@acme.test>"
    assert picture.get_content_disposition() == "inline"
    lone = read(build(attachments=[Attachment("logo.png", "image/png", b"x", cid="a@b")]))
    assert [part.get_filename() for part in lone.iter_attachments()] == ["logo.png"]


@pytest.mark.parametrize(
    "changes",
    [
        {"subject": "x\r\nBcc: y@z.test"},
        {"subject": "x\ny"},
        {"subject": "x\x00"},
        {"sender": Recipient("A\r\nBcc: y@z.test", parse_address("a@x.test"))},
        {"to": [Recipient("A\nB", parse_address("a@x.test"))]},
        {"in_reply_to": ["a@x>\r\nBcc: y"]},
        {"references": ["a@x> <b@y"]},
        {"message_id": "no identifier"},
        {"headers": [("X-A\r\nBcc", "x")]},
        {"headers": [("X-A", "x\r\nBcc: y")]},
        {"headers": [("", "x")]},
        {"html": "x", "attachments": [Attachment("a", "image/png", b"", cid="a\r\nb")]},
    ],
)
def test_nothing_is_injected_into_a_header(changes: dict[str, Any]) -> None:
    with pytest.raises(HeaderError):
        build(**changes)


def test_identifiers_are_fresh_and_of_the_senders_domain() -> None:
    identifiers = {new_message_id("acme.test") for _ in range(50)}
    assert len(identifiers) == 50
    assert all(identifier.endswith("@acme.test>") for identifier in identifiers)


@given(st.text(max_size=80), st.text(max_size=200), st.text(max_size=30))
def test_any_words_make_a_message_or_a_header_error(subject: str, text: str, name: str) -> None:
    try:
        message = build(subject=subject, text=text, sender=Recipient(name, parse_address("a@x.test")))
    except HeaderError:
        return
    names = [key.lower() for key, _ in email.message_from_bytes(bytes(message)).items()]
    assert len(names) == len(set(names))
    assert "bcc" not in names
