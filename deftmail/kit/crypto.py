"""Encryption at rest bound to a row: `v1|key id|nonce|ciphertext` by AES-256-GCM.

The additional data names table, company and row, so that a ciphertext copied to another row does not open.
"""

from __future__ import annotations

import base64
import os
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from deftmail.kit.conf import conf

_NONCE_BYTES = 12  # NIST SP 800-38D §8.2.1


class SealBroken(Exception):
    """Wrong row, wrong key or damaged ciphertext: never show, page an operator."""


def _keys() -> dict[str, bytes]:
    keys: dict[str, bytes] = {}
    for item in conf.encryption_keys.get_secret_value().split(","):
        key_id, _, encoded = item.strip().partition(":")
        raw = base64.b64decode(encoded, validate=True)
        if len(raw) != 32 or not key_id:
            raise ValueError("DEFTMAIL_ENCRYPTION_KEYS: each entry is id:base64 of 32 bytes")
        keys[key_id] = raw
    return keys


def _aad(table: str, tenant_id: UUID | str, row_id: UUID | str) -> bytes:
    return f"{table}|{tenant_id}|{row_id}".encode()


def seal(plain: str, *, table: str, tenant_id: UUID | str, row_id: UUID | str) -> str:
    """Encrypt `plain` for one row with the first key."""
    key_id, key = next(iter(_keys().items()))
    nonce = os.urandom(_NONCE_BYTES)
    cipher = AESGCM(key).encrypt(nonce, plain.encode(), _aad(table, tenant_id, row_id))
    return "|".join(("v1", key_id, base64.b64encode(nonce).decode(), base64.b64encode(cipher).decode()))


def unseal(sealed: str, *, table: str, tenant_id: UUID | str, row_id: UUID | str) -> str:
    """Decrypt what `seal` made for the same row. Raises SealBroken."""
    try:
        version, key_id, nonce, cipher = sealed.split("|")
        if version != "v1":
            raise SealBroken(f"unknown seal version {version!r}")
        key = _keys()[key_id]
        plain = AESGCM(key).decrypt(base64.b64decode(nonce), base64.b64decode(cipher), _aad(table, tenant_id, row_id))
    except (ValueError, KeyError, InvalidTag) as error:
        raise SealBroken(f"cannot open a seal of {table}") from error
    return plain.decode()
