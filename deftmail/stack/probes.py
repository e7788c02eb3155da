"""Does a server really answer? Each probe speaks the server's own protocol and raises NotAnsweringError."""

import socket
from collections.abc import Callable
from pathlib import Path

import dns.exception
import dns.message
import dns.query
import dns.rcode
import psycopg

from deftmail.stack.errors import NotAnsweringError

Probe = Callable[[], None]
SECONDS = 2.0  # a server that needs longer for a greeting is not ready


def _talk(address: tuple[str, int] | str, say: bytes, enough: Callable[[bytes], bool]) -> bytes:
    family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as link:
            link.settimeout(SECONDS)
            link.connect(address)
            if say:
                link.sendall(say)
            heard = b""
            while not enough(heard):
                more = link.recv(4096)
                if not more:
                    break
                heard += more
            return heard
    except OSError as error:
        raise NotAnsweringError(f"{address}: {error}") from error


def _a_line(heard: bytes) -> bool:
    return b"\n" in heard


def banner(port: int, prefix: bytes) -> Probe:
    """A server that greets: `220 ` for SMTP and LMTP, `* OK` for IMAP, `"` for ManageSieve."""

    def probe() -> None:
        heard = _talk(("127.0.0.1", port), b"", _a_line)
        if not heard.startswith(prefix):
            raise NotAnsweringError(f"port {port} says {heard[:80]!r}")

    return probe


def http(port: int, path: str) -> Probe:
    """An HTTP server that answers 200 on `path`."""

    def probe() -> None:
        request = f"GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n".encode()
        _check_status(_talk(("127.0.0.1", port), request, _a_line), b"200", f"port {port}")

    return probe


def jmap(path: Path) -> Probe:
    """Cyrus' httpd on its Unix socket: asks for a password before it shows the JMAP session (RFC 8620 §2)."""

    def probe() -> None:
        request = b"GET /jmap/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        _check_status(_talk(str(path), request, _a_line), b"401", str(path))

    return probe


def _check_status(heard: bytes, wanted: bytes, where: str) -> None:
    parts = heard.split(b" ", 2)
    if len(parts) < 2 or not parts[0].startswith(b"HTTP/") or parts[1] != wanted:
        raise NotAnsweringError(f"{where} says {heard[:80]!r}")


def redis(port: int, password: str) -> Probe:
    def probe() -> None:
        if redis_command(port, password, "PING") != b"+PONG\r\n":
            raise NotAnsweringError(f"no PONG from port {port}")

    return probe


def redis_command(port: int, password: str, *words: str) -> bytes:
    """One command and the raw answer of at most one line (RESP2). Raises NotAnsweringError."""

    def request(*parts: str) -> bytes:
        encoded = [part.encode() for part in parts]
        return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in encoded)

    say = request("AUTH", password) + request(*words)
    heard = _talk(("127.0.0.1", port), say, lambda heard: heard.count(b"\r\n") >= 2)
    signed_in, _, answer = heard.partition(b"\r\n")
    if signed_in != b"+OK" or answer.startswith(b"-"):
        raise NotAnsweringError(f"redis on port {port} says {heard[:80]!r}")
    return answer


def sql(url: str) -> Probe:
    def probe() -> None:
        try:
            with psycopg.connect(url, connect_timeout=2) as connection:
                connection.execute("SELECT 1")
        except psycopg.Error as error:
            raise NotAnsweringError(str(error).strip()) from error

    return probe


def name(port: int, zone: str) -> Probe:
    """A DNS server that answers with authority for `zone`."""

    def probe() -> None:
        question = dns.message.make_query(zone, "SOA")
        try:
            answer = dns.query.udp(question, "127.0.0.1", port=port, timeout=SECONDS)
        except (dns.exception.DNSException, OSError) as error:
            raise NotAnsweringError(f"DNS on port {port}: {error}") from error
        if answer.rcode() != dns.rcode.NOERROR or not answer.answer:
            raise NotAnsweringError(f"DNS on port {port} does not know {zone}")

    return probe


def together(*probes: Probe) -> Probe:
    """All of several probes."""

    def probe() -> None:
        for one in probes:
            one()

    return probe


def milter(port: int) -> Probe:
    """A milter that negotiates options: packet 'O' with version 6 is answered by an 'O' (Sendmail milter protocol)."""
    offer = b"O" + b"\x00\x00\x00\x06" + b"\x00\x00\x01\xff" + b"\x00\x1f\xff\xff"

    def probe() -> None:
        say = len(offer).to_bytes(4, "big") + offer
        heard = _talk(("127.0.0.1", port), say, lambda heard: len(heard) >= 5)
        if heard[4:5] != b"O":
            raise NotAnsweringError(f"no milter on port {port}: {heard[:80]!r}")

    return probe
