"""The fake's HTTP: sessions, sign-in, JMAP requests, uploads, health; and the SMTP side as plain calls.

`FakeStalwart().transport()` stands in for sockets. `slow`, `down`, `answer_next` and `lose_next` break it.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Sequence
from typing import Any

import bcrypt
import httpx2

from deftmail.engine.drivers.stalwart.fake.credentials import HASHES
from deftmail.engine.drivers.stalwart.fake.ids import encode
from deftmail.engine.drivers.stalwart.fake.mail import Refusal, StalwartMailbox
from deftmail.engine.drivers.stalwart.fake.patches import MethodRefused
from deftmail.engine.drivers.stalwart.fake.queue import Queue
from deftmail.engine.drivers.stalwart.fake.registry import Registry
from deftmail.engine.drivers.stalwart.fake.shapes import KINDS, SINGLETONS

Object = dict[str, Any]
RECOVERY = "d333333"  # the account id of the recovery administrator, who has no account
CORE = "urn:ietf:params:jmap:core"
MANAGEMENT = "urn:stalwart:jmap"
NOT_AUTHORIZED = "5.7.1 Your account is not authorized to use this service."
# What a method needs in `using`; those of management need nothing.
CAPABILITIES = {"Identity": "submission", "EmailSubmission": "submission", "SieveScript": "sieve", "Quota": "quota"}
EVENTS = "types={types}&closeafter={closeafter}&ping={ping}"
ADMIN_RIGHTS = frozenset({"manage", "impersonate", "unlimitedRequests", "fetchAnyBlob", "authenticate", "emailSend"})


class HttpRefused(Exception):
    """An HTTP status instead of an answer."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Caller:
    """Who asks: an account's id and what it may."""

    def __init__(self, account_id: str, rights: frozenset[str]) -> None:
        self.account_id = account_id
        self.rights = rights


class FakeStalwart:
    """One server. `requests` is every JMAP request's method calls, `http` every (method, path)."""

    def __init__(
        self, admin: str = "admin:s3cret-admin-pw", *, page: int = 5000, makes_archive: bool = False, old: bool = False
    ) -> None:
        """page: ids a query gives at most; makes_archive: as the set-up leaves it, new accounts have that folder; old:
        a server before 0.16."""
        self.admin = admin
        self.old = old
        self.shared_blobs = True  # may a caller use blobs of its own in other accounts?
        self.blobs: dict[str, bytes] = {}
        self._blob_owners: dict[str, str] = {}
        self.mailboxes: dict[str, StalwartMailbox] = {}
        self.registry = Registry(page=page)
        self.registry.used_bytes = lambda id_: self.mailboxes[id_].used() if id_ in self.mailboxes else 0
        self.registry.on_destroyed = self._forget_mail
        if makes_archive:
            self.registry.update("Email", "singleton", {"defaultFolders": {"archive": {"name": "Archive"}}})
            self.registry.apply_settings()
        self.queue = Queue(self)
        self.requests: list[list[str]] = []
        self.http: list[tuple[str, str]] = []
        self.slow = 0.0  # seconds before each answer
        self.down = False
        self.answer_next: list[httpx2.Response] = []
        self.lose_next = False  # do what is asked, then break the connection
        self._blobs = 0
        self._lock = threading.RLock()

    # for tests

    def transport(self) -> httpx2.MockTransport:
        return httpx2.MockTransport(self.handle)

    def account(self, address: str) -> Object:
        """The account of an address, as it is stored."""
        return next(one for one in self.registry.objects["Account"].values() if self.registry.address(one) == address)

    def signs_in(self, address: str, password: str) -> bool:
        """Does this password open the mailbox?"""
        try:
            self._caller("Basic " + base64.b64encode(f"{address}:{password}".encode()).decode())
        except HttpRefused:
            return False
        return True

    def _forget_mail(self, account_id: str) -> None:
        self.mailboxes.pop(account_id, None)

    # HTTP

    def handle(self, request: httpx2.Request) -> httpx2.Response:
        if self.slow:
            time.sleep(self.slow)
        if self.down:
            raise httpx2.ConnectError("nobody there")
        arrived = self.registry.writes
        with self._lock:
            self.registry.seen = arrived
            path = request.url.path
            self.http.append((request.method, path))
            if self.answer_next:
                return self.answer_next.pop(0)
            if path.startswith("/healthz/"):
                return httpx2.Response(200)
            try:
                response = self._routed(request, path)
            except HttpRefused as error:
                problem = {
                    "type": "about:blank", "status": error.status, "title": "Unauthorized", "detail": str(error)
                }  # fmt: skip
                return httpx2.Response(error.status, json=problem)
            finally:
                self.registry.seen = None
            if self.lose_next:
                self.lose_next = False
                raise httpx2.ReadError("connection reset")
            return response

    def _routed(self, request: httpx2.Request, path: str) -> httpx2.Response:
        caller = self._caller(request.headers.get("authorization", ""))
        if request.method == "GET" and path == "/jmap/session":
            return httpx2.Response(200, json=self._session(caller))
        if path.startswith("/jmap/upload/"):
            account_id = path.split("/")[3]
            self._check_account(caller, account_id)
            blob = self.add_blob(request.read(), account_id)
            type_ = request.headers.get("content-type", "")
            return httpx2.Response(200, json={"accountId": account_id, "blobId": blob, "type": type_, "size": 1})
        if path.startswith("/jmap/download/"):
            data = self.blobs.get(path.split("/")[4])
            return httpx2.Response(404) if data is None else httpx2.Response(200, content=data)
        if request.method == "POST" and path in {"/jmap", "/jmap/"}:
            return httpx2.Response(200, json=self._api(json.loads(request.read()), caller))
        return httpx2.Response(404)

    # sign-in

    def _caller(self, header: str) -> Caller:
        kind, _, value = header.partition(" ")
        if kind == "Bearer":
            for (owned, account_id), keys in self.registry.owned.items():
                if owned == "ApiKey" and any(key["secret"] == value for key in keys.values()):
                    return self._as_account(account_id)
        if kind == "Basic":
            pair = base64.b64decode(value).decode()
            if pair == self.admin:
                return Caller(RECOVERY, ADMIN_RIGHTS)
            login, _, password = pair.partition(":")
            for account_id, one in self.registry.objects["Account"].items():
                logins = {self.registry.address(one), *self.registry.alias_addresses(one, enabled=True)}
                if login in logins and self._password_fits(account_id, one, password):
                    return self._as_account(account_id)
        raise HttpRefused(401, "You have to authenticate first.")

    def _as_account(self, account_id: str) -> Caller:
        rights = self.rights_of(account_id)
        if "authenticate" not in rights:
            raise HttpRefused(403, "Your account is not authorized to use this service.")
        return Caller(account_id, rights)

    def rights_of(self, account_id: str) -> frozenset[str]:
        """What an account may, of what the fake knows."""
        one = self.registry.objects["Account"][account_id]
        rights = set(ADMIN_RIGHTS if one.get("roles") == {"@type": "Admin"} else {"authenticate", "emailSend"})
        permissions = one["permissions"]
        rights |= {name for name, on in (permissions.get("enabledPermissions") or {}).items() if on}
        return frozenset(rights - {name for name, on in (permissions.get("disabledPermissions") or {}).items() if on})

    def _password_fits(self, account_id: str, one: Object, password: str) -> bool:
        for credential in one.get("credentials", {}).values():
            if credential["@type"] != "Password":
                continue
            secret = credential["secret"]
            if not HASHES.match(secret):
                if secret == password:  # not known as a hash: it is the password itself
                    return True
            elif secret.startswith("$2") and bcrypt.checkpw(password.encode()[:72], secret.encode()):
                return True
        secondary = self.registry.owned.get(("AppPassword", account_id), {})
        return any(key["secret"] == password for key in secondary.values())

    # JMAP

    def _session(self, caller: Caller) -> Object:
        limits = {"maxCallsInRequest": 16, "maxObjectsInGet": 500, "maxObjectsInSet": 500}
        core = {**limits, "maxSizeRequest": 10_000_000, "maxSizeUpload": 50_000_000}
        names = ("mail", "submission", "sieve", "quota", "vacationresponse", "blob")
        urns: Object = {f"urn:ietf:params:jmap:{name}": {} for name in names}
        special: Object = {} if self.old else {MANAGEMENT: {}}
        account = self.registry.objects["Account"].get(caller.account_id)
        name = self.registry.address(account) if account else self.admin.partition(":")[0]
        own: Object = {**urns, **special}
        per_account = {"name": name, "isPersonal": True, "isReadOnly": False, "accountCapabilities": own}
        return {
            "capabilities": {CORE: core, **urns},
            "accounts": {caller.account_id: per_account},
            "primaryAccounts": dict.fromkeys({**urns, **special}, caller.account_id),
            "username": name,
            "apiUrl": "http://127.0.0.1:38080/jmap/",
            "downloadUrl": "http://127.0.0.1:38080/jmap/download/{accountId}/{blobId}/{name}?accept={type}",
            "uploadUrl": "http://127.0.0.1:38080/jmap/upload/{accountId}/",
            "eventSourceUrl": f"http://127.0.0.1:38080/jmap/eventsource/?{EVENTS}",
            "state": "a2e9571a",
        }

    def _api(self, body: Object, caller: Caller) -> Object:
        calls = body["methodCalls"]
        self.requests.append([call[0] for call in calls])
        if len(calls) > 16:
            raise HttpRefused(400, "too many calls")
        responses: list[tuple[str, Object, str]] = []
        created: dict[str, str] = dict(body.get("createdIds") or {})
        for number, (name, arguments, call_id) in enumerate(calls):
            if number:
                self.registry.seen = self.registry.writes
            kind = name.partition("/")[0]
            needed = f"urn:ietf:params:jmap:{CAPABILITIES.get(kind, 'mail')}"
            if not name.startswith("x:") and needed not in body["using"]:
                told = {"type": "unknownMethod", "description": f"Method {name} requires capability {needed}"}
                responses.append(("error", told, call_id))
                continue
            try:
                for answered, answer in self._method(name, _referred(arguments, responses), created, caller):
                    responses.append((answered, answer, call_id))
            except MethodRefused as error:
                responses.append(("error", error.error, call_id))
        return {"methodResponses": responses, "sessionState": "a2e9571a"}

    def _method(
        self, name: str, arguments: Object, created: dict[str, str], caller: Caller
    ) -> Sequence[tuple[str, Object]]:
        kind, _, verb = name.removeprefix("x:").partition("/")
        asked = arguments.get("accountId")
        # A reference is not resolved here: it is no account, so the caller's own is meant.
        account_id = caller.account_id if asked is None or asked.startswith("#") else asked
        if name.startswith("x:"):
            if self.old or (kind not in KINDS and kind not in SINGLETONS) or verb not in {"get", "set", "query"}:
                raise MethodRefused("unknownMethod", description=name)
            if "manage" not in caller.rights:
                raise MethodRefused("forbidden", description="You are not authorized to perform this action")
            self._check_account(caller, account_id)
            if verb == "set":
                answer = self.registry.set(kind, arguments, account_id, created)
            else:
                answer = getattr(self.registry, verb)(kind, arguments, account_id)
            return [(name, {"accountId": account_id, **answer})]
        self._check_account(caller, account_id)
        self._acting = caller
        answers = self.mailbox(account_id).call(name, arguments, created)
        if answers is None:
            raise MethodRefused("unknownMethod", description=name)
        return [(answered, {"accountId": account_id, **answer}) for answered, answer in answers]

    def _check_account(self, caller: Caller, account_id: str) -> None:
        if account_id != caller.account_id and "impersonate" not in caller.rights:
            raise MethodRefused("forbidden", description=f"You do not have access to account {account_id}")

    def mailbox(self, account_id: str) -> StalwartMailbox:
        """The mail of an account, made when it is first used."""
        if account_id not in self.registry.objects["Account"]:
            raise MethodRefused("accountNotFound")
        if account_id not in self.mailboxes:
            address = self.registry.address(self.registry.objects["Account"][account_id])
            self.mailboxes[account_id] = StalwartMailbox(self, account_id, address)
        return self.mailboxes[account_id]

    # blobs

    def new_blob_id(self) -> str:
        self._blobs += 1
        return f"cb{encode(self._blobs).rjust(8, 'a')}"

    def add_blob(self, content: bytes, owner: str, id_: str | None = None) -> str:
        id_ = id_ or self.new_blob_id()
        self.blobs[id_], self._blob_owners[id_] = content, owner
        return id_

    def copy_blob(self, id_: str, owner: str) -> str:
        return self.add_blob(self.blobs[id_], owner)

    def may_use_blob(self, id_: str, account_id: str) -> bool:
        owner = self._blob_owners.get(id_)
        own = owner == account_id
        return owner is not None and (own or (self.shared_blobs and "fetchAnyBlob" in self._acting.rights))

    # mail in and out

    def smtp_submit(self, login: str, password: str, sender: str, recipients: Sequence[str], content: bytes) -> None:
        """What a mail program does on the submission listener. Raises Refusal with SMTP's code and sentence."""
        try:
            caller = self._caller("Basic " + base64.b64encode(f"{login}:{password}".encode()).decode())
        except HttpRefused as error:
            if error.status == 403:
                raise Refusal(550, NOT_AUTHORIZED, "AUTH") from error
            raise Refusal(535, "5.7.8 Authentication credentials invalid.", "AUTH") from error
        # Asked at the sign-in and nowhere else: a JMAP submission is not stopped by it.
        if "emailSend" not in caller.rights:
            raise Refusal(550, NOT_AUTHORIZED, "AUTH")
        self._in_session(caller.account_id, sender, recipients, content)

    def smtp_receive(self, sender: str, recipients: Sequence[str], content: bytes) -> None:
        """What another mail server does on port 25. Raises Refusal."""
        self._in_session(None, sender, recipients, content)

    def _in_session(self, account_id: str | None, sender: str, recipients: Sequence[str], content: bytes) -> None:
        outcomes = self.queue.session(account_id, sender, recipients, content)
        refused = [error for error in outcomes.values() if error is not None]
        if len(refused) == len(outcomes):
            raise refused[0]


def _referred(arguments: Object, responses: Sequence[tuple[str, Object, str]]) -> Object:
    """Result references (RFC 8620 §3.7): `{"#ids": {"resultOf", "name", "path"}}`."""
    found = dict(arguments)
    for key in [key for key in arguments if key.startswith("#")]:
        reference = found.pop(key)
        answer = next((a for n, a, c in responses if c == reference["resultOf"] and n == reference["name"]), None)
        if answer is None:
            raise MethodRefused("invalidResultReference")
        found[key[1:]] = _walk(answer, reference["path"].split("/")[1:])
    return found


def _walk(value: Any, path: list[str]) -> Any:
    for place, name in enumerate(path):
        if name == "*":
            items = [_walk(item, path[place + 1 :]) for item in value]
            return [inner for item in items for inner in (item if isinstance(item, list) else [item])]
        value = value[name]
    return value
