"""HTTP to the engine: one shared client per process and engine, bounded in time and size.

Over a Unix socket it is HTTP/1.1 with keep-alive: over TCP each larger answer of Cyrus waits 40 ms for a delayed ACK,
and one HTTP/2 connection to it is served one request after another. A remote engine gets HTTP/2.
"""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx2
import structlog

from deftmail.jmap.access import Access
from deftmail.jmap.batch import Answers, Batch
from deftmail.jmap.errors import (
    AnswerTooLarge,
    AuthFailed,
    EngineUnavailable,
    JmapError,
    NotFound,
    RequestRefused,
    TooLarge,
)
from deftmail.jmap.pulse import Pulse, WatchedTransport, asking
from deftmail.jmap.session import Session, parse_session

TIMEOUT = httpx2.Timeout(connect=2, read=15, write=15, pool=2)  # seconds
SENDING = httpx2.Timeout(connect=2, read=90, write=15, pool=2)  # behind a submission stand SMTP and a spam filter
LIMITS = httpx2.Limits(max_connections=40, max_keepalive_connections=20, keepalive_expiry=30)
MAX_ANSWER = 32 * 1024 * 1024  # bytes of JSON we are willing to hold
MAX_PROBLEM = 16 * 1024
SESSION_TTL = 600.0  # seconds; a changed sessionState ends it sooner
MAX_SESSIONS = 5_000
RETRY_PAUSE = 0.1  # seconds before a read is repeated once

log = structlog.get_logger("deftmail.jmap")

# Lone surrogates cannot be written as UTF-8 and NUL not into PostgreSQL; both come from broken mail.
_BROKEN = re.compile("[\x00\ud800-\udfff]")


def clean(value: Any) -> Any:
    """``value`` with characters that nothing downstream can store replaced by U+FFFD."""
    if isinstance(value, str):
        return _BROKEN.sub("\ufffd", value)
    if isinstance(value, list):
        return [clean(item) for item in value]
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items()}
    return value


def parse_json(body: bytes) -> Any:
    """JSON from the engine.

    Raises:
        EngineUnavailable: not JSON, or nested so deep that it is an attack (code ``badAnswer``).
    """
    try:
        data = json.loads(body)
        # Only escapes can spell these characters in valid UTF-8, so most answers need no second walk.
        return clean(data) if b"\\u" in body else data
    except (ValueError, RecursionError) as error:
        raise EngineUnavailable("the answer is not JSON", code="badAnswer", sent=True) from error


def _retry_after(response: httpx2.Response) -> float | None:
    value = response.headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() and len(value) < 7 else None


@contextmanager
def logged(access: Access, operation: str) -> Iterator[None]:
    """One line ``engine_call`` per HTTP request, in the shape of the engine room's lines: never headers, never mail."""
    started, outcome, reason = time.perf_counter(), "ok", ""
    try:
        yield
    except JmapError as error:
        outcome, reason = error.code, str(error)[:200]
        raise
    finally:
        fields: dict[str, Any] = {
            "engine": access.engine,
            "operation": operation,
            "object": access.username,
            "duration_ms": round((time.perf_counter() - started) * 1000, 1),
            "outcome": outcome,
        }
        if outcome in {"ok", "notFound"}:
            log.info("engine_call", **fields)
        else:
            log.warning("engine_call", **fields, error=reason)


class JmapClient:
    """Sends batches, uploads and downloads; caches session objects. Safe to share between threads."""

    def __init__(self, transport: httpx2.BaseTransport | None = None, *, max_answer: int = MAX_ANSWER) -> None:
        """``transport`` replaces sockets in tests."""
        self._transport = transport
        self._max_answer = max_answer
        self._lock = threading.Lock()
        self._clients: dict[str, tuple[httpx2.Client, Pulse]] = {}
        self._sessions: OrderedDict[tuple[str, str, str, str], tuple[float, Session]] = OrderedDict()
        # Small facts about accounts, each with its end on the monotonic clock; written by caller.py.
        self.memory: OrderedDict[tuple[str, ...], tuple[float, Any]] = OrderedDict()

    def close(self) -> None:
        with self._lock:
            clients, self._clients = list(self._clients.values()), {}
        for client, _pulse in clients:
            client.close()

    def session(self, access: Access) -> Session:
        """The session object of an account, from the cache while it is fresh."""
        with self._lock:
            cached = self._sessions.get(access.key)
        if cached is not None and cached[0] > time.monotonic():
            return cached[1]
        with logged(access, "jmap session"):
            body = self._answer(access, "GET", access.session_url, idempotent=True)
            session = parse_session(parse_json(body), access)
        with self._lock:
            self._sessions[access.key] = (time.monotonic() + SESSION_TTL, session)
            self._sessions.move_to_end(access.key)
            while len(self._sessions) > MAX_SESSIONS:
                self._sessions.popitem(last=False)
        return session

    def remember(self, key: tuple[str, ...], value: tuple[float, Any]) -> None:
        """Keep a fact, the oldest make room."""
        with self._lock:
            self.memory[key] = value
            self.memory.move_to_end(key)
            while len(self.memory) > MAX_SESSIONS:
                self.memory.popitem(last=False)

    def forget(self, access: Access) -> None:
        """Drop the cached session object."""
        with self._lock:
            self._sessions.pop(access.key, None)

    def run(self, access: Access, batch: Batch, *, timeout: httpx2.Timeout = TIMEOUT) -> Answers:
        """One HTTP request. Reads are repeated once when the connection broke; changes never are.

        Raises:
            EngineUnavailable, AuthFailed, AnswerTooLarge, RequestRefused: nothing in the batch has an answer.
        """
        content = json.dumps(batch.body(), ensure_ascii=False).encode("utf-8", "replace")
        if len(content) > batch.session.limits.size_request:
            raise TooLarge("request larger than maxSizeRequest")
        with logged(access, "jmap " + " ".join(dict.fromkeys(call.name for call in batch.calls))):
            body = self._answer(
                access,
                "POST",
                batch.session.api_url,
                content=content,
                headers={"Content-Type": "application/json"},
                idempotent=batch.idempotent,
                timeout=timeout,
            )
            answers = Answers.read(parse_json(body))
        if answers.session_state != batch.session.state:
            self.forget(access)
        return answers

    def upload(
        self, access: Access, session: Session, content: bytes | Iterable[bytes], headers: dict[str, str]
    ) -> Any:
        """POST to the upload URL (RFC 8620 §6.1); returns the JSON answer.

        A stream can be sent only once, so a 401 on it is not repeated.
        """
        with logged(access, "jmap upload"):
            body = self._answer(
                access,
                "POST",
                session.upload_url(),
                content=content,
                headers=headers,
                idempotent=False,
                repeatable=isinstance(content, bytes),
            )
            return parse_json(body)

    @contextmanager
    def download(self, access: Access, url: str) -> Iterator[httpx2.Response]:
        """The open response of a GET (RFC 8620 §6.2), not decoded, so that its Content-Length is the size."""
        with ExitStack() as stack:
            with logged(access, "jmap download"):
                opening = self._open(access, "GET", url, headers={"Accept-Encoding": "identity"}, idempotent=True)
                response = stack.enter_context(opening)
            yield response

    def _answer(self, access: Access, method: str, url: str, **options: Any) -> bytes:
        with self._open(access, method, url, **options) as response:
            chunks, size = [], 0
            with self._errors():
                for chunk in response.iter_bytes():
                    size += len(chunk)
                    if size > self._max_answer:
                        raise AnswerTooLarge(f"more than {self._max_answer} bytes")
                    chunks.append(chunk)
        return b"".join(chunks)

    @contextmanager
    def _open(
        self,
        access: Access,
        method: str,
        url: str,
        *,
        content: bytes | Iterable[bytes] | None = None,
        headers: dict[str, str] | None = None,
        idempotent: bool,
        repeatable: bool = True,
        timeout: httpx2.Timeout = TIMEOUT,
    ) -> Iterator[httpx2.Response]:
        """The response of a request that succeeded (2xx); everything else is raised."""
        client, pulse = self._client(access)

        def send() -> httpx2.Response:
            pulse.require()
            everything = {**access.request_headers(), **(headers or {})}
            request = client.build_request(method, url, content=content, headers=everything, timeout=timeout)
            with self._errors():
                return client.send(request, stream=True)

        try:
            response = send()
        except EngineUnavailable as error:
            # A refused connection has changed nothing. A timeout is not repeated: the reader has waited long enough.
            if not repeatable or error.code == "timeout" or (error.sent and not idempotent):
                raise
            time.sleep(RETRY_PAUSE)
            response = send()
        if response.status_code == 401 and repeatable:
            response.close()
            if access.refresh is not None:
                access.refresh()
            response = send()
        elif response.status_code == 503 and idempotent and "retry-after" not in response.headers:
            response.close()
            time.sleep(RETRY_PAUSE)
            response = send()
        try:
            self._check(response)
            yield response
        finally:
            response.close()

    def _check(self, response: httpx2.Response) -> None:
        status = response.status_code
        if 200 <= status < 300:
            return
        if status in {401, 403}:
            raise AuthFailed(f"HTTP {status}")
        if status == 404:
            raise NotFound("HTTP 404")
        if status == 413:
            raise TooLarge("HTTP 413")
        if status in {429, 503}:
            code = "busy" if status == 429 else "unavailable"
            raise EngineUnavailable(f"HTTP {status}", code=code, retry_after=_retry_after(response))
        if status >= 500 or status < 400:
            raise EngineUnavailable(f"HTTP {status}", code="badAnswer", sent=True)
        raise RequestRefused(f"HTTP {status}", code=self._problem(response))

    def _problem(self, response: httpx2.Response) -> str:
        """The name of an RFC 7807 problem (``limit``, ``unknownCapability`` …), "request" when there is none."""
        body = b""
        with self._errors():
            for chunk in response.iter_bytes():
                body += chunk
                if len(body) > MAX_PROBLEM:
                    return "request"
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            return "request"
        name = data.get("type") if isinstance(data, dict) else None
        return name.rsplit(":", 1)[-1][:64] if isinstance(name, str) else "request"

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (httpx2.ConnectTimeout, httpx2.PoolTimeout, httpx2.ConnectError) as error:
            raise EngineUnavailable(f"cannot connect: {error}", code="connect") from error
        except httpx2.TimeoutException as error:
            raise EngineUnavailable("no answer in time", code="timeout", sent=True) from error
        except httpx2.HTTPError as error:
            raise EngineUnavailable(f"connection broken: {error}", code="broken", sent=True) from error

    def _client(self, access: Access) -> tuple[httpx2.Client, Pulse]:
        key = access.uds or access.session_url
        with self._lock:
            made = self._clients.get(key)
            if made is None:
                made = self._clients[key] = self._make(access)
            return made

    def _make(self, access: Access) -> tuple[httpx2.Client, Pulse]:
        pulse = Pulse(asking(access.session_url, access.uds))
        transport = self._transport or WatchedTransport(access.uds, LIMITS, pulse)
        # Compressing what travels over a socket of the same machine only costs time.
        headers = {"Accept-Encoding": "identity"} if access.uds is not None else None
        return httpx2.Client(transport=transport, timeout=TIMEOUT, trust_env=False, headers=headers), pulse


_default: JmapClient | None = None
_default_pid = 0
_default_lock = threading.Lock()


def default_client() -> JmapClient:
    """The one client of this process. A forked child gets its own: sockets must not be shared."""
    global _default, _default_pid
    with _default_lock:
        if _default is None or _default_pid != os.getpid():
            _default, _default_pid = JmapClient(), os.getpid()
        return _default
