"""How to reach one mailbox on one engine. The engine room makes these; this package only uses them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

HeaderSource = Mapping[str, str] | Callable[[], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Access:
    """Acting as one mailbox, without its password.

    ``session_url`` is where the session object lies; its scheme, host and port are the *internal* origin all requests
    go to. ``headers`` (Authorization) may be a callable, asked at every request, so that short-lived tokens stay fresh.
    ``refresh`` is called once after a 401, before headers are asked again and the request is repeated.
    ``account_id`` None means the session's primary mail account. ``uds`` is the path of a Unix socket.
    """

    session_url: str
    headers: HeaderSource = field(repr=False)
    username: str
    account_id: str | None = None
    uds: str | None = None
    engine: str = ""
    refresh: Callable[[], None] | None = field(default=None, repr=False)

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What a cached session object belongs to."""
        return (self.engine, self.uds or self.session_url, self.username, self.account_id or "")

    def request_headers(self) -> dict[str, str]:
        """The headers for one request."""
        return dict(self.headers() if callable(self.headers) else self.headers)
