"""What Postfix's log tells of charged messages; the log as files on a real disk, the counters in a table."""

from __future__ import annotations

import json
import sys

import pytest
from redis.exceptions import ConnectionError as RedisAway

from deftmail.gate.maillog import Follower, LogReader

PREFIX = "Nov 25 01:18:42 mail "
ARRIVED = PREFIX + "postfix/qmgr[11122]: 4jZ1z65cgSz1XDKM: from=<a@acme.test>, size=900, nrcpt=1 (queue active)\n"
REJECTED = (
    PREFIX + "postfix/cleanup[11122]: 4jZ1z65cgSz1XDKM: milter-reject: END-OF-MESSAGE from unknown[127.0.0.1]: "
    "5.7.1 Gtube pattern; from=<a@acme.test> to=<b@outside.example> proto=ESMTP helo=<[127.0.0.1]>\n"
)
OTHER = PREFIX + "postfix/submission/smtpd[1]: disconnect from unknown[127.0.0.1]\n"
ID = "4jZ1z65cgSz1XDKM"


class Counters:
    """Which charges were given back, which settled."""

    def __init__(self):
        self.given = []
        self.done = []
        self.error: Exception | None = None

    async def give_back(self, queue_id):
        if self.error is not None:
            raise self.error
        self.given.append(queue_id)
        return True

    async def settled(self, queue_ids):
        self.done += queue_ids

    async def open_charges(self):
        return ["left-by-an-earlier-gate"]


@pytest.fixture
def counters():
    return Counters()


@pytest.fixture
def log(tmp_path):
    return tmp_path / "mail.log"


def follower(counters, log, clock, queue=()):
    output = "".join(json.dumps({"queue_name": "active", "queue_id": each}) + "\n" for each in queue)
    command = (sys.executable, "-c", f"import sys; sys.stdout.write({output!r})")
    return Follower(counters, log, command, clock)


def write(log, text):
    with log.open("a") as file:
        file.write(text)


async def test_what_arrived_is_settled_and_never_given_back(counters, log, clock):
    watch = follower(counters, log, clock)
    watch.charged(ID)
    write(log, ARRIVED)
    await watch.step()
    clock.now += 1000
    write(log, REJECTED + OTHER)
    await watch.step()
    assert (counters.done, counters.given, watch.open_now) == ([ID], [], 0)


async def test_what_the_filter_refused_is_given_back_at_once(counters, log, clock):
    watch = follower(counters, log, clock)
    watch.charged(ID)
    write(log, REJECTED[:40])
    await watch.step()
    assert counters.given == []
    write(log, REJECTED[40:])
    await watch.step()
    assert (counters.given, watch.open_now) == ([ID], 0)


async def test_silence_of_a_minute_gives_back_what_the_queue_does_not_hold(counters, log, clock):
    watch = follower(counters, log, clock, queue=["IN0THE0QUEUE"])
    watch.charged(ID)
    watch.charged("IN0THE0QUEUE")
    clock.now += 59
    write(log, OTHER)
    await watch.step()
    assert counters.given == []
    clock.now += 2
    write(log, OTHER)
    await watch.step()
    assert (counters.given, counters.done) == ([ID], ["IN0THE0QUEUE"])


async def test_a_log_that_says_nothing_at_all_gives_nothing_back(counters, log, clock):
    watch = follower(counters, log, clock)  # not there, or of another machine: limits must stay applied
    watch.charged(ID)
    clock.now += 1000
    await watch.step()
    assert (counters.given, watch.open_now) == ([], 1)


async def test_a_queue_that_cannot_be_asked_gives_nothing_back(counters, log, clock):
    watch = Follower(counters, log, ("/nowhere/postqueue",), clock)
    watch.charged(ID)
    clock.now += 61
    write(log, OTHER)
    await watch.step()
    watch = Follower(counters, log, (sys.executable, "-c", "raise SystemExit(1)"), clock)
    watch.charged(ID)
    clock.now += 61
    write(log, OTHER)
    await watch.step()
    assert counters.given == []


async def test_redis_away_is_tried_again(counters, log, clock):
    watch = follower(counters, log, clock)
    watch.charged(ID)
    counters.error = RedisAway("away")
    clock.now += 61
    write(log, OTHER)
    with pytest.raises(RedisAway):
        await watch.step()
    counters.error = None
    await watch.step()
    assert counters.given == [ID]


async def test_without_a_log_nothing_is_watched(counters, clock):
    watch = Follower(counters, None, (), clock)
    watch.charged(ID)
    await watch.step()
    assert watch.open_now == 0


def smtpd(pid, text, service="submission"):
    return f"{PREFIX}postfix/{service}/smtpd[{pid}]: {text}\n"


async def test_whom_a_submission_process_serves(counters, log, clock):
    watch = follower(counters, log, clock)
    assert await watch.client_of(7) is None
    write(
        log,
        smtpd(7, "connect from unknown[192.0.2.1]") + smtpd(8, "connect from a.example[2001:db8::1]", "submissions"),
    )
    assert await watch.client_of(7) == "192.0.2.1"
    assert await watch.client_of(8) == "2001:db8::1"
    write(log, smtpd(7, "disconnect from unknown[192.0.2.1] ehlo=1 auth=0/1 commands=1/2"))
    assert await watch.client_of(7) is None, "the next client's line may still be on its way"
    write(log, smtpd(7, "connect from unknown[192.0.2.2]"))
    assert await watch.client_of(7) == "192.0.2.2"


@pytest.mark.parametrize(
    "line",
    [
        smtpd(7, "connect from unknown[192.0.2.9]", "mx"),
        smtpd(7, "warning: connect from unknown[192.0.2.9]"),
        smtpd(8, "warning: x[1] postfix/submission/smtpd[7]: connect to y[192.0.2.9]"),
        smtpd(7, "connect from nobody"),
    ],
)
async def test_what_says_nothing_of_a_client(counters, log, clock, line):
    watch = follower(counters, log, clock)
    write(log, smtpd(7, "connect from unknown[192.0.2.1]") + line)
    assert await watch.client_of(7) == "192.0.2.1"


async def test_asking_for_a_client_takes_no_news_of_a_charge_away(counters, log, clock):
    watch = follower(counters, log, clock)
    watch.charged(ID)
    write(log, ARRIVED)
    assert await watch.client_of(7) is None
    await watch.step()
    assert (counters.done, watch.open_now) == ([ID], 0)


async def test_a_log_that_cannot_be_read_tells_of_nobody(counters, tmp_path, clock):
    assert await follower(counters, tmp_path, clock).client_of(7) is None
    assert await Follower(counters, None, (), clock).client_of(7) is None


def test_a_log_is_followed_over_rotation_truncation_and_half_lines(log):
    reader = LogReader(log)
    assert reader.lines() == []
    write(log, "one\ntw")
    assert reader.lines() == [b"one"]
    write(log, "o\n")
    assert reader.lines() == [b"two"]
    log.rename(log.with_suffix(".1"))
    write(log.with_suffix(".1"), "three\n")
    write(log, "four\n")
    assert reader.lines() == [b"three", b"four"]
    log.write_text("5\n")
    assert reader.lines() == [b"5"]
    write(log, "x" * 200_000)
    assert reader.lines() == []
    write(log, "\nsix\n")
    assert reader.lines()[-1] == b"six"
    reader.close()


def test_only_the_end_of_a_long_log_is_read_at_start(log):
    log.write_text("".join(f"line {number}\n" for number in range(1000)))
    assert len(LogReader(log, backlog=100).lines()) < 15
