"""Specs refuse what no engine may be told."""

from __future__ import annotations

import base64
from uuid import uuid4

import pytest
from pydantic import SecretStr

from deftmail.engine.errors import EngineRefused
from deftmail.engine.names import public_key_fingerprint
from deftmail.engine.port import DkimKeySpec, DomainSpec, MailboxSpec
from deftmail.engine.specimens import CHEAP_HASH, dkim_key, mailbox_spec, private_key
from deftmail.mailproto.dkim import generate_key


def test_repr_shows_neither_hash_nor_key() -> None:
    assert CHEAP_HASH not in repr(mailbox_spec("a@acme.test"))
    spec = DomainSpec(uuid4(), "acme.test", dkim=dkim_key())
    assert private_key().splitlines()[1] not in repr(spec)


@pytest.mark.parametrize(
    "hashed", ["secret", "", "$2b$10$abc", "bcrypt$" + CHEAP_HASH, CHEAP_HASH + "\n", "{PLAIN}x", "$1$abc$def"]
)
def test_a_string_that_is_no_bcrypt_hash_is_refused_unrepeated(hashed: str) -> None:
    # Some engines take a string they do not recognise as the password itself.
    with pytest.raises(EngineRefused) as raised:
        MailboxSpec(uuid4(), "a@acme.test", SecretStr(hashed))
    assert not hashed or hashed not in str(raised.value)


@pytest.mark.parametrize(
    "name", ["ACME.test", "acme", "acme.test.", "bücher.test", "a b.test", "*.test", "", "1.2.3.4"]
)
def test_a_domain_is_named_in_one_spelling_only(name: str) -> None:
    with pytest.raises(EngineRefused):
        DomainSpec(uuid4(), name)


def test_an_idn_domain_goes_by_its_a_label() -> None:
    assert DomainSpec(uuid4(), "xn--bcher-kva.test").name == "xn--bcher-kva.test"


@pytest.mark.parametrize("selector", ["", "a..b", "a b", "x:y", "*", "a" * 64, "UPPER"])
def test_a_selector_is_a_dns_label(selector: str) -> None:
    with pytest.raises(EngineRefused):
        DkimKeySpec(selector, SecretStr(private_key()))


def test_what_is_no_key_is_refused() -> None:
    with pytest.raises(EngineRefused):
        DkimKeySpec("default", SecretStr("-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----"))


def test_both_halves_of_a_key_have_one_fingerprint() -> None:
    made = generate_key()
    spec = DkimKeySpec("default", SecretStr(made.private_pem))
    assert spec.fingerprint == public_key_fingerprint(base64.b64decode(made.public_b64))
    assert spec.fingerprint != dkim_key().fingerprint


def test_a_negative_quota_is_a_mistake_of_ours() -> None:
    with pytest.raises(ValueError, match="quota_mb"):
        mailbox_spec("a@acme.test", quota_mb=-1)
