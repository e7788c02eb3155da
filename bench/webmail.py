"""`webmail.inbox_over_raw`: the inbox page over HTTP, against the very JMAP requests it makes, sent raw."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx2

from bench.company import PASSWORD, bench_company
from bench.figures import Figure, interleaved, median
from bench.http import UnixConnection, ask, connect
from bench.stack import Stack, say

NAMES = ("webmail.inbox_over_raw",)
PAGE = "/mail/f/inbox"
ROUNDS = 200


def measure(stack: Stack, _wanted: frozenset[str]) -> Iterator[Figure]:
    """Medians of interleaved runs, both over kept connections."""
    company = bench_company(stack)
    raw = _recorded(company.mailbox)
    access = _access(company.mailbox)
    stack.forget_limits()
    cookie = _sign_in(stack.env["DEFTMAIL_BASE_URL"], company.mailbox)
    page = connect(stack.env["DEFTMAIL_BASE_URL"])
    jmap = UnixConnection(str(access.uds))

    def web(_round: int) -> None:
        body = ask(page, "GET", PAGE, {"Cookie": cookie, "Accept-Encoding": "identity"})
        assert body.count(b"/mail/f/inbox/t/") >= 50

    def engine(_round: int) -> None:
        for path, content in raw:
            headers = {**access.request_headers(), "Content-Type": "application/json", "Accept-Encoding": "identity"}
            ask(jmap, "POST", path, headers, content)

    pages, batches = interleaved(ROUNDS, web, engine)
    say(f"inbox page {median(pages):.1f} ms, its {len(raw)} JMAP request(s) raw {median(batches):.1f} ms")
    yield Figure.ratio_of("webmail.inbox_over_raw", median(pages), median(batches), "ms")


def _access(address: str):  # type: ignore[no-untyped-def]  # the type lives behind django.setup()
    from deftmail.engine.registry import engine

    return engine().jmap_access(address)


def _recorded(address: str) -> list[tuple[str, bytes]]:
    """The JMAP requests of one inbox page: those that the page's own code makes here."""
    from django.http import QueryDict

    from deftmail.jmap import MailAccount
    from deftmail.jmap.transport import JmapClient
    from deftmail.webmail.views.lists import folder_page

    access = _access(address)
    made: list[tuple[str, bytes]] = []

    class Recorder(httpx2.HTTPTransport):
        def handle_request(self, request: httpx2.Request) -> httpx2.Response:
            if request.method == "POST":
                made.append((urlsplit(str(request.url)).path, request.read()))
            return super().handle_request(request)

    account = MailAccount(access, JmapClient(Recorder(uds=access.uds)))
    folder_page(account, "inbox", QueryDict())  # fills the caches that a second page finds filled
    made.clear()
    folder_page(account, "inbox", QueryDict())
    assert made
    return list(made)


def _sign_in(base: str, address: str) -> str:
    """The Cookie header of a signed-in browser."""
    from django.urls import reverse

    url = base + reverse("account_login")
    with httpx2.Client(timeout=30) as client:
        form = client.get(url).text
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)
        assert token, "the sign-in page has a form"
        answer = client.post(
            url,
            data={"login": address, "password": PASSWORD, "csrfmiddlewaretoken": token[1]},
            headers={"Referer": url},
        )
        assert answer.status_code == 302, answer.text[:500]
        return "; ".join(f"{name}={value}" for name, value in client.cookies.items())
