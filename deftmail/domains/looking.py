"""Asking the DNS about a domain: the questions at once, and never longer than a page may take.

No database here: a look takes seconds and must hold neither a transaction nor a connection.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

import dns.resolver

from deftmail.domains import records
from deftmail.domains.resolver import DnsResolver
from deftmail.kit.conf import conf
from deftmail.kit.database import release_connections
from deftmail.mailproto import dkim, dnsrecords
from deftmail.mailproto.dnsanswer import Answer, RecordType, Resolver
from deftmail.mailproto.dnschecks import Checks, check_domain
from deftmail.mailproto.errors import DkimError

BUDGET = 9.0
"""Seconds for a whole look. SPF includes are followed one by one; what is left then counts as not answered."""
DEFAULT_SELECTOR = "default"

_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

Question = tuple[str, RecordType]


def make_resolver() -> Resolver:
    """A resolver over the configured servers, or the system's where none are."""
    servers = [server.strip() for server in conf.dns_servers.split(",") if server.strip()]
    return DnsResolver(servers or [str(server) for server in dns.resolver.get_default_resolver().nameservers])


class AtOnce:
    """A resolver that asks the questions known beforehand in parallel, and stops asking when the budget is spent."""

    def __init__(self, source: Resolver, questions: Iterable[Question], *, budget: float = BUDGET) -> None:
        release_connections()
        self._source = source
        self._ends = time.monotonic() + budget
        asked = list(dict.fromkeys(questions))
        with ThreadPoolExecutor(max_workers=len(asked) or 1, thread_name_prefix="dns") as pool:
            self._known = dict(zip(asked, pool.map(lambda question: self._ask(*question), asked), strict=True))

    def query(self, name: str, rtype: RecordType) -> Answer:
        """A known answer, or a question to the source while there is time."""
        known = self._known.get((name, rtype))
        if known is not None:
            return known
        if time.monotonic() >= self._ends:
            return Answer("failure", detail="time-out")
        return self._ask(name, rtype)

    def _ask(self, name: str, rtype: RecordType) -> Answer:
        """A strange owner of a zone decides what comes back: PostgreSQL holds no NUL, and a log no escape sequence."""
        answer = self._source.query(name, rtype)
        return replace(answer, records=tuple(_CONTROL.sub("\ufffd", text) for text in answer.records))


def look(expected: dnsrecords.Expected, resolver: Resolver | None = None) -> Checks:
    """Run the four checks of a domain now."""
    questions: list[Question] = [
        (expected.domain, "MX"),
        (expected.domain, "TXT"),
        (expected.dkim_name, "TXT"),
        (expected.dmarc_name, "TXT"),
    ]
    return check_domain(expected, AtOnce(resolver or make_resolver(), questions))


def first_look(
    name: str, public_b64: str, today: date, resolver: Resolver | None = None
) -> tuple[str, tuple[dnsrecords.SuggestedRecord, ...]]:
    """The selector to use for a new domain, and its records merged with what stands there.

    The selector is `default`, or `dm<yyyymm>` where another host already signs with `default`. A DNS that does not
    answer counts as nothing there: the next look corrects the records.
    """
    wanted = records.expected(name, DEFAULT_SELECTOR, public_b64)
    questions: list[Question] = [
        (name, "MX"),
        (name, "TXT"),
        (wanted.dkim_name, "TXT"),
        (wanted.dkim_name, "CNAME"),
        (wanted.dmarc_name, "TXT"),
    ]
    answers = AtOnce(resolver or make_resolver(), questions)
    at_default = answers.query(wanted.dkim_name, "TXT")
    if _is_used(at_default) or answers.query(wanted.dkim_name, "CNAME").records:
        wanted = records.expected(name, dkim.rotation_selector(today), public_b64)
        at_default = Answer("noanswer")
    seen = dnsrecords.DomainAnswers(
        mx=answers.query(name, "MX"),
        txt=answers.query(name, "TXT"),
        dkim=at_default,
        dmarc=answers.query(wanted.dmarc_name, "TXT"),
    )
    return wanted.dkim_selector, dnsrecords.suggest_records(wanted, seen)


def _is_used(answer: Answer) -> bool:
    """Whether a key that is not withdrawn stands there. A wildcard TXT record is not a key."""
    for text in answer.records:
        try:
            record = dkim.parse_key_record(text)
        except DkimError:
            continue
        if not record.revoked:
            return True
    return False
