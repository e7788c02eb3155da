"""The local authority: a mail program that trusts ca.pem accepts our servers, under each of their names."""

import datetime
import socket
import ssl
import threading
from pathlib import Path

import pytest
import time_machine

from deftmail.stack import ca, files
from deftmail.stack.memory import Memory, Secrets
from deftmail.stack.paths import Layout
from deftmail.stack.site import Site


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(files, "account", lambda name: (0, 0))
    made = Site(Layout(tmp_path, Path("/run/deftmail-test")), Memory(), Secrets())
    ca.ensure(made)
    return made


def _greeting(site: Site, name: str) -> bytes:
    ours, theirs = socket.socketpair()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(site.layout.ca / "server.pem", site.layout.ca / "server.key")

    def serve() -> None:
        with server.wrap_socket(ours, server_side=True) as link:
            link.sendall(b"hello")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        client = ssl.create_default_context(cafile=str(site.layout.ca / "ca.pem"))
        with client.wrap_socket(theirs, server_hostname=name) as link:
            return link.recv(5)
    finally:
        theirs.close()
        thread.join()


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "mail.deftmail.test"])
def test_the_certificate_holds_for_every_name_of_the_server(site: Site, name: str) -> None:
    assert _greeting(site, name) == b"hello"


def test_a_certificate_that_lasts_is_kept(site: Site) -> None:
    before = (site.layout.ca / "server.pem").read_bytes()
    ca.ensure(site)
    assert (site.layout.ca / "server.pem").read_bytes() == before


def test_a_certificate_near_its_end_is_replaced_and_the_authority_stays(site: Site) -> None:
    authority = (site.layout.ca / "ca.pem").read_bytes()
    before = (site.layout.ca / "server.pem").read_bytes()
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=ca.SERVER_DAYS - ca.RENEW_DAYS + 1)
    with time_machine.travel(later):
        ca.ensure(site)
    assert (site.layout.ca / "server.pem").read_bytes() != before
    assert (site.layout.ca / "ca.pem").read_bytes() == authority
