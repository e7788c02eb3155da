"""Example specs, for the conformance suite and for tests. Imports nothing of tests, so that a command can use it."""

from __future__ import annotations

import functools
from uuid import UUID, uuid4

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr

from deftmail.engine.port import DkimKeySpec, DomainSpec, MailboxSpec, MailboxState

CHEAP_HASH = "$2b$10$wu9/slRqqh2xvNRG.pzZbe7sDCUxeJTMdn2v279X4jy5C2IJQ.G1G"
"""A whole bcrypt hash: an engine that knows the shape must know this one. No password matches it."""


@functools.cache
def private_key(number: int = 1) -> str:
    """An RSA key as PEM, the same for the same number in one process (making one takes a while)."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def dkim_key(selector: str = "default", number: int = 1) -> DkimKeySpec:
    return DkimKeySpec(selector, SecretStr(private_key(number)))


def domain_spec(name: str, *, id: UUID | None = None, dkim: DkimKeySpec | None = None, **more: object) -> DomainSpec:
    return DomainSpec(id=id or uuid4(), name=name, dkim=dkim or dkim_key(), **more)  # type: ignore[arg-type]


def mailbox_spec(
    address: str,
    *,
    id: UUID | None = None,
    quota_mb: int | None = 100,
    display_name: str = "",
    state: MailboxState = MailboxState.ACTIVE,
) -> MailboxSpec:
    return MailboxSpec(
        id=id or uuid4(),
        address=address,
        password_hash=SecretStr(CHEAP_HASH),
        display_name=display_name,
        quota_mb=quota_mb,
        state=state,
    )
