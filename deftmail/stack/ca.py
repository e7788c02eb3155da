"""A certificate authority for this machine alone, so that mail programs and tests can check our TLS.

`<var>/ca/ca.pem` is what a mail program must trust; the server's certificate names the mail host, localhost and
127.0.0.1. Production uses a public authority (ACME) instead.
"""

import datetime
import ipaddress
import threading
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deftmail.stack import files
from deftmail.stack.errors import StackError
from deftmail.stack.site import Site

CA_DAYS = 3650
SERVER_DAYS = 397  # the most that Apple's mail programs accept
RENEW_DAYS = 30
_DAY = datetime.timedelta(days=1)


_one_at_a_time = threading.Lock()


def ensure(site: Site) -> None:
    """Make the authority once, and a server certificate whenever there is none of it that will last.

    Cyrus and Postfix are prepared at the same time and both ask.
    """
    with _one_at_a_time:
        _ensure(site)


def _ensure(site: Site) -> None:
    folder = site.layout.ca
    names = ["localhost", site.mail_host]
    if not (folder / "ca.pem").exists() or not (folder / "ca.key").exists():
        key = ec.generate_private_key(ec.SECP256R1())
        _write_key(folder / "ca.key", key)
        files.write(folder / "ca.pem", _pem(_authority(key, site.layout.name)))
        (folder / "server.pem").unlink(missing_ok=True)
    if not _lasting(folder / "server.pem", names, _load(folder / "ca.pem")):
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _server(key, names, _load(folder / "ca.pem"), _load_key(folder / "ca.key"))
        # Cyrus reads the key as its own user; Postfix reads it as root before it gives root up.
        _write_key(folder / "server.key", key, owner=files.account("cyrus"))
        files.write(folder / "server.pem", _pem(certificate))


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise StackError(f"{path} is not an EC key")
    return key


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey, owner: tuple[int, int] | None = None) -> None:
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    files.write(path, pem.decode(), 0o400, owner)


def _lasting(path: Path, names: list[str], authority: x509.Certificate) -> bool:
    if not path.exists() or not path.with_suffix(".key").exists():
        return False
    certificate = _load(path)
    try:
        certificate.verify_directly_issued_by(authority)
    except (ValueError, TypeError, InvalidSignature):
        return False
    alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    left = certificate.not_valid_after_utc - datetime.datetime.now(datetime.UTC)
    return left > RENEW_DAYS * _DAY and set(names) <= set(alternative.get_values_for_type(x509.DNSName))


def _builder(subject: str, days: int) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _DAY)
        .not_valid_after(now + days * _DAY)
    )


def _authority(key: ec.EllipticCurvePrivateKey, stack: str) -> x509.Certificate:
    name = f"DeftMail local authority ({stack})"
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        _builder(name, CA_DAYS)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )


def _server(
    key: ec.EllipticCurvePrivateKey, names: list[str], issuer: x509.Certificate, issuer_key: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    alternative: list[x509.GeneralName] = [x509.DNSName(name) for name in names]
    alternative.append(x509.IPAddress(ipaddress.IPv4Address("127.0.0.1")))
    issued_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    return (
        _builder(names[-1], SERVER_DAYS)
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(alternative), critical=False)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(issued_by, critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )
