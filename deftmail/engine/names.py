"""The shapes of what may reach an engine at all. Checked once for every driver, so hostile text never gets that far."""

from __future__ import annotations

import hashlib
import re

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_private_key,
)

from deftmail.engine.errors import EngineRefused
from deftmail.mailproto.addresses import parse_mailbox_address
from deftmail.mailproto.errors import AddressError, DomainError
from deftmail.mailproto.names import parse_domain

_SELECTOR = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*\Z")
_BCRYPT = re.compile(r"\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}\Z")


def checked_domain(name: str) -> str:
    """`name` itself when it is a domain in A-labels, lower case, no trailing dot. Raises EngineRefused."""
    try:
        if parse_domain(name).ascii == name:
            return name
    except DomainError:
        pass
    raise EngineRefused(f"not a domain name: {name[:80]!r}")


def a_labels(name: str) -> str:
    """A domain as an engine tells it, or an address, with its domain in A-labels, as we compare them: an engine may
    keep U-labels. What is no domain stays as it is."""
    local, at, domain = name.rpartition("@")
    try:
        return name if name.isascii() else local + at + parse_domain(domain).ascii
    except DomainError:
        return name


def u_labels(name: str) -> str:
    """A checked domain as people write it."""
    return parse_domain(name).unicode


def checked_address(address: str) -> str:
    """`address` itself when it is one that we give out: lower case, domain in A-labels. Raises EngineRefused."""
    try:
        if parse_mailbox_address(address).ascii == address:
            return address
    except (AddressError, DomainError):
        pass
    raise EngineRefused(f"not a mailbox address: {address[:80]!r}")


def domain_of(address: str) -> str:
    """The domain part of a checked address."""
    return address.rpartition("@")[2]


def checked_selector(selector: str) -> str:
    """`selector` itself when it may stand before `._domainkey` (RFC 6376 §3.1). Raises EngineRefused."""
    if _SELECTOR.match(selector) and len(selector) <= 63:
        return selector
    raise EngineRefused(f"not a DKIM selector: {selector[:80]!r}")


def checked_password_hash(hashed: str) -> str:
    """`hashed` itself when it is bcrypt. An engine that does not know a hash's shape takes it as the plain password,
    so nothing else is ever handed over. Raises EngineRefused (which does not repeat the value)."""
    if _BCRYPT.match(hashed):
        return hashed
    raise EngineRefused("the password hash is not bcrypt")


def private_key_fingerprint(pem: str) -> str:
    """SHA-256 (hex) of the SubjectPublicKeyInfo behind a private key. Raises EngineRefused for what is no key."""
    try:
        # Whether its numbers are primes is not asked again, forty milliseconds each time: the key is our own.
        key = load_pem_private_key(pem.encode(), password=None, unsafe_skip_rsa_key_validation=True)
        public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise EngineRefused("the DKIM private key cannot be read") from error
    return hashlib.sha256(public).hexdigest()


def public_key_fingerprint(der: bytes) -> str:
    """The same figure from the public half (what `p=` holds, decoded). Raises EngineRefused for what is no key."""
    try:
        load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise EngineRefused("the DKIM public key cannot be read") from error
    return hashlib.sha256(der).hexdigest()
