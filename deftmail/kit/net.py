"""Where a request came from, with only as many proxies believed as the operator runs."""

from __future__ import annotations

from django.http import HttpRequest

from deftmail.kit.conf import conf


def client_ip(request: HttpRequest) -> str:
    """The client's address: the peer, or the entry our outermost trusted proxy appended to X-Forwarded-For."""
    count = conf.trusted_proxies
    peer = str(request.META.get("REMOTE_ADDR") or "")
    if not count:
        return peer
    chain = [part.strip() for part in str(request.META.get("HTTP_X_FORWARDED_FOR", "")).split(",") if part.strip()]
    return chain[-count] if len(chain) >= count else peer
