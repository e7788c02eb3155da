import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deftmail import settings as product
from deftmail.kit import passwords
from deftmail.kit.testing import CheapHasher


def test_the_product_hashes_with_bcrypt_at_cost_12():
    assert product.PASSWORD_HASHERS == ["deftmail.kit.passwords.Bcrypt12Hasher"]
    hashed = passwords.hash_password("plum orbit ledger quay")
    assert hashed.startswith("$2b$12$")
    stored = passwords.from_hash(hashed)
    hasher = passwords.Bcrypt12Hasher()
    assert hasher.verify("plum orbit ledger quay", stored)
    assert not hasher.verify("plum orbit ledger quai", stored)
    assert not hasher.must_update(stored)
    assert passwords.bare_hash(stored) == hashed


def test_over_72_bytes_is_said_not_cut():
    assert passwords.fits("x" * 72)
    assert not passwords.fits("x" * 73)
    assert not passwords.fits("é" * 37)
    with pytest.raises(ValueError, match="72"):
        passwords.hash_password("x" * 73)


def test_an_over_long_password_at_sign_in_is_just_wrong():
    hasher = CheapHasher()
    stored = hasher.encode("x" * 72, hasher.salt())
    assert hasher.verify("x" * 72, stored)
    assert not hasher.verify("x" * 72 + "y", stored)


@given(st.text(max_size=100), st.text(max_size=80))
@settings(max_examples=50, deadline=None)
def test_verify_never_raises(password, hashed):
    assert passwords.verify_password(password, hashed) is False
