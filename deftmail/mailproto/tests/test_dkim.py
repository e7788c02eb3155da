"""DKIM: key records as verifiers read them, our exact key, and how a record is published."""

import base64
from datetime import date

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import given
from hypothesis import strategies as st

from deftmail.mailproto import dkim
from deftmail.mailproto.errors import DkimError

KEY = dkim.generate_key(1024)  # small only because the tests make it on every run
DER = base64.b64decode(KEY.public_b64)


def test_a_generated_key_is_a_pair() -> None:
    private = serialization.load_pem_private_key(KEY.private_pem.encode(), password=None)
    assert isinstance(private, rsa.RSAPrivateKey)
    assert dkim.public_b64_of(KEY.private_pem) == KEY.public_b64
    assert "PRIVATE" not in repr(KEY)


def test_keys_are_2048_bits_unless_asked_otherwise() -> None:
    key = dkim.generate_key()
    assert dkim.parse_key_record(dkim.key_record_value(key.public_b64)).bits == 2048
    with pytest.raises(DkimError) as caught:
        dkim.generate_key(512)
    assert caught.value.code == "weak"


def test_only_an_rsa_private_key_has_a_public_value() -> None:
    curve = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    for pem in ("", "garbage", curve.decode()):
        with pytest.raises(DkimError) as caught:
            dkim.public_b64_of(pem)
        assert caught.value.code == "bad_private_key"


def folded(value: str) -> str:
    return value[:60] + " \r\n\t" + value[60:]


@pytest.mark.parametrize(
    "text",
    [
        f"v=DKIM1; k=rsa; p={KEY.public_b64}",
        f"v=DKIM1;p={KEY.public_b64};",
        f"p={KEY.public_b64}",
        f"k=rsa; t=s; p={KEY.public_b64}; n=made by hand; s=email; h=sha1:sha256",
        f" v = DKIM1 ;\tk = rsa ; p = {folded(KEY.public_b64)} ; ",
    ],
)
def test_our_key_is_recognised_however_its_record_is_written(text: str) -> None:
    record = dkim.parse_key_record(text)
    assert dkim.same_key(record, DER)
    assert dkim.same_key(text, DER)
    assert record.allows_sha256
    assert record.allows_email
    assert record.bits == 1024
    assert dkim.parse_key_record(record.render()) == record


@pytest.mark.parametrize(
    "text",
    [
        "v=DKIM1; k=rsa; p=",
        f"v=DKIM1; k=ed25519; p={KEY.public_b64}",
        f"v=DKIM1; k=rsa; p={KEY.public_b64[:-8]}",
        f"v=DKIM1; k=rsa; n={KEY.public_b64}; p={dkim.generate_key(1024).public_b64}",
        f"v=spf1 p={KEY.public_b64}",
        f'"v=DKIM1; k=rsa; p={KEY.public_b64}"',
        "",
    ],
)
def test_another_record_is_not_our_key(text: str) -> None:
    assert not dkim.same_key(text, DER)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "no_key"),
        ("v=DKIM1; k=rsa", "no_key"),
        ("p=abc=; v=DKIM1", "version"),
        ("v=DKIM2; p=", "version"),
        ("v=dkim1; p=", "version"),
        ("v=DKIM1; k=dsa; p=", "key_type"),
        ("v=DKIM1; p=%%%", "bad_key"),
        ("v=DKIM1; p=abc", "bad_key"),
        ("v=DKIM1; p=; p=", "repeated"),
        ("v=DKIM1\\; p=", "version"),
        ("v=DKIM1; nothing", "bad_tag"),
        ("v=DKIM1;; p=", "bad_tag"),
        ("v=DKIM1; p=ü", "bad_tag"),
        ("v=DKIM1; p=\x00", "bad_tag"),
        ("p=" + "A" * 9000, "too_long"),
    ],
)
def test_what_is_not_a_key_record_is_refused_with_its_reason(text: str, code: str) -> None:
    with pytest.raises(DkimError) as caught:
        dkim.parse_key_record(text)
    assert caught.value.code == code


def test_flags_and_limits_of_a_key_are_understood() -> None:
    record = dkim.parse_key_record(f"v=DKIM1; h=sha1; s=tlsrpt; t=y : s; p={KEY.public_b64}")
    assert (record.testing, record.strict, record.allows_sha256, record.allows_email) == (True, True, False, False)
    revoked = dkim.parse_key_record("v=DKIM1; p=")
    assert (revoked.revoked, revoked.bits) == (True, None)
    assert dkim.parse_key_record("p=AAAA").bits is None
    assert dkim.parse_key_record("k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=").bits is None


def test_names_of_key_records() -> None:
    assert dkim.record_name("default", "acme.test") == "default._domainkey.acme.test"
    assert dkim.rotation_selector(date(2026, 3, 9)) == "dm202603"
    with pytest.raises(DkimError) as caught:
        dkim.record_name("no good", "acme.test")
    assert caught.value.code == "selector"


def test_a_value_is_published_in_strings_of_255_octets() -> None:
    value = dkim.key_record_value("A" * 392)
    parts = dkim.split_txt(value)
    assert [len(part) for part in parts] == [255, len(value) - 255]
    assert dkim.zone_txt(value) == f'"{parts[0]}" "{parts[1]}"'
    assert dkim.zone_txt('a"b\\') == '"a\\"b\\\\"'
    assert dkim.split_txt("") == ("",)


@given(st.text(max_size=700))
def test_splitting_loses_nothing(text: str) -> None:
    parts = dkim.split_txt(text)
    assert "".join(parts) == text
    assert all(len(part.encode("utf-8", "surrogatepass")) <= 255 for part in parts)


@given(st.text(max_size=60) | st.text("vkptshn=;DKIM1 rsaAB+/", max_size=40))
def test_any_text_is_a_key_record_or_a_dkim_error(text: str) -> None:
    try:
        record = dkim.parse_key_record(text)
    except DkimError:
        return
    assert dkim.parse_key_record(record.render()) == record
    assert not dkim.same_key(record, DER)
