"""DKIM key records (RFC 6376 §3.6.1, RFC 8301, RFC 8463) and the keys behind them."""

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import date

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from deftmail.mailproto.errors import DkimError
from deftmail.mailproto.sentences import gettext_noop as _
from deftmail.mailproto.taglist import TagListError, Tags, parse_tags, render_tags

MIN_BITS = 1024  # RFC 8301 §3.2: verifiers must not accept less
STRING_OCTETS = 255  # RFC 1035 §3.3.14: one character-string of a TXT record

_SELECTOR = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*\Z")


@dataclass(frozen=True, slots=True)
class DkimKey:
    """A fresh signing key: PKCS#8 PEM, and what goes into ``p=`` (base64 of the DER SubjectPublicKeyInfo)."""

    private_pem: str
    public_b64: str

    def __repr__(self) -> str:
        return f"DkimKey(public_b64={self.public_b64[:16]!r}…)"  # a key must not reach a log by accident


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key record as understood. ``public_key`` is empty when the key is revoked (``p=``)."""

    tags: Tags
    public_key: bytes
    key_type: str = "rsa"

    def render(self) -> str:
        """Write the record on one line; ``parse_key_record(record.render()) == record``."""
        return render_tags(self.tags)

    def _list(self, name: str) -> tuple[str, ...]:
        value = dict(self.tags).get(name, "")
        return tuple(item.strip() for item in value.split(":") if item.strip())

    @property
    def revoked(self) -> bool:
        """The owner withdrew this key: ``p=`` is empty."""
        return not self.public_key

    @property
    def testing(self) -> bool:
        """Flag ``t=y``: receivers treat the mail as unsigned when verification fails."""
        return "y" in self._list("t")

    @property
    def strict(self) -> bool:
        """Flag ``t=s``: the signer's ``i=`` must name the domain itself, no subdomain."""
        return "s" in self._list("t")

    @property
    def allows_sha256(self) -> bool:
        """Whether ``h=`` admits SHA-256, the only hash in use (RFC 8301 §3.1)."""
        hashes = self._list("h")
        return not hashes or "sha256" in hashes

    @property
    def allows_email(self) -> bool:
        """Whether ``s=`` admits mail."""
        services = self._list("s")
        return not services or "*" in services or "email" in services

    @property
    def bits(self) -> int | None:
        """The size of an RSA key, or ``None`` for another type or bytes that are no key."""
        if self.key_type != "rsa" or self.revoked:
            return None
        try:
            key = serialization.load_der_public_key(self.public_key)
        except (ValueError, UnsupportedAlgorithm):
            return None
        return key.key_size if isinstance(key, rsa.RSAPublicKey) else None


def parse_key_record(text: str) -> KeyRecord:
    """Read the TXT at ``<selector>._domainkey``.

    White space inside ``p=`` is taken out, as verifiers do. Raises :class:`DkimError`: ``too_long``, ``bad_tag``,
    ``repeated``, ``version`` (``v=`` not first or not DKIM1), ``key_type`` (neither rsa nor ed25519), ``no_key`` (no
    ``p=``) or ``bad_key`` (``p=`` is not base64).
    """
    try:
        tags = dict(parse_tags(text))
    except TagListError as error:
        raise DkimError(error.code, _("This is not a DKIM record."), tag=error.tag) from None
    if "v" in tags and (next(iter(tags)) != "v" or tags["v"] != "DKIM1"):  # §3.6.1: first if present, and exactly this
        raise DkimError("version", _("A DKIM record starts with v=DKIM1."))
    key_type = tags.get("k", "rsa")
    if key_type not in ("rsa", "ed25519"):
        raise DkimError("key_type", _("The key type %(key_type)s is not known."), key_type=key_type[:20])
    if "p" not in tags:
        raise DkimError("no_key", _("This DKIM record has no p= with the public key."))
    tags["p"] = re.sub(r"\s+", "", tags["p"])
    try:
        public_key = base64.b64decode(tags["p"], validate=True)
    except (binascii.Error, ValueError):
        raise DkimError("bad_key", _("The p= of this DKIM record is not a public key.")) from None
    return KeyRecord(tuple(tags.items()), public_key, key_type)


def same_key(record: KeyRecord | str, public_key_der: bytes) -> bool:
    """Say whether a record publishes exactly this RSA key (bytes of the DER SubjectPublicKeyInfo); never raises."""
    if isinstance(record, str):
        try:
            record = parse_key_record(record)
        except DkimError:
            return False
    return record.key_type == "rsa" and not record.revoked and record.public_key == public_key_der


def generate_key(bits: int = 2048) -> DkimKey:
    """Make an RSA key (RFC 8301 §3.2: signers should use 2048 bits, must use 1024 at least)."""
    if bits < MIN_BITS:
        raise DkimError("weak", _("A DKIM key has at least %(least)s bits."), bits=str(bits), least=str(MIN_BITS))
    key = rsa.generate_private_key(public_exponent=65537, key_size=bits)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    return DkimKey(pem, _public_b64(key.public_key()))


def public_b64_of(private_pem: str) -> str:
    """Return the ``p=`` value that belongs to a private key. Raises :class:`DkimError` ``bad_private_key``."""
    try:
        key = serialization.load_pem_private_key(private_pem.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise DkimError("bad_private_key", _("This is not an RSA private key."))
    return _public_b64(key.public_key())


def key_record_value(public_b64: str) -> str:
    """Return the TXT value to publish, unquoted and unsplit."""
    return f"v=DKIM1; k=rsa; p={public_b64}"


def record_name(selector: str, domain: str) -> str:
    """Return the name of the key record (RFC 6376 §3.6.2.1). Raises :class:`DkimError` ``selector``."""
    if not _SELECTOR.match(selector):
        raise DkimError("selector", _("This is not a DKIM selector."), selector=selector[:80])
    return f"{selector}._domainkey.{domain}"


def rotation_selector(day: date) -> str:
    """Return the selector of a key made on ``day``, where ``default`` is taken or a key is rotated."""
    return f"dm{day:%Y%m}"


def split_txt(value: str) -> tuple[str, ...]:
    """Cut a TXT value into character-strings of at most 255 octets, never inside a character."""
    parts: list[str] = []
    current, size = "", 0
    for char in value:
        octets = len(char.encode("utf-8", "surrogatepass"))
        if size + octets > STRING_OCTETS:
            parts.append(current)
            current, size = "", 0
        current += char
        size += octets
    return (*parts, current)


def zone_txt(value: str) -> str:
    """Write a TXT value for a zone file (RFC 1035 §5.1): quoted, split, quotes and backslashes escaped."""
    return " ".join('"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in split_txt(value))


def _public_b64(key: rsa.RSAPublicKey) -> str:
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()
