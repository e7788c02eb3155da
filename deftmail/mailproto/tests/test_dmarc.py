"""DMARC: exactly one valid record, understood as receivers do, and merged without touching its policy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deftmail.mailproto import dmarc
from deftmail.mailproto.errors import DmarcError
from deftmail.mailproto.taglist import parse_tags, render_tags

RUA = "dmarc@deftmail.test"


@pytest.mark.parametrize(
    ("text", "policy", "rua"),
    [
        ("v=DMARC1; p=none", "none", ()),
        ("v=DMARC1;p=QUARANTINE;", "quarantine", ()),
        (
            "v = DMARC1 ; p = reject ; rua = mailto:a@x.test , mailto:b@x.test!10m",
            "reject",
            ("mailto:a@x.test", "mailto:b@x.test!10m"),
        ),
        ("v=DMARC1; rua=mailto:a@x.test; p=none", "none", ("mailto:a@x.test",)),
    ],
)
def test_a_record_is_understood(text: str, policy: str, rua: tuple[str, ...]) -> None:
    record = dmarc.parse(text)
    assert (record.policy, record.rua, record.ignored) == (policy, rua, ())
    assert dmarc.parse(record.render()) == record


def test_optional_tags_have_defaults_and_bad_values_fall_back_to_them() -> None:
    good = dmarc.parse(
        "v=DMARC1; p=reject; sp=none; pct=20; adkim=s; aspf=r; fo=1:d; ri=86400; rf=afrf; ruf=mailto:f@x.test"
    )
    assert (good.subdomain_policy, good.pct, good.ignored) == ("none", 20, ())
    bad = dmarc.parse("v=DMARC1; p=reject; sp=maybe; pct=101; adkim=x; fo=9; ri=soon; rua=not a uri; zz=1")
    assert (bad.subdomain_policy, bad.pct, bad.rua) == ("reject", 100, ())
    assert bad.ignored == ("sp", "pct", "adkim", "fo", "ri", "rua")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "not_dmarc"),
        ("v=dmarc1; p=none", "not_dmarc"),
        ("p=none; v=DMARC1", "not_dmarc"),
        ("v=DMARC12; p=none", "not_dmarc"),
        ("v=DMARC1", "no_policy"),
        ("v=DMARC1; rua=mailto:a@x.test", "no_policy"),
        ("v=DMARC1; p=block", "bad_policy"),
        ("v=DMARC1; p=", "bad_policy"),
        ("v=DMARC1; p=none; p=none", "repeated"),
        ("v=DMARC1; p=none; rubbish", "bad_tag"),
        ("v=DMARC1; p=none; " + "x" * 9000, "too_long"),
    ],
)
def test_what_is_not_a_valid_record_is_refused_with_its_reason(text: str, code: str) -> None:
    with pytest.raises(DmarcError) as caught:
        dmarc.parse(text)
    assert caught.value.code == code


def test_exactly_one_record_counts() -> None:
    assert dmarc.select(["v=spf1 mx", "hello"]) is None
    record = dmarc.select(["hello", "v=DMARC1; p=none"])
    assert record is not None
    assert record.policy == "none"
    with pytest.raises(DmarcError) as caught:
        dmarc.select(["v=DMARC1; p=none", "v=DMARC1; p=reject"])
    assert caught.value.code == "many"


@pytest.mark.parametrize(
    ("existing", "merged"),
    [
        (None, "v=DMARC1; p=quarantine; rua=mailto:dmarc@deftmail.test"),
        ("v=DMARC1; p=none", "v=DMARC1; p=none; rua=mailto:dmarc@deftmail.test"),
        ("v=DMARC1; p=reject; pct=50", "v=DMARC1; p=reject; rua=mailto:dmarc@deftmail.test; pct=50"),
        (
            "v=DMARC1; p=reject; rua=mailto:me@x.test!1m; adkim=s",
            "v=DMARC1; p=reject; rua=mailto:me@x.test!1m,mailto:dmarc@deftmail.test; adkim=s",
        ),
        ("v=DMARC1; p=none; rua=rubbish", "v=DMARC1; p=none; rua=mailto:dmarc@deftmail.test"),
        ("v=DMARC1;p=none;rua=MAILTO:DMARC@deftmail.test!5k", "v=DMARC1;p=none;rua=MAILTO:DMARC@deftmail.test!5k"),
    ],
)
def test_merging_keeps_the_policy_and_the_other_readers(existing: str | None, merged: str) -> None:
    assert dmarc.merge(existing, RUA) == merged
    assert dmarc.merge(merged, RUA) == merged
    assert dmarc.parse(merged).reports_to(RUA)


def test_a_new_record_may_start_at_none_and_a_broken_one_is_refused() -> None:
    assert dmarc.merge(None, RUA, policy="none") == "v=DMARC1; p=none; rua=mailto:dmarc@deftmail.test"
    with pytest.raises(DmarcError):
        dmarc.merge("v=DMARC1; p=block", RUA)


def test_names_of_records() -> None:
    assert dmarc.record_name("acme.test") == "_dmarc.acme.test"
    assert dmarc.external_report_name("acme.test", "deftmail.test") == "acme.test._report._dmarc.deftmail.test"


tag_names = st.from_regex(r"[a-z]{2,5}", fullmatch=True)
tag_values = st.text(
    st.characters(codec="ascii", min_codepoint=33, max_codepoint=126, exclude_characters=";"), max_size=20
)


@given(st.dictionaries(tag_names, tag_values, max_size=6), st.sampled_from(["none", "quarantine", "reject"]))
def test_what_is_rendered_reads_back_and_merging_is_idempotent(tags: dict[str, str], policy: str) -> None:
    text = render_tags((("v", "DMARC1"), ("p", policy), *tags.items()))
    record = dmarc.parse(text)
    assert dmarc.parse(record.render()) == record
    merged = dmarc.merge(text, RUA)
    assert dmarc.merge(merged, RUA) == merged
    assert dmarc.parse(merged).policy == policy
    assert set(record.rua) <= set(dmarc.parse(merged).rua)


@given(st.dictionaries(tag_names, tag_values, max_size=6))
def test_tag_lists_read_back(tags: dict[str, str]) -> None:
    assert parse_tags(render_tags(tuple(tags.items()))) == tuple(tags.items())


@given(
    st.text(max_size=60) | st.text("vprua=;DMARC1 none:@!,", max_size=40).map(lambda text: "v=DMARC1; p=none;" + text)
)
def test_any_text_is_a_record_or_a_dmarc_error(text: str) -> None:
    try:
        record = dmarc.parse(text)
    except DmarcError:
        return
    assert dmarc.parse(record.render()) == record
