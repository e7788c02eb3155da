"""What a conformance run needs on a real Stalwart, and its removal: accounts, a sink, hooks kept out of its way."""

from __future__ import annotations

import secrets
import socket
import socketserver
import threading
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from urllib.parse import urlsplit
from uuid import uuid4

from deftmail.engine.conformance.listener import PATH, Listener
from deftmail.engine.conformance.sending import hashed
from deftmail.engine.conformance.world import SUFFIX
from deftmail.engine.drivers.stalwart.doors import RealDoors, host_port
from deftmail.engine.drivers.stalwart.driver import StalwartEngine
from deftmail.engine.drivers.stalwart.wire import Management, Object, set_error
from deftmail.engine.drivers.stalwart.world import StalwartWorld, remove_lists
from deftmail.engine.errors import EngineError, EngineUnavailable
from deftmail.engine.port import DomainSpec, MailboxSpec

ROUTE = "conformance-sink-"  # before the name of a route of ours, and of the domain it is for
NOT_OURS = f"!ends_with(sender_domain, '{SUFFIX}') && !ends_with(rcpt_domain, '{SUFFIX}')"
"""What keeps an installation's own hooks off the mail of a run: they know none of its mailboxes and would refuse it."""


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
        self._reloaded = False

    @property
    def postman(self) -> tuple[str, str]:
        return self._spec.address, self._password

    def open(self) -> StalwartEngine:
        """The engine as its service account. Raises EngineError."""
        management = self.admin.management
        sweep(management)
        self._keep_hooks_off()
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
        self._undo.append(partial(_must, management, "Account", destroy=[account_id]))
        key = {"description": "conformance", "permissions": {"@type": "Inherit"}}
        secret = _must(management, "ApiKey", account_id, create={"k": key})["secret"]
        return StalwartEngine(self.url, f"Bearer {secret}", operator_domain="")

    def _keep_hooks_off(self) -> None:
        management = self.admin.management
        hooks = {str(hook["id"]): hook["enable"] for hook in _listed(management, "MtaHook") if "enable" in hook}
        if not hooks:
            return
        for id_, enable in hooks.items():
            _must(management, "MtaHook", update={id_: {"enable": narrowed(enable)}})
            self._undo.append(partial(_must, management, "MtaHook", update={id_: {"enable": enable}}))
        self._reload()

    def route_to(self, sink: tuple[str, int]) -> str:
        """Let mail for one name that nobody has go to the sink; an address of that name. Raises EngineError."""
        management = self.admin.management
        server = Sink(*sink)
        self._undo.append(server.close)
        name = f"{ROUTE}{secrets.token_hex(4)}.test"
        route: Object = {
            "@type": "Relay", "name": name, "address": sink[0], "port": sink[1], "protocol": "smtp",
            "implicitTls": False, "allowInvalidCerts": True,
        }  # fmt: skip
        made = str(_must(management, "MtaRoute", create={"r": route})["id"])
        self._undo.append(partial(_must, management, "MtaRoute", destroy=[made]))
        [answer] = management.ask([("x:MtaOutboundStrategy/get", {"ids": ["singleton"]})])
        before = answer["list"][0]["route"]
        ours = {"if": f"rcpt_domain == '{name}'", "then": f"'{name}'"}
        route = _with_rules(before, [ours, *_rules(before)])
        _must(management, "MtaOutboundStrategy", update={"singleton": {"route": route}})
        # Should the server not store what equals its default, a rule for a name that nobody has stays behind.
        self._undo.append(partial(_must, management, "MtaOutboundStrategy", update={"singleton": {"route": before}}))
        self._reload()
        return f"somebody@{name}"

    def _reload(self) -> None:
        self._reloaded = True
        _must(self.admin.management, "Action", create={"r": {"@type": "ReloadSettings"}})

    def close(self) -> list[str]:
        """Take everything away, the last first; what could not be."""
        troubles = []
        undo = [*self._undo[::-1], *([self._reload] if self._reloaded else [])]
        self._undo.clear()
        for act in undo:
            try:
                act()
            except EngineError as error:
                troubles.append(str(error))
        self.admin.close()
        return troubles


def _listed(management: Management, kind: str) -> list[Object]:
    [answer] = management.ask([(f"x:{kind}/get", {"ids": None})])
    return [each for each in answer.get("list") or () if each.get("id")]


def _rules(expression: Object) -> list[Object]:
    return list((expression.get("match") or {}).values())


def _with_rules(expression: Object, rules: list[Object]) -> Object:
    return {**expression, "match": {str(place): rule for place, rule in enumerate(rules)}}


def narrowed(enable: Object) -> Object:
    """An expression that in addition leaves the mail of a run alone; each of its results, as the first that fits is
    the value of the whole."""
    rules = [{**rule, "then": f"({rule['then']}) && {NOT_OURS}"} for rule in _rules(enable)]
    return _with_rules({"else": f"({enable['else']}) && {NOT_OURS}"}, rules)


def widened(enable: Object) -> Object:
    """The expression before `narrowed`."""

    def whole(text: str) -> str:
        end = f") && {NOT_OURS}"
        return text.removesuffix(end).removeprefix("(") if text.endswith(end) else text

    rules = [{**rule, "then": whole(rule["then"])} for rule in _rules(enable)]
    return _with_rules({"else": whole(enable["else"])}, rules)


def sweep(management: Management) -> None:
    """Take away what a run that was killed left behind. Raises EngineError."""
    reload = False
    for kind in ("MtaHook", "WebHook"):
        for one in _listed(management, kind):
            if f"{PATH}/" in str(one.get("url")):
                management.set(kind, destroy=[str(one["id"])])
                reload = True
            elif kind == "MtaHook" and (before := widened(one["enable"])) != one["enable"]:
                _must(management, kind, update={str(one["id"]): {"enable": before}})
                reload = True
    [answer] = management.ask([("x:MtaOutboundStrategy/get", {"ids": ["singleton"]})])
    route = answer["list"][0]["route"]
    rules = [rule for rule in _rules(route) if f"'{ROUTE}" not in rule["then"]]
    if len(rules) < len(_rules(route)):
        _must(management, "MtaOutboundStrategy", update={"singleton": {"route": _with_rules(route, rules)}})
        reload = True
    for one in _listed(management, "MtaRoute"):
        if str(one.get("name")).startswith(ROUTE):
            management.set("MtaRoute", destroy=[str(one["id"])])
            reload = True
    domains = management.get("Domain", management.all_ids("Domain"), ("id", "name"))
    ours = {str(one["id"]): str(one["name"]) for one in domains if str(one["name"]).endswith(f".{SUFFIX}")}
    if ours:
        remove_lists(management, ours.values())
    for id_, name in ours.items():
        for kind in ("Account", "DkimSignature"):
            management.set(kind, destroy=management.all_ids(kind, {"domainId": id_}))
        answer_ = management.set("Domain", destroy=[id_])
        if id_ not in answer_.destroyed:
            raise set_error(answer_.not_destroyed.get(id_), f"{name} of an earlier run")
    if reload:
        _must(management, "Action", create={"r": {"@type": "ReloadSettings"}})


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(socket.gethostbyname(host)).is_loopback
    except OSError:
        return False  # a name that only the server knows


def towards(url: str) -> str:
    """The address of this machine from which it reaches a server. Raises EngineUnavailable when it does not."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((parts.hostname or "", port), 10) as connection:
            return str(connection.getsockname()[0])
    except OSError as error:
        raise EngineUnavailable(f"{url}: {error}") from error


def real_world(
    url: str, admin: str, *, smtp: str, imap: str | None = None, sink: str | None = None, listen: str | None = None
) -> StalwartWorld:
    """A world on a server that answers. `listen`: else the address from which this machine reaches the server.

    Raises EngineError when it cannot be prepared, ValueError for what is not HOST:PORT or no address of ours.
    """
    doors_at = host_port(smtp), host_port(imap) if imap else None
    sink_at = host_port(sink) if sink else None
    if sink_at and _is_loopback(sink_at[0]):
        raise ValueError(f"--sink {sink}: Stalwart delivers to no loopback address; name another of this machine")
    listen = listen or towards(url)
    try:
        with Listener(listen, {}):
            pass
    except OSError as error:
        raise ValueError(f"--listen {listen}: {error}") from error
    scaffold = Scaffold(url, admin)
    try:
        engine = scaffold.open()
        recipient = scaffold.route_to(sink_at) if sink_at else None
    except BaseException:
        scaffold.close()
        raise
    doors = RealDoors(url, *doors_at, scaffold.postman)
    return StalwartWorld(engine, doors, sink=recipient, listen=listen, tidy=scaffold.close)
