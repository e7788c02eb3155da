"""The fake engine behind a real Unix socket."""

from __future__ import annotations

import http.server
import socketserver
import threading
import time
from typing import Any

import httpx2

from deftmail.jmap.testing import FakeJmap


class Engine(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """Answers who brings credentials. Without `goes_on` it keeps everybody waiting, `slow` (seconds) those who ask for
    mail; `asked` tells the methods, "pulse" for requests without credentials."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, path: str) -> None:
        super().__init__(path, _Handler)
        self.fake = FakeJmap()
        self.path = path
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.slow = 0.0
        self.asked: list[str] = []
        self.connections = 0


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Engine

    def setup(self) -> None:
        self.server.connections += 1
        super().setup()

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        known = "authorization" in self.headers
        self.server.asked.append(self.command if known else "pulse")
        self.server.goes_on.wait()
        if self.command == "POST":
            time.sleep(self.server.slow)
        request = httpx2.Request(self.command, f"http://engine{self.path}", content=body, headers=dict(self.headers))
        response = self.server.fake.handle(request) if known else httpx2.Response(401)
        self.send_response(response.status_code)
        self.send_header("Content-Length", str(len(response.content)))
        self.end_headers()
        self.wfile.write(response.content)

    do_GET = do_POST = answer  # noqa: N815

    def address_string(self) -> str:
        return "socket"

    def log_message(self, *args: Any) -> None:
        pass
