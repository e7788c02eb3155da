"""Ways into a real Stalwart for the conformance suite: SMTP, IMAP, a sink for mail to elsewhere."""

from __future__ import annotations

import imaplib
import secrets
import smtplib
import socketserver
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from uuid import uuid4

import httpx2

from deftmail.engine.conformance.sending import hashed
from deftmail.engine.conformance.world import SUFFIX, DeliveryRefused
from deftmail.engine.drivers.stalwart.driver import StalwartEngine
from deftmail.engine.drivers.stalwart.wire import Management, Object, set_error
from deftmail.engine.drivers.stalwart.world import StalwartWorld
from deftmail.engine.errors import EngineError
from deftmail.engine.port import DomainSpec, MailboxSpec

TIMEOUT = 60.0  # seconds; a refused sign-in is made to wait
HELO = "client.conformance.test"
THROTTLED = "4.4.5"  # a fresh server takes five messages a second from one address
SMTPS, IMAPS = 465, 993


def host_port(text: str) -> tuple[str, int]:
    """HOST:PORT. Raises ValueError for what is not."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdigit():
        raise ValueError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


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
        for attempt in range(20):
            try:
                self._send_once(login, sender, recipient, content)
            except DeliveryRefused as error:
                if THROTTLED not in str(error) or attempt == 19:
                    raise
                time.sleep(0.5)
            else:
                return

    def _send_once(self, login: tuple[str, str] | None, sender: str, recipient: str, content: bytes) -> None:
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
        if port == SMTPS:
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
        host, port = self._imap
        try:
            if port == IMAPS:
                imap: imaplib.IMAP4 = imaplib.IMAP4_SSL(host, port, ssl_context=_any_certificate(), timeout=TIMEOUT)
            else:
                imap = imaplib.IMAP4(host, port, timeout=TIMEOUT)
            with imap:
                if "LOGINDISABLED" in imap.capabilities and "STARTTLS" in imap.capabilities:
                    imap.starttls(_any_certificate())
                imap.login(address, password)
                return imap.select("INBOX", readonly=True)[0] == "OK"
        except imaplib.IMAP4.error:
            return False


class Sink:
    """Takes every message at HOST:PORT and forgets it. Where something listens there already, that is the sink."""

    def __init__(self, host: str, port: int) -> None:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"220 sink.test ESMTP\r\n")
                while line := self.rfile.readline(8192):
                    word = line[:4].upper()
                    if word == b"DATA":
                        self.wfile.write(b"354 go on\r\n")
                        while self.rfile.readline(65536) not in {b".\r\n", b""}:
                            continue
                    self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 accepted\r\n")
                    if word == b"QUIT":
                        return

        self._server: socketserver.ThreadingTCPServer | None = None
        try:
            self._server = socketserver.ThreadingTCPServer((host, port), Handler)
        except OSError:
            return
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


def _must(management: Management, kind: str, account_id: str | None = None, **change: object) -> Object:
    """Make or change one object; what its creator is told. Raises EngineError when it was not done."""
    answer = management.set(kind, account_id=account_id, **change)  # type: ignore[arg-type]  # create= or update=
    for refused in (answer.not_created, answer.not_updated, answer.not_destroyed):
        for error in refused.values():
            raise set_error(error, kind)
    return next(iter(answer.created.values()), {})


class Scaffold:
    """What a run needs on a fresh server: a domain, a service account with a key, a postman, a route to the sink.

    Everything is made with the administrator's password and taken away again by `close`.
    """

    def __init__(self, url: str, admin: str) -> None:
        self.url = url
        self.admin = StalwartEngine(url, f"Basic {b64encode(admin.encode()).decode()}")
        self.domain = DomainSpec(id=uuid4(), name=f"scaffold-{secrets.token_hex(4)}.{SUFFIX}", active=True)
        self._password = secrets.token_urlsafe(18)
        self._spec = MailboxSpec(
            id=uuid4(), address=f"postman@{self.domain.name}", password_hash=hashed(self._password)
        )
        self._undo: list[Callable[[], object]] = []

    @property
    def postman(self) -> tuple[str, str]:
        return self._spec.address, self._password

    def open(self) -> StalwartEngine:
        """The engine as its service account. Raises EngineError."""
        management = self.admin.management
        self.admin.apply_domain(self.domain)
        self._undo.append(lambda: self.admin.remove_domain(self.domain.name, self.domain.id))
        self.admin.apply_mailbox(self._spec)
        self._undo.append(lambda: self.admin.remove_mailbox(self._spec.address, self._spec.id))
        [domain] = management.find("Domain", {"name": self.domain.name})
        service: Object = {
            "@type": "User",
            "name": "service",
            "domainId": domain["id"],
            "roles": {"@type": "Admin"},
            "credentials": {"0": {"@type": "Password", "secret": hashed(secrets.token_urlsafe(24)).get_secret_value()}},
        }
        account_id = str(_must(management, "Account", create={"s": service})["id"])
        self._undo.append(lambda: management.set("Account", destroy=[account_id]))
        key = {"description": "conformance", "permissions": {"@type": "Inherit"}}
        secret = _must(management, "ApiKey", account_id, create={"k": key})["secret"]
        return StalwartEngine(self.url, f"Bearer {secret}", operator_domain="")

    def route_to(self, sink: tuple[str, int]) -> str:
        """Let mail for one name that nobody has go to the sink; an address of that name. Raises EngineError."""
        management = self.admin.management
        server = Sink(*sink)
        self._undo.append(server.close)
        name = f"sink-{secrets.token_hex(4)}.test"
        route: Object = {
            "@type": "Relay", "name": name, "address": sink[0], "port": sink[1], "protocol": "smtp",
            "implicitTls": False, "allowInvalidCerts": True,
        }  # fmt: skip
        made = str(_must(management, "MtaRoute", create={"r": route})["id"])
        self._undo.append(lambda: management.set("MtaRoute", destroy=[made]))
        [answer] = management.ask([("x:MtaOutboundStrategy/get", {"ids": ["singleton"]})])
        before = answer["list"][0].get("route") or {"else": "'mx'", "match": {}}
        rules = list((before.get("match") or {}).values())
        ours = {"if": f"rcpt_domain == '{name}'", "then": f"'{name}'"}
        match = {str(place): rule for place, rule in enumerate([ours, *rules])}
        strategy = {"singleton": {"route": {"else": before["else"], "match": match}}}
        _must(management, "MtaOutboundStrategy", update=strategy)
        # Should the server not store what equals its default, a rule for a name that nobody has stays behind.
        self._undo.append(lambda: management.set("MtaOutboundStrategy", update={"singleton": {"route": before}}))
        self._reload()
        self._undo.append(self._reload)
        return f"somebody@{name}"

    def _reload(self) -> None:
        _must(self.admin.management, "Action", create={"r": {"@type": "ReloadSettings"}})

    def close(self) -> list[str]:
        """Take everything away, the last first; what could not be."""
        troubles = []
        while self._undo:
            try:
                self._undo.pop()()
            except EngineError as error:
                troubles.append(str(error))
        self.admin.close()
        return troubles


def real_world(
    url: str, admin: str, *, smtp: str, imap: str | None = None, sink: str | None = None, listen: str = "127.0.0.1"
) -> StalwartWorld:
    """A world on a server that answers. Raises EngineError when it cannot be prepared, ValueError for HOST:PORT."""
    doors_at = host_port(smtp), host_port(imap) if imap else None
    sink_at = host_port(sink) if sink else None
    scaffold = Scaffold(url, admin)
    try:
        engine = scaffold.open()
        recipient = scaffold.route_to(sink_at) if sink_at else None
    except EngineError:
        scaffold.close()
        raise
    doors = RealDoors(url, *doors_at, scaffold.postman)
    return StalwartWorld(engine, doors, sink=recipient, listen=listen, tidy=scaffold.close)
