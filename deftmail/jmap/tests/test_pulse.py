"""Engines that say nothing, and engines that take long to say something: real sockets, shortened patience."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from deftmail.jmap import Access, EngineUnavailable, JmapClient, MailAccount, pulse
from deftmail.jmap.tests.sockets import Engine

PATIENCE, ANSWERS_WITHIN, QUIET = 0.2, 0.5, 0.4
SLOW = 5 * PATIENCE


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (
        ("PATIENCE", PATIENCE),
        ("ANSWERS_WITHIN", ANSWERS_WITHIN),
        ("QUIET", QUIET),
        ("FRESH", PATIENCE),
    ):
        monkeypatch.setattr(pulse, name, seconds)


@pytest.fixture
def account(engine: Engine) -> Iterator[MailAccount]:
    client = JmapClient()
    access = Access("http://localhost/jmap/", {"Authorization": "x"}, "alice@acme.test", uds=engine.path)
    made = MailAccount(access, client)
    made.folders()
    yield made
    client.close()


def refused(account: MailAccount) -> tuple[float, EngineUnavailable]:
    began = time.monotonic()
    with pytest.raises(EngineUnavailable) as caught:
        account.folders()
    return time.monotonic() - began, caught.value


def test_a_frozen_engine_is_known_soon_and_the_next_request_is_answered_at_once(engine, account) -> None:
    engine.goes_on.clear()
    waited, error = refused(account)
    assert PATIENCE + ANSWERS_WITHIN <= waited < PATIENCE + ANSWERS_WITHIN + 1
    assert (error.code, error.sent) == ("timeout", True)
    before = len(engine.asked)
    waited, error = refused(account)
    assert waited < PATIENCE
    assert (error.code, error.sent) == ("timeout", False)
    assert len(engine.asked) == before, "nothing was sent"


def test_after_a_while_it_is_asked_before_anything_is_sent(engine, account) -> None:
    engine.goes_on.clear()
    refused(account)
    time.sleep(QUIET)
    before = len(engine.asked)
    _, error = refused(account)
    assert not error.sent
    assert engine.asked[before:] == ["pulse"]
    engine.goes_on.set()
    time.sleep(QUIET)
    assert account.folders().role("inbox")
    assert engine.asked[-2:] == ["pulse", "POST"]
    before = len(engine.asked)
    account.folders()
    assert engine.asked[before:] == ["POST"], "a living engine is not asked whether it lives"


def test_a_slow_engine_that_lives_is_waited_for(engine, account) -> None:
    engine.slow = SLOW
    began = time.monotonic()
    assert account.folders().role("inbox")
    assert time.monotonic() - began >= SLOW
    assert "pulse" in engine.asked


def test_many_who_wait_ask_once(engine, account) -> None:
    engine.slow = SLOW
    with ThreadPoolExecutor(8) as pool:
        found = [future.result() for future in [pool.submit(account.folders) for _ in range(8)]]
    assert all(folders.role("inbox") for folders in found)
    assert engine.asked.count("pulse") <= 8, "each of the eight looks four times"
    engine.goes_on.clear()
    before = len(engine.asked)
    with ThreadPoolExecutor(8) as pool:
        waits = [future.result()[0] for future in [pool.submit(refused, account) for _ in range(8)]]
    assert max(waits) < PATIENCE + ANSWERS_WITHIN + 1
    assert engine.asked[before:].count("pulse") == 1


def test_an_engine_that_lives_and_never_answers_ends_with_the_request_s_own_time(engine, account) -> None:
    engine.slow = 10 * SLOW
    batch = account._batch()
    batch.call("Mailbox/get", {}, dict)
    began = time.monotonic()
    with pytest.raises(EngineUnavailable) as caught:
        account.client.run(account.access, batch, timeout=httpx2.Timeout(SLOW))
    assert caught.value.sent
    assert SLOW <= time.monotonic() - began < SLOW + 1
    engine.slow = 0
    assert account.folders().role("inbox"), "nobody took it for dead"
