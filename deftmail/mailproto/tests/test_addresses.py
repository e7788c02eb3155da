"""Addresses: the outside world's, those we create, and the composer's recipient field."""

from email.headerregistry import AddressHeader
from email.policy import default as default_policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deftmail.mailproto.addresses import (
    Recipient,
    clean_header,
    format_recipient,
    parse_address,
    parse_mailbox_address,
    parse_mailbox_local,
    parse_recipients,
)
from deftmail.mailproto.errors import AddressError, HeaderError


@pytest.mark.parametrize(
    ("text", "ascii_form"),
    [
        ("a@acme.test", "a@acme.test"),
        (" Kumar@KUMAR.com ", "Kumar@kumar.com"),
        ("care+orders@kumar.com", "care+orders@kumar.com"),
        ("o'brien=x{y}@acme.test", "o'brien=x{y}@acme.test"),
        ("info@bücher.example", "info@xn--bcher-kva.example"),
        ("a" * 64 + "@acme.test", "a" * 64 + "@acme.test"),
    ],
)
def test_an_address_is_read(text: str, ascii_form: str) -> None:
    assert parse_address(text).ascii == ascii_form
    assert str(parse_address(text)) == ascii_form


def test_an_address_is_shown_with_its_unicode_domain() -> None:
    assert parse_address("info@xn--bcher-kva.example").unicode == "info@bücher.example"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty"),
        ("acme.test", "no_at"),
        ("@acme.test", "local_empty"),
        ("a@", "empty"),
        ("a@b", "single_label"),
        ("a@[192.0.2.1]", "ip_address"),
        (".a@acme.test", "local_dots"),
        ("a.@acme.test", "local_dots"),
        ("a..b@acme.test", "local_dots"),
        ("a b@acme.test", "local_bad_chars"),
        ('"a b"@acme.test', "local_bad_chars"),
        ("a@b@acme.test", "local_bad_chars"),
        ("jürgen@acme.test", "local_not_ascii"),
        ("a" * 65 + "@acme.test", "local_too_long"),
        ("aaaaa@" + ".".join(["b" * 62] * 4), "address_too_long"),
        ("a" * 2000, "address_too_long"),
        ("a@acme.test\r\nBcc: x@y.test", "line_break"),
        ("a\x00@acme.test", "local_bad_chars"),
    ],
)
def test_what_is_not_an_address_is_refused_with_its_reason(text: str, code: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse_address(text)
    assert caught.value.code == code
    assert str(caught.value)


def test_mailboxes_we_create_are_lower_case() -> None:
    assert parse_mailbox_local(" Care.Team_1 ") == "care.team_1"
    assert parse_mailbox_address("Info@ACME.test").ascii == "info@acme.test"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a+b", "local_plus"),
        ("", "local_empty"),
        ("o'brien", "local_bad_chars"),
        ("a/b", "local_bad_chars"),
        ("a..b", "local_dots"),
        (".a", "local_dots"),
        ("ä", "local_not_ascii"),
        ("a" * 65, "local_too_long"),
    ],
)
def test_mailbox_names_are_stricter_than_the_standard(text: str, code: str) -> None:
    with pytest.raises(AddressError) as caught:
        parse_mailbox_local(text)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("", []),
        (" , ;", []),
        ("a@x.test", [("", "a@x.test")]),
        ("Name <a@b.test>, c@d.test", [("Name", "a@b.test"), ("", "c@d.test")]),
        (
            '"Doe, John" <j@x.test>; k@x.test,',
            [("Doe, John", "j@x.test"), ("", "k@x.test")],
        ),
        ('"A \\"Q\\" B" <q@x.test>', [('A "Q" B', "q@x.test")]),
        ("<a@x.test>", [("", "a@x.test")]),
        (
            "Jürgen Müller <j@bücher.example>",
            [("Jürgen Müller", "j@xn--bcher-kva.example")],
        ),
        ("a@x.test, A@X.test, B <a@x.test>", [("", "a@x.test")]),
        ('"Sales: EU" <s@x.test>', [("Sales: EU", "s@x.test")]),
        ("Evil\u202egnp <e@x.test>", [("Evilgnp", "e@x.test")]),
        ("O'Neil (Office) <o@x.test>", [("O'Neil (Office)", "o@x.test")]),
    ],
)
def test_a_recipient_field_is_read(field: str, expected: list[tuple[str, str]]) -> None:
    assert [(r.name, r.address.ascii) for r in parse_recipients(field)] == expected


@pytest.mark.parametrize(
    ("field", "code", "item"),
    [
        ("friends: a@x.test, b@x.test;", "group", "friends: a@x.test"),
        ("friends: A <a@x.test>;", "group", "friends: A <a@x.test>"),
        ("a@x.test\r\nBcc: b@x.test", "line_break", None),
        ('"open <a@x.test>', "unbalanced", '"open <a@x.test>'),
        ("A <a@x.test", "unbalanced", None),
        ("A a@x.test>", "unbalanced", None),
        ("A <<a@x.test>>", "unbalanced", None),
        ("A <a@x.test> b", "unbalanced", "A <a@x.test> b"),
        ("a@x.test, nobody", "no_at", "nobody"),
        ("a@x.test, b@co", "single_label", "b@co"),
        ("Bad\x07Name <a@x.test>", "name", None),
        ("x" * 100_001, "too_long", None),
    ],
)
def test_a_bad_recipient_field_names_the_piece_at_fault(field: str, code: str, item: str | None) -> None:
    with pytest.raises(AddressError) as caught:
        parse_recipients(field)
    assert caught.value.code == code
    if item is not None:
        assert caught.value.params["item"] == item


def test_the_number_of_recipients_is_limited() -> None:
    field = ", ".join(f"a{n}@x.test" for n in range(4))
    assert len(parse_recipients(field, limit=4)) == 4
    with pytest.raises(AddressError) as caught:
        parse_recipients(field, limit=3)
    assert caught.value.code == "too_many"


@pytest.mark.parametrize("name", ["Ann", "Doe, John", 'A "Q" \\ B', "Jürgen Müller", "日本 太郎" * 20, ""])
def test_a_formatted_recipient_reads_back_by_the_standard_library(name: str) -> None:
    header = format_recipient(name, parse_address("a@x.test"))
    assert "\n" not in header
    parsed = default_policy.header_factory("To", header)
    assert isinstance(parsed, AddressHeader)
    assert (parsed.addresses[0].display_name, parsed.addresses[0].addr_spec) == (
        name,
        "a@x.test",
    )


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("a\nb", "line_break"),
        ("a\rb", "line_break"),
        ("a\x00b", "control"),
        ("a\x85b", "control"),
        ("a\u2028b", "control"),
        ("\ud800", "control"),
        ("x" * 999, "too_long"),
    ],
)
def test_header_values_cannot_carry_line_breaks_or_controls(text: str, code: str) -> None:
    with pytest.raises(HeaderError) as caught:
        clean_header(text)
    assert caught.value.code == code
    with pytest.raises(HeaderError):
        format_recipient(text, parse_address("a@x.test"))


def test_a_tab_may_stand_in_a_header() -> None:
    assert clean_header(" a\tb ") == "a\tb"


@given(st.text(max_size=60) | st.text('a@b.test<>",;:\\ \t', max_size=60))
def test_any_text_is_a_recipient_list_or_an_address_error(text: str) -> None:
    try:
        recipients = parse_recipients(text)
    except AddressError:
        return
    again = parse_recipients(", ".join(r.display for r in recipients))
    assert again == recipients


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_an_address_error(text: str) -> None:
    for parse in (parse_address, parse_mailbox_address):
        try:
            address = parse(text)
        except AddressError:
            continue
        assert parse(address.ascii) == address


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=150))
def test_the_shown_form_of_a_recipient_reads_back(name: str) -> None:
    address = parse_address("a@x.test")
    shown = Recipient(name, address).display
    try:
        (read,) = parse_recipients(shown)
    except AddressError:
        return
    assert read.address == address
    assert parse_recipients(read.display) == (read,)
