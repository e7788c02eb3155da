"""Set-up and doctor against the whole fake: the objects it makes are ones that its rules take."""

from __future__ import annotations

import base64

import httpx2
import pytest

from deftmail.engine.drivers.stalwart import doctor, setup
from deftmail.engine.drivers.stalwart.fake.server import FakeStalwart
from deftmail.engine.drivers.stalwart.wanted import Wanted
from deftmail.engine.drivers.stalwart.wire import Management
from deftmail.engine.errors import EngineRefused

WANTED = Wanted("https://app.acme.test", "acme.test")


@pytest.fixture
def fake():
    return FakeStalwart()


def administrator(fake):
    basic = base64.b64encode(fake.admin.encode()).decode()
    return Management("http://stalwart.test", f"Basic {basic}", transport=fake.transport())


def service(fake, key):
    return Management("http://stalwart.test", f"Bearer {key.get_secret_value()}", transport=fake.transport())


def run(server, **options):
    return setup.apply(server, setup.plan(setup.read(server, WANTED), WANTED, **options))


def test_the_key_that_is_issued_works_and_finds_nothing_left_to_do(fake):
    outcome = run(administrator(fake))
    ours = service(fake, outcome.api_key)
    assert setup.answers(ours)
    assert setup.plan(setup.read(ours, WANTED), WANTED, key_works=True).steps == ()
    well = httpx2.MockTransport(lambda _request: httpx2.Response(200))
    assert doctor.examine(ours, WANTED, has_key=True, account=outcome.account, transport=well) == []


def test_a_new_key_takes_the_earlier_one_back(fake):
    first = run(administrator(fake)).api_key
    second = run(administrator(fake), new_key=True).api_key
    assert not setup.answers(service(fake, first))
    assert setup.answers(service(fake, second))


def test_without_dns_the_reload_fails_and_the_next_run_makes_up_for_it(fake):
    server = administrator(fake)
    server.set("SpamPyzor", update={"singleton": {"enable": True}})
    with pytest.raises(EngineRefused, match="SpamPyzor"):
        run(server)
    assert fake.registry.applied["MtaHook"] == []
    server.set("SpamPyzor", update={"singleton": {"enable": False}})
    outcome = run(server)
    assert outcome.done == ("key of the service account",), "a key that nobody was shown is of no use"
    assert setup.answers(service(fake, outcome.api_key))
    assert len(fake.registry.applied["MtaHook"]) == 2


def test_an_old_server_is_refused():
    with pytest.raises(EngineRefused, match=r"0\.16 or newer"):
        setup.read(administrator(FakeStalwart(old=True)), WANTED)
