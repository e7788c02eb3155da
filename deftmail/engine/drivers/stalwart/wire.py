"""Stalwart's management by JMAP (RFC 8620 with methods named `x:…`): bounded requests, every answer read, typed errors.

Nothing is believed to have happened that the answer does not say: a `/set` tells of each object that it was done or
why not, and one it keeps silent about counts as not done.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import httpx2
from django.utils.translation import gettext_lazy as _

from deftmail.engine.errors import EngineAuthFailed, EngineBusy, EngineError, EngineRefused, EngineUnavailable

TIMEOUT = httpx2.Timeout(connect=3, read=60, write=30, pool=5)  # seconds; 500 objects in one call take a while
LIMITS = httpx2.Limits(max_connections=8, max_keepalive_connections=4, keepalive_expiry=30)
MAX_ANSWER = 64 * 1024 * 1024  # bytes
CORE = "urn:ietf:params:jmap:core"
MAIL = "urn:ietf:params:jmap:mail"
SIEVE = "urn:ietf:params:jmap:sieve"
MANAGEMENT = "urn:stalwart:jmap"  # known since 0.16: before, management was a REST API
PAGE = 500  # ids a query is asked for at once
READS = 3  # attempts to read a list that changes while it is read
# Seconds before a change is sent again that met another writer of the same object: Stalwart answers the whole call
# with `serverUnavailable`, whatever of it was done.
PAUSES = (0.05, 0.2, 0.5, 1.0)

T = TypeVar("T")
Call = tuple[str, dict[str, Any]]
Object = dict[str, Any]


def too_old(detail: str) -> EngineRefused:
    """The refusal of a server before 0.16. Heals when an operator upgrades it, so it is not permanent."""
    return EngineRefused(
        f"Stalwart 0.16 or newer is needed: {detail}",
        permanent=False,
        reason=_("The mail server is too old for this installation. The operator has to look at this."),
    )


@dataclass(frozen=True, slots=True)
class Limits:
    """What the server takes at once; the defaults are those of 0.16."""

    calls: int = 16
    get: int = 500
    set: int = 500


@dataclass(slots=True)
class SetAnswer:
    """What became of the objects of one or more `/set` calls: members are empty, never None."""

    created: dict[str, Object] = field(default_factory=dict)
    updated: set[str] = field(default_factory=set)
    destroyed: set[str] = field(default_factory=set)
    not_created: dict[str, Object] = field(default_factory=dict)
    not_updated: dict[str, Object] = field(default_factory=dict)
    not_destroyed: dict[str, Object] = field(default_factory=dict)


def read_set(answer: Object) -> SetAnswer:
    """A `/set` answer. Stalwart leaves out members without content."""

    def objects(name: str) -> dict[str, Object]:
        found = answer.get(name)
        return {key: value if isinstance(value, dict) else {} for key, value in found.items()} if found else {}

    return SetAnswer(
        objects("created"),
        set(answer.get("updated") or ()),
        set(answer.get("destroyed") or ()),
        objects("notCreated"),
        objects("notUpdated"),
        objects("notDestroyed"),
    )


# Set errors that another attempt may find gone; every other one is about the object as it is.
_PASSING = frozenset({"objectIsLinked", "overQuota", "rateLimit", "serverFail", "serverUnavailable", "stateMismatch"})


def set_error(error: Object | None, about: str) -> EngineError:
    """A set error as one of the port's. None: the server said nothing of the object."""
    if error is None:
        return EngineUnavailable(f"{about}: the answer does not mention it")
    kind = str(error.get("type", "serverFail"))
    told = [
        str(error[key]) for key in ("description", "properties", "validationErrors", "linkedObjects") if key in error
    ]
    detail = f"{about}: {kind} {' '.join(told)}".strip()
    if kind == "notFound":
        # It went away between two of our calls: another worker. The next look finds out.
        return EngineBusy(detail)
    if kind == "forbidden":
        return EngineAuthFailed(detail)
    return EngineBusy(detail) if kind in _PASSING else EngineRefused(detail)


class Management:
    """One Stalwart, spoken to as its service account. Safe to share between threads. Raises only EngineError."""

    def __init__(self, url: str, authorization: str, *, transport: httpx2.BaseTransport | None = None) -> None:
        """authorization: the value of the header, `Bearer API_…` or `Basic …`; transport replaces sockets in tests."""
        self.url = url.rstrip("/")
        self.authorization = authorization
        self._transport = transport
        self._lock = threading.Lock()
        self._client: httpx2.Client | None = None
        self._limits: Limits | None = None
        self._account_id: str | None = None

    def close(self) -> None:
        with self._lock:
            client, self._client = self._client, None
            self._limits = self._account_id = None
        if client is not None:
            client.close()

    # HTTP

    def _http(self) -> httpx2.Client:
        with self._lock:
            if self._client is None:
                if self._transport is not None:
                    self._client = httpx2.Client(transport=self._transport, timeout=TIMEOUT, trust_env=False)
                else:
                    self._client = httpx2.Client(limits=LIMITS, timeout=TIMEOUT, trust_env=False)
            return self._client

    def request(
        self, method: str, path: str, *, content: bytes | None = None, type_: str = "application/json"
    ) -> httpx2.Response:
        """One HTTP request; the response of a success.

        Raises EngineUnavailable, EngineBusy, EngineAuthFailed, EngineRefused.
        """
        headers = {"Authorization": self.authorization, "Accept": "application/json"}
        if content is not None:
            headers["Content-Type"] = type_
        try:
            response = self._http().request(method, f"{self.url}{path}", content=content, headers=headers)
        except httpx2.TimeoutException as error:
            raise EngineUnavailable(f"no answer in time ({type(error).__name__})") from error
        except httpx2.HTTPError as error:
            raise EngineUnavailable(f"{type(error).__name__}: {error}") from error
        status = response.status_code
        if 200 <= status < 300:
            return response
        detail = f"HTTP {status} to {method} {path}"
        if status in {401, 403}:
            raise EngineAuthFailed(detail)
        if status in {429, 503}:
            raise EngineUnavailable(detail, retry_after=_seconds(response.headers.get("retry-after", "")))
        if status == 404:
            # What answers there is no JMAP: another program, or a Stalwart that is only starting its listener.
            raise EngineUnavailable(detail)
        if 400 <= status < 500:
            raise EngineRefused(detail)
        raise EngineUnavailable(detail)

    def json(self, method: str, path: str, *, content: bytes | None = None, type_: str = "application/json") -> Object:
        """As `request`, with the answer's JSON object. HTML, or anything else, is EngineUnavailable."""
        response = self.request(method, path, content=content, type_=type_)
        if len(response.content) > MAX_ANSWER:
            raise EngineUnavailable(f"more than {MAX_ANSWER} bytes from {path}")
        try:
            data = json.loads(response.content)
        except (ValueError, RecursionError) as error:
            kind = response.headers.get("content-type", "nothing")[:60]
            raise EngineUnavailable(f"{path} answers {kind}, not JSON") from error
        if not isinstance(data, dict):
            raise EngineUnavailable(f"{path} answers no JSON object")
        return data

    def session(self) -> Object:
        """The session object of the service account. Raises EngineRefused for a server before 0.16."""
        found = self.json("GET", "/jmap/session")
        known = {*(found.get("primaryAccounts") or ())}
        for account in _objects(found.get("accounts")):
            known |= {*(account.get("accountCapabilities") or ())}
        if MANAGEMENT not in known:
            # Not every caller is shown it: what counts is whether the methods are there.
            self._answer(self._request([("x:Domain/query", {"limit": 1})], (CORE,))[0], "x:Domain/query")
        return found

    @property
    def account_id(self) -> str:
        """The service account's own id, as its session names it. Raises EngineUnavailable where it names none."""
        if self._account_id is None:
            accounts = self.session().get("primaryAccounts")
            found = accounts.get(MAIL) if isinstance(accounts, dict) else None
            if not isinstance(found, str):
                raise EngineUnavailable("the session names no account of our own")
            self._account_id = found
        return self._account_id

    @property
    def limits(self) -> Limits:
        """What the server takes at once; asked once."""
        if self._limits is None:
            capabilities = self.session().get("capabilities")
            core = capabilities.get(CORE) if isinstance(capabilities, dict) else None
            core = core if isinstance(core, dict) else {}
            usual = Limits()
            self._limits = Limits(
                _positive(core.get("maxCallsInRequest"), usual.calls),
                _positive(core.get("maxObjectsInGet"), usual.get),
                _positive(core.get("maxObjectsInSet"), usual.set),
            )
        return self._limits

    # JMAP

    def ask(self, calls: Sequence[Call], *, using: Sequence[str] = (CORE,)) -> list[Object]:
        """The answers of `calls`, in order; a method-level error is raised. In requests of `limits.calls`."""
        return [
            self._answer(answer, call[0]) for answer, call in zip(self.each(calls, using=using), calls, strict=True)
        ]

    def each(self, calls: Sequence[Call], *, using: Sequence[str] = (CORE,)) -> list[Object]:
        """As `ask`, but a method-level error is given as `{"error": …}` in its place: the others stand."""
        answers: list[Object] = []
        for start in range(0, len(calls), self.limits.calls):
            answers += self._request(calls[start : start + self.limits.calls], using)
        return answers

    def _request(self, calls: Sequence[Call], using: Sequence[str]) -> list[Object]:
        body = {
            "using": list(using),
            "methodCalls": [[name, arguments, str(number)] for number, (name, arguments) in enumerate(calls)],
        }
        answer = self.json("POST", "/jmap/", content=json.dumps(body).encode())
        found: dict[str, Object] = {}
        responses = answer.get("methodResponses")
        for item in responses if isinstance(responses, list) else ():
            match item:
                case ["error", dict(error), str(number)]:
                    found.setdefault(number, {"error": error})
                case [str(name), dict(arguments), str(number)] if number.isdigit() and int(number) < len(calls):
                    if name == calls[int(number)][0]:
                        found[number] = arguments
        missing = [calls[number][0] for number in range(len(calls)) if str(number) not in found]
        if missing:
            raise EngineUnavailable(f"no answer for {missing[0]}")
        return [found[str(number)] for number in range(len(calls))]

    def change(self, calls: Sequence[Call]) -> list[Object]:
        """As `ask`, for `/set` calls that may be sent twice: one that met another writer is sent again."""
        answers = self.each(calls)
        for pause in PAUSES:
            met = [place for place, answer in enumerate(answers) if _met_another(answer)]
            if not met:
                break
            time.sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 -- so that two workers do not meet again
            for place, answer in zip(met, self.each([calls[place] for place in met]), strict=True):
                answers[place] = answer
        return [self._answer(answer, call[0]) for answer, call in zip(answers, calls, strict=True)]

    @staticmethod
    def _answer(answer: Object, method: str) -> Object:
        error = answer.get("error")
        if not isinstance(error, dict):
            return answer
        kind = str(error.get("type", "serverFail"))
        detail = f"{method}: {kind} {error.get('description', '')}".strip()
        if kind == "unknownMethod" and method.startswith("x:"):
            raise too_old(detail)
        if kind == "forbidden":
            raise EngineAuthFailed(detail)
        if kind in {"serverUnavailable", "serverFail", "serverPartialFail", "rateLimit"}:
            raise EngineBusy(detail)
        raise EngineRefused(detail)

    # objects

    def find(self, kind: str, filter_: Object) -> list[Object]:
        """The objects a narrow filter matches (one page of them), in one request."""
        # With the total asked for, the limit is one of the answer and not of what each part of the filter may match.
        _ids, got = self.ask(
            [
                (f"x:{kind}/query", {"filter": filter_, "limit": min(PAGE, self.limits.get), "calculateTotal": True}),
                (f"x:{kind}/get", {"#ids": {"resultOf": "0", "name": f"x:{kind}/query", "path": "/ids"}}),
            ]
        )
        return _objects(got.get("list"))

    def all_ids(self, kind: str, filter_: Object | None = None) -> list[str]:
        """Every id a filter matches. Complete, or EngineBusy: a list that changed while its pages were read is read
        again, and a page shorter than asked for is never taken for the last."""
        for _attempt in range(READS):
            ids = self._read_ids(kind, filter_)
            if ids is not None:
                return ids
        raise EngineBusy(f"x:{kind} changes faster than it can be read")

    def _read_ids(self, kind: str, filter_: Object | None) -> list[str] | None:
        found: dict[str, None] = {}
        position, total = 0, -1
        while True:
            arguments: Object = {"position": position, "limit": PAGE, "calculateTotal": True}
            if filter_:
                arguments["filter"] = filter_
            [answer] = self.ask([(f"x:{kind}/query", arguments)])
            ids = [id_ for id_ in answer.get("ids") or () if isinstance(id_, str)]
            told = answer.get("total")
            if isinstance(told, int):
                if total not in {-1, told}:
                    return None
                total = told
            found.update(dict.fromkeys(ids))
            position += len(ids)
            if not ids or position == total:
                break
        return list(found) if total in {-1, len(found)} else None

    def get(self, kind: str, ids: Sequence[str], properties: Sequence[str] | None = None) -> list[Object]:
        """Those of `ids` that exist."""
        arguments: list[Object] = [{"ids": list(part)} for part in pieces(ids, self.limits.get)]
        if properties is not None:
            arguments = [{**one, "properties": list(properties)} for one in arguments]
        answers = self.ask([(f"x:{kind}/get", one) for one in arguments])
        return [item for answer in answers for item in _objects(answer.get("list"))]

    def set(
        self,
        kind: str,
        *,
        create: Mapping[str, Object] | None = None,
        update: Mapping[str, Object] | None = None,
        destroy: Sequence[str] = (),
        account_id: str | None = None,
    ) -> SetAnswer:
        """Make, change and take away objects, in as few calls as the server's limits allow. The caller reads all of
        the answer's members: nothing is raised for a single object."""
        about = {} if account_id is None else {"accountId": _real_id(account_id)}
        calls: list[Call] = [
            (f"x:{kind}/set", {**about, name: dict(part)})
            for name, objects in (("create", create or {}), ("update", update or {}))
            for part in pieces(list(objects.items()), self.limits.set)
        ]
        calls += [(f"x:{kind}/set", {**about, "destroy": list(ids)}) for ids in pieces(list(destroy), self.limits.set)]
        whole = SetAnswer()
        for answer in map(read_set, self.change(calls)):
            whole.created |= answer.created
            whole.updated |= answer.updated
            whole.destroyed |= answer.destroyed
            whole.not_created |= answer.not_created
            whole.not_updated |= answer.not_updated
            whole.not_destroyed |= answer.not_destroyed
        return whole

    def upload(self, account_id: str, content: bytes, type_: str) -> str:
        """Upload to an account (RFC 8620 §6.1); the blob's id."""
        answer = self.json("POST", f"/jmap/upload/{_real_id(account_id)}/", content=content, type_=type_)
        blob = answer.get("blobId")
        if not isinstance(blob, str):
            raise EngineUnavailable("the upload's answer has no blobId")
        return blob


def _met_another(answer: Object) -> bool:
    error = answer.get("error")
    return isinstance(error, dict) and error.get("type") == "serverUnavailable"


def pieces(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """`items` in runs of at most `size`."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _real_id(id_: str) -> str:
    # A reference here would silently mean the caller's own account.
    if not id_ or not id_.isascii() or not id_.isalnum():
        raise EngineRefused(f"not an id of Stalwart: {id_[:40]!r}")
    return id_


def _objects(value: Any) -> list[Object]:
    items = value.values() if isinstance(value, dict) else value
    return [item for item in items if isinstance(item, dict)] if items else []


def _positive(value: Any, default: int) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else default


def _seconds(text: str) -> float | None:
    return float(text) if text.isascii() and text.isdigit() and len(text) < 7 else None
