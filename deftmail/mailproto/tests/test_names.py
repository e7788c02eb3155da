"""Domain names: what is read, what is refused with which code, and that nothing else is ever raised."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deftmail.mailproto.errors import DomainError
from deftmail.mailproto.names import (
    is_subdomain,
    organizational_domain,
    parse_domain,
    parse_hosted_domain,
)


@pytest.mark.parametrize(
    ("text", "ascii_name", "unicode_name"),
    [
        ("acme.test", "acme.test", "acme.test"),
        ("  ACME.Test. ", "acme.test", "acme.test"),
        ("mail.acme.example", "mail.acme.example", "mail.acme.example"),
        ("bücher.example", "xn--bcher-kva.example", "bücher.example"),
        ("BÜCHER.example", "xn--bcher-kva.example", "bücher.example"),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", "bücher.example"),
        ("XN--BCHER-KVA.example", "xn--bcher-kva.example", "bücher.example"),
        (
            "faß.de",
            "xn--fa-hia.de",
            "faß.de",
        ),  # IDNA 2008 keeps the sharp s (IDNA 2003 made it ss)
        (
            "bu\u0308cher.example",
            "xn--bcher-kva.example",
            "bücher.example",
        ),  # decomposed input
        ("例え。jp", "xn--r8jz45g.jp", "例え.jp"),  # ideographic full stop
        ("ＡＣＭＥ.test", "acme.test", "acme.test"),  # full-width letters
        (
            "r3---sn.acme.com",
            "r3---sn.acme.com",
            "r3---sn.acme.com",
        ),  # registered in the wild
        ("3com.com", "3com.com", "3com.com"),
        ("a" * 63 + ".test", "a" * 63 + ".test", "a" * 63 + ".test"),
    ],
)
def test_a_name_is_read_in_both_spellings(text: str, ascii_name: str, unicode_name: str) -> None:
    name = parse_domain(text)
    assert (name.ascii, name.unicode) == (ascii_name, unicode_name)
    assert str(name) == ascii_name
    assert name.warnings == ()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "empty"),
        (" . ", "empty"),
        ("acme", "single_label"),
        ("acme..test", "bad_label"),
        (".acme.test", "bad_label"),
        ("acme.test..", "bad_label"),
        ("-acme.test", "bad_label"),
        ("acme-.test", "bad_label"),
        ("ac_me.test", "bad_label"),
        ("ac me.test", "bad_label"),
        ("ac\x00me.test", "bad_label"),
        ("info@acme.test", "bad_label"),
        ("https://acme.test/", "bad_label"),
        ("*.acme.test", "bad_label"),
        ("xn--a.test", "bad_label"),  # not a punycode of anything
        ("xn--.test", "bad_label"),
        ("☃\ufe0f\u200d.test", "bad_label"),
        ("a…b.test", "bad_label"),  # UTS 46 maps the ellipsis to three dots
        ("a" * 64 + ".test", "label_too_long"),
        (
            "ü" * 60 + ".test",
            "label_too_long",
        ),  # 60 characters, more than 63 as A-label
        (".".join(["a" * 60] * 5), "too_long"),
        ("a" * 2000, "too_long"),
        ("192.0.2.1", "ip_address"),
        ("[192.0.2.1]", "ip_address"),
        ("2001:db8::1", "ip_address"),
        ("[IPv6:2001:db8::1]", "ip_address"),
        ("１９２.0.2.1", "ip_address"),
        ("acme.123", "ip_address"),
    ],
)
def test_what_is_not_a_domain_is_refused_with_its_reason(text: str, code: str) -> None:
    with pytest.raises(DomainError) as caught:
        parse_domain(text)
    assert caught.value.code == code
    assert str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["acme.test", "acme.example", "shop.acme.co.uk", "foo.github.io", "bücher.de"],
)
def test_a_customer_may_bring_registrable_names_and_their_subdomains(text: str) -> None:
    assert parse_hosted_domain(text).unicode == text


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("co.uk", "public_suffix"),
        ("github.io", "public_suffix"),
        ("公司.cn", "public_suffix"),
        ("acme.localhost", "special_use"),
        ("printer.local", "special_use"),
        ("abc.onion", "special_use"),
        ("1.168.192.in-addr.arpa", "special_use"),
        ("acme.invalid", "special_use"),
        ("test", "single_label"),
    ],
)
def test_names_nobody_can_own_are_not_hosted(text: str, code: str) -> None:
    with pytest.raises(DomainError) as caught:
        parse_hosted_domain(text)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("text", "mixed"),
    [
        ("аpple.com", True),  # Cyrillic a
        ("αbc.com", True),
        ("пример.com", False),
        ("bücher.com", False),
        ("日本ひらがなカタカナabc.jp", False),
        ("한국漢字.kr", False),
        ("日本語-пример.jp", True),
        ("abc123.com", False),
    ],
)
def test_mixed_scripts_in_one_label_warn(text: str, mixed: bool) -> None:
    assert ("mixed_script" in parse_domain(text).warnings) is mixed


def test_subdomains_and_organizational_domains() -> None:
    assert is_subdomain("mail.Acme.test.", "acme.test")
    assert is_subdomain("acme.test", "acme.test")
    assert not is_subdomain("notacme.test", "acme.test")
    assert organizational_domain(parse_domain("a.b.acme.co.uk")) == "acme.co.uk"
    assert organizational_domain(parse_domain("co.uk")) == "co.uk"


@given(st.text(max_size=80) | st.text("abcü.-xn日а\u200d0", max_size=30))
def test_any_text_is_a_domain_or_a_domain_error(text: str) -> None:
    try:
        name = parse_domain(text)
    except DomainError:
        return
    assert name.ascii.isascii()
    assert len(name.ascii) <= 253
    assert parse_domain(name.ascii).ascii == name.ascii
    assert parse_domain(name.unicode).ascii == name.ascii
