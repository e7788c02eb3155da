"""Ways into a real Stalwart for the conformance suite: SMTP, IMAP, HTTP."""

from __future__ import annotations

import functools
import imaplib
import smtplib
import socket
import ssl
from base64 import b64encode

import httpx2

from deftmail.engine.conformance.world import DeliveryRefused
from deftmail.engine.drivers.stalwart.world import StalwartWorld

TIMEOUT = 60.0  # seconds; a refused sign-in is made to wait
HELO = "client.conformance.test"
GREETING = 10.0  # seconds in which a port without TLS says who it is; it looks our name up first
TLS_AT_ONCE = frozenset({465, 993})


def host_port(text: str) -> tuple[str, int]:
    """HOST:PORT. Raises ValueError for what is not."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit():
        raise ValueError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


@functools.cache
def tls_at_once(host: str, port: int) -> bool:
    """Does this port begin with TLS? Such a one waits for us to speak first. Raises OSError."""
    if port in TLS_AT_ONCE:
        return True
    with socket.create_connection((host, port), GREETING) as connection:
        try:
            return not connection.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return True


def _any_certificate() -> ssl.SSLContext:
    # A fresh server has a certificate of its own making, and no secret of anybody's goes over this.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


class RealDoors:
    """SMTP for sending (with sign-in where the listener offers it), IMAP or HTTP for signing in."""

    def __init__(self, url: str, smtp: tuple[str, int], imap: tuple[str, int] | None, postman: tuple[str, str]) -> None:
        """postman: address and password of a mailbox that stands for the outside on a listener that wants a sign-in."""
        self._url = url.rstrip("/")
        self._smtp = smtp
        self._imap = imap
        self._postman = postman

    def bind(self, world: StalwartWorld) -> None:
        return

    def close(self) -> None:
        return

    def deliver(self, address: str, content: bytes) -> None:
        self._send(None, "sender@outside.test", address, content)

    def submit(self, login: str, password: str, sender: str, recipient: str, content: bytes) -> None:
        self._send((login, password), sender, recipient, content)

    def _send(self, login: tuple[str, str] | None, sender: str, recipient: str, content: bytes) -> None:
        host, port = self._smtp
        try:
            with self._connected(host, port) as smtp:
                offers = smtp.has_extn("auth")
                if login is None and offers:
                    login, sender = self._postman, self._postman[0]
                if login is not None and not offers:
                    raise AssertionError(f"{host}:{port} offers no sign-in: give --smtp the submission listener")
                if login is not None:
                    self._sign_in(smtp, *login)
                smtp.sendmail(sender, [recipient], content)
        except smtplib.SMTPRecipientsRefused as error:
            code, text = error.recipients[recipient]
            raise DeliveryRefused(text.decode("utf-8", "replace"), temporary=code < 500) from error
        except smtplib.SMTPResponseException as error:
            told = error.smtp_error
            text_ = told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)
            raise DeliveryRefused(text_, temporary=error.smtp_code < 500) from error
        except smtplib.SMTPServerDisconnected as error:
            raise DeliveryRefused(f"the server hung up: {error}", temporary=True) from error

    @staticmethod
    def _sign_in(smtp: smtplib.SMTP, user: str, password: str) -> None:
        if "PLAIN" not in smtp.esmtp_features["auth"].upper().split():
            smtp.login(user, password)
            return
        # One attempt: `login` goes on with other mechanisms after a refusal, and servers make each of them wait.
        smtp.user, smtp.password = user, password
        smtp.auth("PLAIN", smtp.auth_plain)

    @staticmethod
    def _connected(host: str, port: int) -> smtplib.SMTP:
        if tls_at_once(host, port):
            return smtplib.SMTP_SSL(host, port, HELO, timeout=TIMEOUT, context=_any_certificate())
        smtp = smtplib.SMTP(host, port, HELO, timeout=TIMEOUT)
        smtp.ehlo()
        if smtp.has_extn("starttls"):
            smtp.starttls(context=_any_certificate())
            smtp.ehlo()
        return smtp

    def signs_in(self, address: str, password: str) -> bool:
        if self._imap is None:
            pair = b64encode(f"{address}:{password}".encode()).decode()
            headers = {"Authorization": f"Basic {pair}"}
            response = httpx2.get(f"{self._url}/jmap/session", headers=headers, timeout=TIMEOUT, trust_env=False)
            return response.status_code == 200
        imap = self._imap_connected(*self._imap)
        try:
            with imap:
                imap.login(address, password)
                return imap.select("INBOX", readonly=True)[0] == "OK"
        except (imaplib.IMAP4.error, OSError):
            return False  # a sign-in that is not allowed ends the connection, at times without a word

    @staticmethod
    def _imap_connected(host: str, port: int) -> imaplib.IMAP4:
        if tls_at_once(host, port):
            return imaplib.IMAP4_SSL(host, port, ssl_context=_any_certificate(), timeout=TIMEOUT)
        imap = imaplib.IMAP4(host, port, timeout=TIMEOUT)
        if "STARTTLS" in imap.capabilities:
            imap.starttls(_any_certificate())
        if "LOGINDISABLED" in imap.capabilities:
            raise AssertionError(f"{host}:{port} takes no password without TLS and offers none: give --imap another")
        return imap
