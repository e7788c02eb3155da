"""A small HTTP server that an engine under test calls: it answers every POST the same and keeps what came."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import socket
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

MAX_BODY = 4 * 1024 * 1024  # bytes
PATH = "/deftmail-conformance"
"""What is set to call here is ours, also after a run that was killed."""


class Listener:
    """Use as a context manager. `url` is where it listens, `bodies` what came, `secret` what signs it."""

    def __init__(self, host: str, answer: dict[str, Any]) -> None:
        self.secret = secrets.token_hex(16)
        self.bodies: list[tuple[bytes, str]] = []  # (body, X-Signature)
        bodies, text = self.bodies, json.dumps(answer).encode()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = min(int(self.headers.get("Content-Length") or 0), MAX_BODY)
                bodies.append((self.rfile.read(size), self.headers.get("X-Signature", "")))
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: Any) -> None:
                return  # the suite prints one line per case and nothing else

        class Server(ThreadingHTTPServer):
            address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

        self._server = Server((host, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.url = f"http://{f'[{host}]' if ':' in host else host}:{self._server.server_port}{PATH}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait_for_event(self, wanted: Callable[[dict[str, Any]], bool], seconds: float) -> dict[str, Any] | None:
        """The first event that `wanted` likes, None when none comes in time. Raises AssertionError for a body that is
        not signed with our secret."""
        until = time.monotonic() + seconds
        while True:
            for body, signature in list(self.bodies):
                digest = hmac.new(self.secret.encode(), body, hashlib.sha256).digest()
                assert signature == base64.b64encode(digest).decode(), "an event is not signed with our key"
                for event in json.loads(body).get("events", []):
                    if wanted(event):
                        found: dict[str, Any] = event
                        return found
            if time.monotonic() > until:
                return None
            time.sleep(0.1)
