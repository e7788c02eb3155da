"""One log line of every request, with nothing in it that opens a door or tells what somebody looked for."""

from __future__ import annotations

import time

import structlog
from django.http import HttpRequest, HttpResponse
from django_structlog.middlewares import RequestMiddleware

from deftmail.kit.logs import without_secrets_of_links
from deftmail.kit.net import client_ip


class RequestLog(RequestMiddleware):
    """`request_finished` with how long it took, and the request's id in `X-Request-ID`, so that a person can name it.

    The id is always ours (settings): one that a client chose would let him write into the log and the audit trail.
    """

    def prepare(self, request: HttpRequest) -> None:
        """Remember when it began."""
        request.began = time.perf_counter()  # type: ignore[attr-defined]
        super().prepare(request)

    @classmethod
    def bind_ip(cls, request: HttpRequest) -> None:
        """The address that the limits count, not whatever X-Forwarded-For says."""
        structlog.contextvars.bind_contextvars(ip=client_ip(request))

    @staticmethod
    def format_request(request: HttpRequest) -> str:
        """Method and path. Of the query only the names: values are search words and addresses."""
        query = "&".join(f"{name}=…" for name in list(request.GET)[:20])
        path = without_secrets_of_links(request.path)
        return f"{request.method} {path}" + (f"?{query[:200]}" if query else "")

    def handle_response(self, request: HttpRequest, response: HttpResponse) -> None:
        """Say the id before the context is cleared."""
        if request_id := structlog.contextvars.get_contextvars().get("request_id"):
            response["X-Request-ID"] = str(request_id)
        structlog.contextvars.bind_contextvars(
            duration_ms=round((time.perf_counter() - request.began) * 1000, 1),  # type: ignore[attr-defined]
            user_agent=request.headers.get("User-Agent", "")[:300],
        )
        super().handle_response(request, response)
