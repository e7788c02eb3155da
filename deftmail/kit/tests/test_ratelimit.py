"""The limiter without Redis (unmarked) and with it (`servers`)."""

import secrets
import threading
import uuid

import pytest
import redis

from deftmail.kit import ratelimit


@pytest.fixture
def no_redis(monkeypatch):
    def away(*args, **kwargs):
        raise redis.ConnectionError

    monkeypatch.setattr(ratelimit, "_script", lambda: away)
    monkeypatch.setattr(ratelimit, "_local", ratelimit.LocalBuckets())


def test_with_redis_away_reads_stay_open(no_redis):
    subject = str(uuid.uuid4())
    assert all(ratelimit.hit("page", subject).allowed for _ in range(500))


def test_with_redis_away_sign_in_falls_back_to_this_process(no_redis):
    subject = str(uuid.uuid4())
    verdicts = [ratelimit.hit("signin", subject) for _ in range(15)]
    assert sum(verdict.allowed for verdict in verdicts) == ratelimit.LIMITS["signin"].burst
    assert verdicts[-1].retry_after >= 1
    assert ratelimit.hit("signin", "somebody else").allowed


def test_the_local_fallback_is_bounded(no_redis):
    for number in range(10_050):
        ratelimit.hit("signin", str(number))
    assert len(ratelimit._local._tats) == 10_000


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("garbage", "unknown"),
    ],
)
def test_an_ipv6_line_is_its_64(address, key):
    assert ratelimit.address_key(address) == key


def take_and_give_back(tries):
    """Charges of two limits together, one given back; how many more then pass."""
    account, address = str(uuid.uuid4()), f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::1"
    burst = ratelimit.LIMITS["account_failures"].burst
    for _ in range(burst):
        assert ratelimit.wrong_passwords(account, address).allowed
    refused = ratelimit.wrong_passwords(account, address)
    assert not refused.allowed
    assert 0 < refused.retry_after <= ratelimit.LIMITS["account_failures"].seconds
    ratelimit.wrong_passwords(account, address, cost=-1)
    passed = sum(ratelimit.wrong_passwords(account, address).allowed for _ in range(tries))
    # Given back more often than taken is no credit.
    for _ in range(burst * 3):
        ratelimit.wrong_passwords(account, address, cost=-1)
    assert sum(ratelimit.wrong_passwords(account, None).allowed for _ in range(burst * 2)) == burst
    return passed


def test_with_redis_away_a_charge_can_be_given_back_too(no_redis):
    assert take_and_give_back(5) == 1


@pytest.mark.servers
def test_a_charge_can_be_given_back():
    assert take_and_give_back(5) == 1


@pytest.mark.servers
def test_800_parallel_tries_pass_exactly_the_burst():
    subject = str(uuid.uuid4())
    burst = ratelimit.LIMITS["signup"].burst
    allowed: list[bool] = []

    def worker():
        allowed.extend(ratelimit.hit("signup", subject).allowed for _ in range(50))

    threads = [threading.Thread(target=worker) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(allowed) == 800
    assert sum(allowed) == burst


@pytest.mark.servers
def test_asking_does_not_charge_and_two_subjects_are_all_or_nothing():
    one, two = str(uuid.uuid4()), str(uuid.uuid4())
    assert all(ratelimit.hit("signup", one, cost=0).allowed for _ in range(50))
    burst = ratelimit.LIMITS["signup"].burst
    for _ in range(burst):
        assert ratelimit.hit("signup", one).allowed
    assert not ratelimit.hit("signup", one, cost=0).allowed
    refused = ratelimit.hit("signup", one, two)
    assert not refused.allowed
    assert refused.retry_after > 0
    # `two` was not charged by the refusal.
    assert sum(ratelimit.hit("signup", two).allowed for _ in range(burst + 1)) == burst
