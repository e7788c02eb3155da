"""Looks at the DNS over a table: parallel questions, the budget, the selector of a new domain. No server."""

from __future__ import annotations

import threading
import time
from datetime import date

import pytest

from deftmail.domains import looking, records
from deftmail.mailproto import dkim
from deftmail.mailproto.dnsanswer import Answer, StaticResolver

NAME = "acme.test"
DAY = date(2026, 11, 24)


@pytest.fixture(scope="module")
def keys() -> tuple[dkim.DkimKey, dkim.DkimKey]:
    return dkim.generate_key(), dkim.generate_key()


def first_look(keys, table):
    selector, suggested = looking.first_look(NAME, keys[0].public_b64, DAY, StaticResolver(table))
    return selector, {record.purpose: record for record in suggested}


def test_a_new_name_gets_the_default_selector_and_the_operators_records(keys):
    selector, found = first_look(keys, {})
    assert selector == "default"
    assert found["mx"].value == "mail.deftmail.test"
    assert found["mx"].priority == 10
    assert found["spf"].value == "v=spf1 mx include:deftmail.test ~all"
    assert found["dkim"].name == "default._domainkey.acme.test"
    assert found["dkim"].value == f"v=DKIM1; k=rsa; p={keys[0].public_b64}"
    assert found["dmarc"].value == "v=DMARC1; p=quarantine; rua=mailto:dmarc@deftmail.test"


def test_where_another_host_signs_with_default_the_month_names_the_selector(keys):
    there = dkim.key_record_value(keys[1].public_b64)
    selector, found = first_look(keys, {("default._domainkey.acme.test", "TXT"): [there]})
    assert selector == "dm202611"
    assert found["dkim"].name == "dm202611._domainkey.acme.test"
    assert found["dkim"].replaces == ()


@pytest.mark.parametrize(
    "answer",
    [
        ["v=spf1 -all"],  # a wildcard TXT record is not a key
        ["v=DKIM1; k=rsa; p="],  # withdrawn
        Answer("failure", detail="SERVFAIL"),
    ],
)
def test_what_is_no_key_there_leaves_the_default(keys, answer):
    assert first_look(keys, {("default._domainkey.acme.test", "TXT"): answer})[0] == "default"


def test_a_delegated_default_selector_is_another_hosts(keys):
    table = {("default._domainkey.acme.test", "CNAME"): ["default.dkim.elsewhere.test"]}
    assert first_look(keys, table)[0] == "dm202611"


def test_existing_records_are_merged_from_the_first_page_on(keys):
    table = {
        ("acme.test", "TXT"): ["v=spf1 include:_spf.elsewhere.test -all", "site-verification=1"],
        ("acme.test", "MX"): ["5 mx.elsewhere.test"],
    }
    found = first_look(keys, table)[1]
    assert {"include:_spf.elsewhere.test", "include:deftmail.test", "-all"} <= set(found["spf"].value.split())
    assert found["spf"].replaces == ("v=spf1 include:_spf.elsewhere.test -all",)
    assert found["mx"].replaces == ("5 mx.elsewhere.test",)
    assert found["dmarc"].value.startswith("v=DMARC1; p=none;")


class Slow:
    """Answers after a moment, and counts how many questions are open at once."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.open, self.most, self.asked = seconds, 0, 0, 0
        self._lock = threading.Lock()

    def query(self, name, rtype):
        with self._lock:
            self.open += 1
            self.asked += 1
            self.most = max(self.most, self.open)
        time.sleep(self.seconds)
        with self._lock:
            self.open -= 1
        return Answer("nxdomain")


def test_the_four_questions_are_asked_at_once(keys):
    slow = Slow(0.1)
    started = time.monotonic()
    looking.AtOnce(slow, [(NAME, "MX"), (NAME, "TXT"), ("a." + NAME, "TXT"), ("b." + NAME, "TXT")])
    assert slow.most == 4
    assert time.monotonic() - started < 0.35


def test_when_the_budget_is_spent_nothing_more_is_asked():
    slow = Slow(0.02)
    asking = looking.AtOnce(slow, [(NAME, "MX")], budget=0.01)
    assert asking.query("other.test", "TXT") == Answer("failure", detail="time-out")
    assert slow.asked == 1


def test_without_an_answer_a_look_is_unknown_and_never_wrong(keys):
    class Down:
        def query(self, name, rtype):
            return Answer("failure", detail="SERVFAIL")

    checks = looking.look(records.expected(NAME, "default", keys[0].public_b64), Down())
    assert {check.state for check in checks} == {"unknown"}
