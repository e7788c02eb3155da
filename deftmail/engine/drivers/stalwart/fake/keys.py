"""DKIM keys of the fake: those it is given, and those it makes by itself in a domain of automatic keys."""

from __future__ import annotations

import base64
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from deftmail.engine.drivers.stalwart.fake.patches import SetRefused

Object = dict[str, Any]


def check_key(one: Object) -> None:
    """Raises SetRefused for a key that is none, or of another kind than said; writes down its public half."""
    try:
        key = load_pem_private_key(one["privateKey"]["secret"].encode(), password=None)
    except ValueError:
        key = None
    wants_short = "Ed25519" in one["@type"]
    if key is None or isinstance(key, Ed25519PrivateKey) != wants_short:
        raise SetRefused("invalidProperties", description="Failed to validate DKIM signature")
    public = key.public_key()
    one["publicKey"] = base64.b64encode(
        public.public_bytes(Encoding.Raw, PublicFormat.Raw)
        if wants_short
        else public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).decode()


def automatic_keys(domain_id: str) -> list[Object]:
    """The two keys of a new domain whose keys are managed by the server."""
    public = Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return [
        {
            "@type": type_,
            "domainId": domain_id,
            "selector": f"v1-{kind}-20261123",
            "privateKey": {"@type": "Text", "secret": "made here"},
            "publicKey": base64.b64encode(public).decode(),
        }
        for kind, type_ in (("rsa", "Dkim1RsaSha256"), ("ed25519", "Dkim1Ed25519Sha256"))
    ]
