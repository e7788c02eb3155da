"""The network resolver against an authoritative server inside the test."""

import socket
from collections.abc import Iterator

import pytest
from dnslib import AAAA, CNAME, MX, NS, QTYPE, RCODE, RR, TXT, A, DNSRecord
from dnslib.server import BaseResolver, DNSHandler, DNSServer

from deftmail.domains.resolver import DnsResolver
from deftmail.mailproto.dnsanswer import Answer

LONG = b"v=DKIM1; k=rsa; p=" + b"A" * 400

ZONE = {
    "acme.test.": [
        RR("acme.test.", QTYPE.MX, rdata=MX("Mail.Deftmail.test.", 10)),
        RR("acme.test.", QTYPE.TXT, rdata=TXT([LONG[:255], LONG[255:]])),
        RR("acme.test.", QTYPE.TXT, rdata=TXT(["caf\u00e9".encode("latin-1")])),
        RR("acme.test.", QTYPE.A, rdata=A("192.0.2.1")),
        RR("acme.test.", QTYPE.AAAA, rdata=AAAA("2001:db8::1")),
        RR("acme.test.", QTYPE.NS, rdata=NS("ns.acme.test.")),
    ],
    "null.test.": [RR("null.test.", QTYPE.MX, rdata=MX(".", 0))],
    "alias.test.": [
        RR("alias.test.", QTYPE.CNAME, rdata=CNAME("key.test.")),
        RR("key.test.", QTYPE.TXT, rdata=TXT("v=DKIM1; p=")),
    ],
    "border.test.": [RR("border.test.", QTYPE.CNAME, rdata=CNAME("far.test."))],
    "far.test.": [RR("far.test.", QTYPE.TXT, rdata=TXT("v=DKIM1; p=AAAA"))],
    "dangling.test.": [RR("dangling.test.", QTYPE.CNAME, rdata=CNAME("gone.test."))],
    "circle.test.": [RR("circle.test.", QTYPE.CNAME, rdata=CNAME("circle2.test."))],
    "circle2.test.": [RR("circle2.test.", QTYPE.CNAME, rdata=CNAME("circle.test."))],
    "many.test.": [RR("many.test.", QTYPE.TXT, rdata=TXT(f"record {n}")) for n in range(80)],
}


class Zone(BaseResolver):  # type: ignore[misc]  # dnslib ships no types
    def resolve(self, request: DNSRecord, handler: DNSHandler) -> DNSRecord:
        reply = request.reply()
        name, rtype = str(request.q.qname).lower(), request.q.qtype
        if name == "broken.test.":
            reply.header.rcode = RCODE.SERVFAIL
        elif name == "refused.test.":
            reply.header.rcode = RCODE.REFUSED
        elif name not in ZONE:
            reply.header.rcode = RCODE.NXDOMAIN
        for record in ZONE.get(name, []):
            if rtype == record.rtype or record.rtype == QTYPE.CNAME or name == "alias.test.":
                reply.add_answer(record)
        return reply


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    servers = [DNSServer(Zone(), port=0, address="127.0.0.1")]
    port = servers[0].server.server_address[1]
    servers.append(DNSServer(Zone(), port=port, address="127.0.0.1", tcp=True))
    for one in servers:
        one.start_thread()
    yield f"127.0.0.1:{port}"
    for one in servers:
        one.stop()
        one.server.server_close()


@pytest.fixture
def resolver(server: str) -> DnsResolver:
    return DnsResolver([server], lifetime=2)


def test_records_come_as_text(resolver: DnsResolver) -> None:
    assert resolver.query("acme.test", "MX") == Answer("records", ("10 mail.deftmail.test",))
    assert resolver.query("acme.test", "A") == Answer("records", ("192.0.2.1",))
    assert resolver.query("acme.test", "AAAA") == Answer("records", ("2001:db8::1",))
    assert resolver.query("acme.test", "NS") == Answer("records", ("ns.acme.test",))
    assert resolver.query("null.test", "MX") == Answer("records", ("0 .",))


def test_the_strings_of_a_txt_record_are_joined_and_any_bytes_are_decoded(resolver: DnsResolver) -> None:
    answer = resolver.query("ACME.test.", "TXT")
    assert answer.status == "records"
    assert set(answer.records) == {LONG.decode(), "caf\ufffd"}


def test_a_cname_is_followed(resolver: DnsResolver) -> None:
    assert resolver.query("alias.test", "TXT") == Answer("records", ("v=DKIM1; p=",))


def test_a_cname_is_followed_across_the_border_of_a_zone(resolver: DnsResolver) -> None:
    assert resolver.query("border.test", "TXT") == Answer("records", ("v=DKIM1; p=AAAA",))
    assert resolver.query("dangling.test", "TXT") == Answer("nxdomain")
    assert resolver.query("circle.test", "TXT") == Answer("noanswer")


def test_no_name_and_no_record_are_told_apart(resolver: DnsResolver) -> None:
    assert resolver.query("gone.test", "TXT") == Answer("nxdomain")
    assert resolver.query("null.test", "TXT") == Answer("noanswer")


@pytest.mark.parametrize("name", ["a..b", "x" * 70 + ".test", "ü.test", ".".join(["a" * 60] * 5), "\\999.test"])
def test_a_name_that_the_dns_cannot_carry_does_not_exist(resolver: DnsResolver, name: str) -> None:
    assert resolver.query(name, "A") == Answer("nxdomain")


@pytest.mark.parametrize(("name", "detail"), [("broken.test", "SERVFAIL"), ("refused.test", "REFUSED")])
def test_a_server_that_fails_is_a_failure_not_an_absence(resolver: DnsResolver, name: str, detail: str) -> None:
    assert resolver.query(name, "TXT") == Answer("failure", detail=detail)


def test_an_answer_over_tcp_is_read_and_its_size_is_limited(resolver: DnsResolver) -> None:
    assert len(resolver.query("many.test", "TXT").records) == 50


def test_silence_is_a_failure_and_ends_in_time() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        resolver = DnsResolver([f"127.0.0.1:{silent.getsockname()[1]}"], lifetime=0.3)
        assert resolver.query("acme.test", "TXT") == Answer("failure", detail="time-out")


def test_a_second_server_answers_for_a_dead_one(server: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        resolver = DnsResolver([f"127.0.0.1:{silent.getsockname()[1]}", server], lifetime=4)
        resolver._resolver.timeout = 0.2  # the first server's share of the time, kept short for the test
        assert resolver.query("acme.test", "A").records == ("192.0.2.1",)


@pytest.mark.parametrize(
    ("text", "address", "port"),
    [
        ("127.0.0.1:5353", "127.0.0.1", 5353),
        ("127.0.0.1", "127.0.0.1", 53),
        ("[::1]:5353", "::1", 5353),
        ("[::1]", "::1", 53),
        ("::1", "::1", 53),
    ],
)
def test_servers_are_named_with_or_without_a_port(text: str, address: str, port: int) -> None:
    (nameserver,) = DnsResolver([text])._resolver.nameservers
    assert (getattr(nameserver, "address", None), getattr(nameserver, "port", None)) == (address, port)
