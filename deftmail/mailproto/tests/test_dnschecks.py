"""The four checks over tables of DNS answers: state, reason, what to publish, and that nothing is ever raised."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deftmail.mailproto import dkim
from deftmail.mailproto.dnsanswer import Answer, StaticResolver, records
from deftmail.mailproto.dnschecks import CheckResult, Checks, check_domain, evaluate, gather
from deftmail.mailproto.dnsrecords import (
    DomainAnswers,
    Expected,
    MxRecord,
    parse_mx,
    relative_name,
    sends_elsewhere,
    suggest_records,
)
from deftmail.mailproto.sentences import SENTENCES, WARNINGS

KEY = dkim.generate_key(1024).public_b64
OTHER_KEY = dkim.generate_key(1024).public_b64
EXPECTED = Expected("acme.test", "mail.deftmail.test", "deftmail.test", "default", KEY, "dmarc@deftmail.test")
DKIM_VALUE = f"v=DKIM1; k=rsa; p={KEY}"
DOWN = Answer("failure", detail="SERVFAIL")
GONE = Answer("nxdomain")
NONE = Answer("noanswer")

GOOD = {
    ("acme.test", "MX"): ["10 mail.deftmail.test"],
    ("acme.test", "TXT"): ["hello", "v=spf1 mx include:deftmail.test ~all"],
    ("default._domainkey.acme.test", "TXT"): [DKIM_VALUE],
    ("_dmarc.acme.test", "TXT"): ["v=DMARC1; p=quarantine; rua=mailto:dmarc@deftmail.test"],
    ("deftmail.test", "TXT"): ["v=spf1 ip4:192.0.2.1 -all"],
}
ANSWERS = gather(EXPECTED, StaticResolver(GOOD))


def check(purpose: str, answer: Answer) -> CheckResult:
    changed = {
        "mx": replace(ANSWERS, mx=answer),
        "spf": replace(ANSWERS, txt=answer),
        "dkim": replace(ANSWERS, dkim=answer),
        "dmarc": replace(ANSWERS, dmarc=answer),
    }[purpose]
    checks = evaluate(EXPECTED, changed)
    result: CheckResult = getattr(checks, purpose)
    assert result.purpose == purpose
    assert result.said().seen
    assert all(WARNINGS[warning] % result.params for warning in result.warnings)
    assert bool(result.said().todo) is (result.code != "ok")
    return result


def test_a_domain_with_all_records_passes() -> None:
    checks = check_domain(EXPECTED, StaticResolver(GOOD))
    assert [result.state for result in checks] == ["pass"] * 4
    assert checks.all_pass
    assert checks.owned
    assert not checks.any_unknown
    assert all(result.warnings == () for result in checks)
    assert [result.asked for result in checks] == [
        "MX acme.test",
        "TXT acme.test",
        "TXT default._domainkey.acme.test",
        "TXT _dmarc.acme.test",
    ]


def test_a_domain_with_no_records_misses_them_all_and_shows_the_briefs() -> None:
    checks = check_domain(EXPECTED, StaticResolver({("acme.test", "NS"): ["ns.acme.test"]}))
    assert [(r.state, r.code) for r in checks] == [
        ("missing", "mx_missing"),
        ("missing", "spf_missing"),
        ("missing", "dkim_missing"),
        ("missing", "dmarc_missing"),
    ]
    assert [r.expected for r in checks] == [
        "10 mail.deftmail.test",
        "v=spf1 mx include:deftmail.test ~all",
        DKIM_VALUE,
        "v=DMARC1; p=quarantine; rua=mailto:dmarc@deftmail.test",
    ]
    assert [(r.purpose, r.type, r.name, r.value, r.priority, r.replaces) for r in checks.records] == [
        ("mx", "MX", "acme.test", "mail.deftmail.test", 10, ()),
        ("spf", "TXT", "acme.test", "v=spf1 mx include:deftmail.test ~all", None, ()),
        ("dkim", "TXT", "default._domainkey.acme.test", DKIM_VALUE, None, ()),
        ("dmarc", "TXT", "_dmarc.acme.test", "v=DMARC1; p=quarantine; rua=mailto:dmarc@deftmail.test", None, ()),
    ]


def test_publishing_what_is_shown_makes_every_check_pass() -> None:
    before = {
        ("acme.test", "MX"): ["5 mx.oldhost.test"],
        ("acme.test", "TXT"): ["v=spf1 include:oldhost.test -all", "v=spf1 a ~all"],
        ("oldhost.test", "TXT"): ["v=spf1 ip4:192.0.2.7 -all"],
        ("acme.test", "A"): ["192.0.2.9"],
        ("deftmail.test", "TXT"): ["v=spf1 ip4:192.0.2.1 -all"],
        ("_dmarc.acme.test", "TXT"): ["v=DMARC1; p=reject; rua=mailto:me@acme.test"],
        ("default._domainkey.acme.test", "TXT"): ["v=DKIM1; p="],
    }
    table = dict(before)
    for record in check_domain(EXPECTED, StaticResolver(before)).records:
        value = record.value if record.priority is None else f"{record.priority} {record.value}"
        kept = [text for text in table.get((record.name, record.type), []) if text not in record.replaces]
        table[record.name, record.type] = [*kept, value]
    after = check_domain(EXPECTED, StaticResolver(table))
    assert after.all_pass
    assert table["acme.test", "TXT"] == ["v=spf1 include:oldhost.test a include:deftmail.test -all"]
    assert table["_dmarc.acme.test", "TXT"] == [
        "v=DMARC1; p=reject; rua=mailto:me@acme.test,mailto:dmarc@deftmail.test"
    ]


@pytest.mark.parametrize("purpose", ["mx", "spf", "dkim", "dmarc"])
def test_a_dns_failure_is_unknown_and_never_a_fault(purpose: str) -> None:
    result = check(purpose, DOWN)
    assert (result.state, result.code) == ("unknown", "dns_failure")
    assert result.params["detail"] == "SERVFAIL"
    assert check(purpose, Answer("failure")).params["detail"] == "no answer"


def test_a_failure_makes_the_whole_result_unfinished() -> None:
    checks = evaluate(EXPECTED, replace(ANSWERS, dkim=DOWN))
    assert checks.any_unknown
    assert not checks.all_pass
    assert not checks.owned


@pytest.mark.parametrize(
    ("answer", "state", "code", "warnings"),
    [
        (records("10 MAIL.deftmail.test."), "pass", "ok", ()),
        (records("0 mail.deftmail.test"), "pass", "ok", ()),
        (records("10 mail.deftmail.test", "20 backup.test"), "pass", "ok", ("mx_backup",)),
        (records("10 mail.deftmail.test", "10 other.test"), "fail", "mx_shared", ()),
        (records("10 mail.deftmail.test", "5 other.test"), "fail", "mx_not_first", ()),
        (records("10 aspmx.l.google.com"), "fail", "mx_elsewhere", ()),
        (records("10 mail.deftmail.test.evil.test"), "fail", "mx_elsewhere", ()),
        (records("0 ."), "fail", "mx_null", ()),
        (records("rubbish", "x mail.deftmail.test", "-1 mail.deftmail.test"), "missing", "mx_missing", ()),
        (NONE, "missing", "mx_missing", ()),
        (GONE, "missing", "domain_not_found", ()),
    ],
)
def test_mx(answer: Answer, state: str, code: str, warnings: tuple[str, ...]) -> None:
    result = check("mx", answer)
    assert (result.state, result.code, result.warnings) == (state, code, warnings)


@pytest.mark.parametrize(
    ("texts", "state", "code", "warnings"),
    [
        (["v=spf1 include:deftmail.test -all"], "pass", "ok", ()),
        (["v=spf1 include:deftmail.test"], "pass", "ok", ("spf_no_all",)),
        (["v=spf1 include:deftmail.test +all"], "pass", "ok", ("spf_plus_all",)),
        (["v=spf1 include:deftmail.test redirect=x.test"], "pass", "ok", ()),
        (["v=spf1 mx ~all"], "fail", "spf_no_include", ()),
        (["v=spf1 include:deftmail.test.evil.test ~all"], "fail", "spf_no_include", ()),
        (["v=spf1 exp=include.deftmail.test ~all"], "fail", "spf_no_include", ()),
        (["v=spf1 ~all include:deftmail.test"], "fail", "spf_after_all", ()),
        (["v=spf1 ~include:deftmail.test -all"], "fail", "spf_qualifier", ()),
        (["v=spf1 include:deftmail.test ~all", "v=spf1 mx"], "fail", "spf_many", ()),
        (["v=spf1 include:deftmail.test nonsense"], "fail", "spf_invalid", ()),
        (["v=spf1 " + "a " * 4000], "fail", "spf_invalid", ()),
        (["include:deftmail.test"], "missing", "spf_missing", ()),
        ([], "missing", "spf_missing", ()),
    ],
)
def test_spf(texts: list[str], state: str, code: str, warnings: tuple[str, ...]) -> None:
    result = check("spf", records(*texts))
    assert (result.state, result.code, result.warnings) == (state, code, warnings)
    assert all(text.startswith("v=spf1") for text in result.found)


def spf_state(record: str, extra: dict[tuple[str, str], list[str] | Answer]) -> CheckResult:
    table: dict[tuple[str, str], list[str] | Answer] = {**GOOD, ("acme.test", "TXT"): [record], **extra}
    return check_domain(EXPECTED, StaticResolver(table)).spf


def test_spf_look_ups_are_counted_through_the_includes() -> None:
    many: dict[tuple[str, str], list[str] | Answer] = {
        ("big.test", "TXT"): ["v=spf1 " + " ".join(f"a:h{n}.test" for n in range(9))],
        **{(f"h{n}.test", "A"): ["192.0.2.1"] for n in range(9)},
    }
    too_many = spf_state("v=spf1 include:big.test include:deftmail.test ~all", many)
    assert (too_many.state, too_many.code, too_many.params["total"]) == ("fail", "spf_too_many", "11")
    would = spf_state("v=spf1 include:big.test ~all", many)
    assert (would.code, would.warnings, would.params["total"]) == ("spf_no_include", ("spf_would_exceed",), "11")
    assert spf_state("v=spf1 include:deftmail.test ~all include:big.test", many).state == "pass"


def test_spf_troubles_in_the_tree() -> None:
    loop = spf_state(
        "v=spf1 include:deftmail.test include:l.test ~all", {("l.test", "TXT"): ["v=spf1 include:acme.test"]}
    )
    assert (loop.state, loop.code, loop.params["loop"]) == ("fail", "spf_loop", "acme.test")
    down = spf_state("v=spf1 include:deftmail.test include:down.test ~all", {("down.test", "TXT"): DOWN})
    assert (down.state, down.code, down.params["name"]) == ("unknown", "spf_count_unknown", "down.test")
    gone = " ".join(f"include:gone{n}.test" for n in range(3))
    broken = spf_state(f"v=spf1 include:deftmail.test {gone} ~all", {})
    assert (broken.state, broken.warnings) == ("pass", ("spf_broken_include", "spf_void"))
    assert broken.params["broken"] == "gone0.test, gone1.test, gone2.test"


@pytest.mark.parametrize(
    ("texts", "state", "code", "warnings"),
    [
        ([f"v=DKIM1; t=y; p={KEY}"], "pass", "ok", ("dkim_testing",)),
        ([f"k=rsa;p={KEY[:50]} {KEY[50:]}"], "pass", "ok", ()),
        ([f"v=DKIM1; k=rsa; p={OTHER_KEY}"], "fail", "dkim_other_key", ()),
        ([f"v=DKIM1; k=rsa; n={KEY}; p={OTHER_KEY}"], "fail", "dkim_other_key", ()),
        ([f"v=DKIM1; k=ed25519; p={KEY}"], "fail", "dkim_other_key", ()),
        ([f"v=DKIM1; k=rsa; p={KEY[:120]}"], "fail", "dkim_truncated", ()),
        ([f"v=DKIM1; h=sha1; p={KEY}"], "fail", "dkim_hash", ()),
        ([f"v=DKIM1; s=tlsrpt; p={KEY}"], "fail", "dkim_service", ()),
        (["v=DKIM1; k=rsa; p="], "fail", "dkim_revoked", ()),
        ([f'"v=DKIM1; k=rsa; p={KEY}"'], "fail", "dkim_quoted", ()),
        ([f"v=DKIM1\\; k=rsa\\; p={KEY}"], "fail", "dkim_quoted", ()),
        (["v=spf1 -all"], "fail", "dkim_invalid", ()),
        ([DKIM_VALUE, f"v=DKIM1; p={OTHER_KEY}"], "fail", "dkim_many", ()),
        ([], "missing", "dkim_missing", ()),
    ],
)
def test_dkim(texts: list[str], state: str, code: str, warnings: tuple[str, ...]) -> None:
    result = check("dkim", records(*texts))
    assert (result.state, result.code, result.warnings) == (state, code, warnings)
    assert result.expected == DKIM_VALUE


@pytest.mark.parametrize(
    ("texts", "state", "code", "warnings"),
    [
        (["v=DMARC1; p=reject; rua=mailto:dmarc@deftmail.test"], "pass", "ok", ()),
        (["v=DMARC1; p=none; rua=mailto:dmarc@deftmail.test", "hello"], "pass", "ok", ("dmarc_none",)),
        (
            ["v=DMARC1; p=reject; pct=5; adkim=q"],
            "pass",
            "ok",
            ("dmarc_partial", "dmarc_no_reports", "dmarc_ignored"),
        ),
        (["v=DMARC1; p=reject", "v=DMARC1; p=none"], "fail", "dmarc_many", ()),
        (["v=DMARC1; rua=mailto:dmarc@deftmail.test"], "fail", "dmarc_invalid", ()),
        (["v=DMARC1; p=strict"], "fail", "dmarc_invalid", ()),
        (["p=reject; v=DMARC1"], "missing", "dmarc_missing", ()),
        ([], "missing", "dmarc_missing", ()),
    ],
)
def test_dmarc(texts: list[str], state: str, code: str, warnings: tuple[str, ...]) -> None:
    result = check("dmarc", records(*texts))
    assert (result.state, result.code, result.warnings) == (state, code, warnings)


def test_a_name_entered_in_full_at_the_provider_is_found_out() -> None:
    table = {
        ("default._domainkey.acme.test.acme.test", "TXT"): [DKIM_VALUE],
        ("_dmarc.acme.test.acme.test", "TXT"): ["v=DMARC1; p=none"],
    }
    checks = check_domain(EXPECTED, StaticResolver(table))
    assert (checks.dkim.state, checks.dkim.code) == ("missing", "doubled_name")
    assert (checks.dkim.params["short"], checks.dmarc.params["short"]) == ("default._domainkey", "_dmarc")
    assert "default._domainkey" in checks.dkim.said().todo


@pytest.mark.parametrize(
    ("mx", "txt", "elsewhere"),
    [
        ([], [], False),
        (["10 mail.deftmail.test"], ["v=spf1 mx include:deftmail.test ~all"], False),
        (["0 ."], ["v=spf1 -all"], False),
        (["10 mx.other.test"], [], True),
        ([], ["v=spf1 include:_spf.google.com ~all"], True),
        ([], ["v=spf1 redirect=x.test"], True),
        ([], ["v=spf1 ip4:192.0.2.1 nonsense"], True),
    ],
)
def test_a_domain_that_sends_elsewhere_may_start_at_none(mx: list[str], txt: list[str], elsewhere: bool) -> None:
    answers = DomainAnswers(records(*mx), records(*txt), NONE, NONE)
    assert sends_elsewhere(EXPECTED, answers) is elsewhere
    assert ("p=none" in suggest_records(EXPECTED, answers)[3].value) is elsewhere


def test_broken_records_are_repaired_in_what_is_shown() -> None:
    answers = DomainAnswers(
        mx=records("5 mx.old.test", "20 backup.test", "0 ."),
        txt=records("v=spf1 mx nonsense exp=a.test exp=b.test include:x.test -all"),
        dkim=records("v=DKIM1; p="),
        dmarc=records("v=DMARC1; p=block", "v=DMARC1; p=reject", "v=DMARC1; p=none"),
    )
    mx, spf_record, key, policy = suggest_records(EXPECTED, answers)
    assert mx.replaces == ("0 .", "5 mx.old.test")
    assert spf_record.value == "v=spf1 mx exp=a.test include:x.test include:deftmail.test -all"
    assert key.replaces == ("v=DKIM1; p=",)
    assert policy.value == "v=DMARC1; p=reject; rua=mailto:dmarc@deftmail.test"
    assert len(policy.replaces) == 3


def test_results_survive_json() -> None:
    checks = check_domain(EXPECTED, StaticResolver({**GOOD, ("acme.test", "TXT"): ["v=spf1 " + "x" * 3000]}))
    for result in checks:
        assert CheckResult.from_json(json.loads(json.dumps(result.to_json()))) == result
        assert all(len(text) <= 1000 for text in result.found)


def test_short_names_and_mx_values() -> None:
    assert relative_name("acme.test", "acme.test") == "@"
    assert relative_name("_dmarc.acme.test", "acme.test") == "_dmarc"
    assert parse_mx(["20 B.test.", "10 a.test", "٣ x.test", ""]) == (MxRecord(10, "a.test"), MxRecord(20, "b.test"))


def test_every_sentence_can_be_reached_by_its_code() -> None:
    assert all(sentence.seen for sentence in SENTENCES.values())
    assert set(WARNINGS).isdisjoint(SENTENCES)


hostile = st.lists(
    st.text(max_size=30)
    | st.text("include:deftmail.test ~allmx", max_size=40).map(lambda text: "v=spf1 " + text)
    | st.text("=;prua%()s \x00é", max_size=30).map(lambda text: "v=DMARC1; p=none;" + text)
    | st.text("=;pkh", max_size=20).map(lambda text: DKIM_VALUE + text)
    | st.from_regex(r"[0-9]{1,6} [a-z.%]{0,10}", fullmatch=True),
    max_size=3,
)
answers_of_any_kind = st.sampled_from([DOWN, GONE, NONE]) | hostile.map(lambda texts: records(*texts))


@given(st.builds(DomainAnswers, answers_of_any_kind, answers_of_any_kind, answers_of_any_kind, answers_of_any_kind))
def test_any_answers_give_results_that_can_be_shown(answers: DomainAnswers) -> None:
    checks: Checks = evaluate(EXPECTED, answers)
    for result in checks:
        sentences = [*result.said(), *(WARNINGS[code] % result.params for code in result.warnings)]
        assert sentences[0]
    assert all(record.value for record in checks.records)
    assert "include:deftmail.test" in checks.spf.expected
