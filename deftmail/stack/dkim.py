"""The DKIM key of the operator's own domain, which signs the product's mail (RFC 6376, RSA-2048 as RFC 8301 asks)."""

import base64

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from deftmail.stack import files
from deftmail.stack.errors import StackError
from deftmail.stack.site import Site

SELECTOR = "default"


def private_pem(site: Site) -> str:
    """The key as PKCS#8 PEM, made at the first call."""
    path = site.layout.var / "dkim.pem"
    if not path.exists():
        made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = made.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        files.write(path, pem.decode(), 0o600)
    return path.read_text()


def record(site: Site) -> str:
    """The TXT record's value as quoted strings of at most 255 bytes (RFC 6376 §3.6.2.2)."""
    key = serialization.load_pem_private_key(private_pem(site).encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise StackError(f"{site.layout.var / 'dkim.pem'} is not an RSA key")
    public = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    value = f"v=DKIM1; k=rsa; p={base64.b64encode(public).decode()}"
    return " ".join(f'"{value[start : start + 250]}"' for start in range(0, len(value), 250))
