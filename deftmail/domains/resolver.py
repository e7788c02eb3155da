"""Questions to the DNS over the network, answered as values of :mod:`deftmail.mailproto.dnsanswer`."""

import time
from collections.abc import Sequence
from typing import Any

import dns.exception
import dns.name
import dns.nameserver
import dns.rdatatype
import dns.resolver

from deftmail.mailproto.dnsanswer import Answer, RecordType

LIFETIME = 4.0  # seconds for one question, all servers and retries together
MAX_RECORDS = 50  # records of one answer that are looked at
MAX_ALIASES = 8  # CNAMEs from zone to zone
MAX_TXT = 8192  # octets of one TXT record


class DnsResolver:
    """Asks the named servers and no others; the machine's own configuration is not read.

    Satisfies :class:`deftmail.mailproto.dnsanswer.Resolver`: CNAMEs are followed, and whatever the DNS or the network
    does comes back as an :class:`Answer`. Nothing is cached: people press "check now" because they
    have just changed something.
    """

    def __init__(self, nameservers: Sequence[str], *, lifetime: float = LIFETIME) -> None:
        """Take servers as ``address:port`` or ``[v6]:port`` (port 53 where none is named); ``lifetime`` in seconds."""
        self._resolver = dns.resolver.Resolver(configure=False)
        self._resolver.nameservers = [dns.nameserver.Do53Nameserver(*_split(server)) for server in nameservers]
        self._resolver.lifetime = lifetime
        self._resolver.timeout = min(2.0, lifetime)  # for one server, so that a second one gets its turn
        self._resolver.use_edns(0, 0, 1232)  # long TXT answers without fragments; TCP where that is not enough

    def query(self, name: str, rtype: RecordType) -> Answer:
        """Answer one question; never raises for what the DNS or the network does."""
        try:
            answer = self._resolve(_absolute(name), rtype)
        except dns.resolver.NXDOMAIN:
            return Answer("nxdomain")
        except dns.exception.Timeout:
            return Answer("failure", detail="time-out")
        except dns.resolver.NoNameservers as error:
            return Answer("failure", detail=_reason(error))
        except dns.resolver.YXDOMAIN:
            return Answer("failure", detail="YXDOMAIN")
        except (dns.name.LabelTooLong, dns.name.NameTooLong, dns.name.EmptyLabel, dns.name.BadEscape, UnicodeError):
            return Answer("nxdomain")  # a name the DNS cannot carry has no records
        except (dns.exception.DNSException, OSError, EOFError) as error:
            return Answer("failure", detail=type(error).__name__)
        if answer.rrset is None:
            return Answer("noanswer")
        texts = tuple(_text(rdata, rtype) for rdata in list(answer.rrset)[:MAX_RECORDS])
        return Answer("records", texts)

    def _resolve(self, name: dns.name.Name, rtype: RecordType) -> dns.resolver.Answer:
        # A recursive server follows a CNAME; one that only knows its own zones stops at their border, so we go on.
        deadline = time.monotonic() + self._resolver.lifetime
        answer = self._resolver.resolve(name, rtype, search=False, raise_on_no_answer=False)
        for _ in range(MAX_ALIASES):
            target = answer.canonical_name
            if answer.rrset is not None or target == name:
                break
            name, left = target, max(0.1, deadline - time.monotonic())
            answer = self._resolver.resolve(name, rtype, search=False, raise_on_no_answer=False, lifetime=left)
        return answer


def _absolute(name: str) -> dns.name.Name:
    # Bytes, not text: names are A-labels already and dnspython's own IDNA (2003) must not touch them.
    return dns.name.from_text(name.encode("ascii"), origin=dns.name.root)


def _text(rdata: Any, rtype: RecordType) -> str:  # Any: dnspython's record classes are made at run time
    if rtype == "TXT":
        # RFC 7208 §3.3 and RFC 6376 §3.6.2.2: the strings of one record are joined with nothing between.
        raw: bytes = b"".join(rdata.strings)
        return raw[:MAX_TXT].decode("utf-8", "replace")
    if rtype == "MX":
        return f"{rdata.preference} {_host(rdata.exchange)}"
    if rtype in ("NS", "CNAME"):
        return _host(rdata.target)
    return str(rdata.address)


def _host(name: dns.name.Name) -> str:
    return "." if name == dns.name.root else name.to_text(omit_final_dot=True).lower()


def _split(server: str) -> tuple[str, int]:
    address, colon, port = server.strip().rpartition(":")
    if not colon or "]" in port or (":" in address and not address.startswith("[")):  # no port, or a bare IPv6 address
        return server.strip().strip("[]"), 53
    return address.strip("[]"), int(port)


def _reason(error: dns.resolver.NoNameservers) -> str:
    """Name what the servers said: SERVFAIL, REFUSED, or the fault of the connection."""
    errors = error.kwargs.get("errors") or []
    if not errors:
        return "no name server answered"
    cause = errors[-1][3]
    return cause if isinstance(cause, str) else type(cause).__name__
