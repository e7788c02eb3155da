"""SPF: grammar, one record only, merging, and the ten look-ups counted through the tree."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from deftmail.mailproto import spf
from deftmail.mailproto.dnsanswer import Answer, StaticResolver
from deftmail.mailproto.errors import SpfError
from deftmail.mailproto.spf import Mechanism, Modifier, SpfRecord

OURS = "deftmail.test"


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("v=spf1", ()),
        ("V=SPF1 -all", (Mechanism("all", qualifier="-"),)),
        ("v=spf1  mx   ~ALL ", (Mechanism("mx"), Mechanism("all", qualifier="~"))),
        ("v=spf1 +include:_spf.example.com", (Mechanism("include", "_spf.example.com"),)),
        ("v=spf1 ip4:192.0.2.0/24", (Mechanism("ip4", "192.0.2.0", cidr4=24),)),
        ("v=spf1 ip6:2001:db8::/32", (Mechanism("ip6", "2001:db8::", cidr6=32),)),
        ("v=spf1 a/24//64", (Mechanism("a", cidr4=24, cidr6=64),)),
        ("v=spf1 mx:m.example.com//96", (Mechanism("mx", "m.example.com", cidr6=96),)),
        ("v=spf1 ?ptr", (Mechanism("ptr", qualifier="?"),)),
        ("v=spf1 exists:%{ir}.%{l1r+-}._spf.%{d}", (Mechanism("exists", "%{ir}.%{l1r+-}._spf.%{d}"),)),
        ("v=spf1 redirect=_spf.example.com", (Modifier("redirect", "_spf.example.com"),)),
        ("v=spf1 exp=explain.%{d} moo=cow:x", (Modifier("exp", "explain.%{d}"), Modifier("moo", "cow:x"))),
        ("v=spf1 x.y-z=", (Modifier("x.y-z", ""),)),
    ],
)
def test_a_record_is_read_as_its_terms(text: str, terms: tuple[spf.Term, ...]) -> None:
    record = spf.parse(text)
    assert record.terms == terms
    assert spf.parse(record.render()) == record


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "not_spf"),
        ("v=spf10 mx", "not_spf"),
        ("v=spf1;mx", "not_spf"),
        (" v=spf1 mx", "not_spf"),
        ("spf2.0/pra mx", "not_spf"),
        ("v=spf1 include", "bad_term"),
        ("v=spf1 include:", "bad_term"),
        ("v=spf1 include:localhost", "bad_term"),  # §7.1: a domain-spec ends in .toplabel or a macro
        ("v=spf1 include:a.123", "bad_term"),
        ("v=spf1 include:%{z}.a.test", "bad_term"),
        ("v=spf1 include:a.test/24", "bad_term"),
        ("v=spf1 inklude:a.test", "bad_term"),
        ("v=spf1 all:x.test", "bad_term"),
        ("v=spf1 all/8", "bad_term"),
        ("v=spf1 mx:", "bad_term"),
        ("v=spf1 a/33", "bad_term"),
        ("v=spf1 a//129", "bad_term"),
        ("v=spf1 a/08", "bad_term"),
        ("v=spf1 ip4:192.0.2", "bad_term"),
        ("v=spf1 ip4:192.0.2.1/33", "bad_term"),
        ("v=spf1 ip4:2001:db8::1", "bad_term"),
        ("v=spf1 ip4:192.0.2.1//64", "bad_term"),
        ("v=spf1 ip6:192.0.2.1", "bad_term"),
        ("v=spf1 ip6:fe80::1%eth0", "bad_term"),
        ("v=spf1 ip6:2001:db8::/129", "bad_term"),
        ("v=spf1 =x", "bad_term"),
        ("v=spf1 redirect=", "bad_term"),
        ("v=spf1 mx\t-all", "bad_term"),
        ("v=spf1 ïnclude:a.test", "bad_term"),
        ("v=spf1 moo=ü", "bad_term"),
        ("v=spf1 redirect=a.test redirect=b.test", "repeated"),
        ("v=spf1 exp=a.test EXP=b.test", "repeated"),
        ("v=spf1 " + "a " * 3000, "too_long"),
    ],
)
def test_what_is_not_a_record_is_refused_with_its_reason(text: str, code: str) -> None:
    with pytest.raises(SpfError) as caught:
        spf.parse(text)
    assert caught.value.code == code


def test_exactly_one_record_counts() -> None:
    assert spf.select(["google-site-verification=x", "v=spf10"]) is None
    assert spf.select(["x", "v=spf1 mx"]) == SpfRecord((Mechanism("mx"),))
    with pytest.raises(SpfError) as caught:
        spf.select(["v=spf1 mx", "v=spf1 a"])
    assert caught.value.code == "many"


@pytest.mark.parametrize(
    ("text", "works"),
    [
        ("v=spf1 include:deftmail.test ~all", True),
        ("v=spf1 +include:DeftMail.test. -all", True),
        ("v=spf1 include:deftmail.test", True),
        ("v=spf1 ~all include:deftmail.test", False),  # never reached
        ("v=spf1 ?include:deftmail.test ~all", False),
        ("v=spf1 include:notdeftmail.test ~all", False),
        ("v=spf1 include:deftmail.test.evil.test ~all", False),
        ("v=spf1 a:deftmail.test redirect=deftmail.test", False),
        ("v=spf1 exp=include:deftmail.test.x ~all", False),
    ],
)
def test_our_include_counts_only_as_a_reachable_plus_mechanism(text: str, works: bool) -> None:
    assert spf.parse(text).authorizes(OURS) is works


@pytest.mark.parametrize(
    ("existing", "merged"),
    [
        (None, "v=spf1 mx include:deftmail.test ~all"),
        ("v=spf1 -all", "v=spf1 include:deftmail.test -all"),
        ("v=spf1 include:_spf.google.com ~all", "v=spf1 include:_spf.google.com include:deftmail.test ~all"),
        ("v=spf1 a mx", "v=spf1 a mx include:deftmail.test"),
        ("v=spf1", "v=spf1 include:deftmail.test"),
        ("v=spf1 a redirect=x.test", "v=spf1 a include:deftmail.test redirect=x.test"),
        ("v=spf1 redirect=x.test", "v=spf1 include:deftmail.test redirect=x.test"),
        ("v=spf1 exp=e.test a", "v=spf1 exp=e.test a include:deftmail.test"),
        ("v=spf1 -include:deftmail.test a ~all", "v=spf1 a include:deftmail.test ~all"),
        ("v=spf1 a ~all include:deftmail.test", "v=spf1 a include:deftmail.test ~all"),
        ("V=spf1  include:deftmail.test  -all", "V=spf1  include:deftmail.test  -all"),  # right already: left alone
    ],
)
def test_merging_keeps_what_is_there(existing: str | None, merged: str) -> None:
    assert spf.merge(existing, OURS) == merged
    assert spf.merge(merged, OURS) == merged


def test_merging_takes_other_defaults_and_refuses_a_broken_record() -> None:
    assert spf.merge(None, OURS, mx=False, all_="-") == "v=spf1 include:deftmail.test -all"
    with pytest.raises(SpfError):
        spf.merge("v=spf1 nonsense", OURS)


def test_several_records_become_one_that_allows_what_each_allowed() -> None:
    records = [
        spf.parse("v=spf1 mx a -all"),
        spf.parse("v=spf1 a ip4:192.0.2.1 ~all"),
        spf.parse("v=spf1 redirect=x.test"),
    ]
    assert spf.combine(records).render() == "v=spf1 mx a ip4:192.0.2.1 include:x.test -all"
    assert spf.combine([spf.parse("v=spf1 mx")]).render() == "v=spf1 mx ~all"


def chain(length: int) -> StaticResolver:
    table: dict[tuple[str, str], list[str]] = {
        (f"n{n}.test", "TXT"): [f"v=spf1 include:n{n + 1}.test -all"] for n in range(1, length)
    }
    table[(f"n{length}.test", "TXT")] = ["v=spf1 ip4:192.0.2.1 -all"]
    return StaticResolver(table)


@pytest.mark.parametrize(("length", "too_many"), [(10, False), (11, True)])
def test_ten_look_ups_are_allowed_and_eleven_are_not(length: int, too_many: bool) -> None:
    count = spf.count_lookups("acme.test", spf.parse("v=spf1 include:n1.test -all"), chain(length))
    assert count.total == length
    assert count.too_many is too_many
    assert (count.void, count.loop, count.broken, count.temporary) == (0, "", [], [])


def test_each_kind_of_term_is_counted() -> None:
    resolver = StaticResolver(
        {("acme.test", "MX"): ["10 m.test"], ("acme.test", "A"): ["192.0.2.1"], ("r.test", "TXT"): ["v=spf1 ?all"]}
    )
    record = spf.parse("v=spf1 a mx ptr ip4:192.0.2.1 exists:%{i}.x.test include:%{d}.x.test redirect=r.test")
    count = spf.count_lookups("acme.test", record, resolver)
    assert (count.total, count.void) == (6, 0)
    after_all = spf.parse("v=spf1 -all a mx include:n1.test redirect=r.test")
    assert spf.count_lookups("acme.test", after_all, resolver).total == 0


def test_void_look_ups_are_counted() -> None:
    resolver = StaticResolver({("six.test", "AAAA"): ["2001:db8::1"], ("e.test", "A"): Answer("failure")})
    record = spf.parse("v=spf1 a:six.test a:x.test mx:x.test exists:x.test exists:e.test -all")
    count = spf.count_lookups("acme.test", record, resolver)
    assert (count.total, count.void, count.too_many_void) == (5, 3, True)


def test_a_loop_is_named_and_ends() -> None:
    resolver = StaticResolver(
        {("a.test", "TXT"): ["v=spf1 include:b.test"], ("b.test", "TXT"): ["v=spf1 redirect=A.test."]}
    )
    count = spf.count_lookups("a.test", spf.parse("v=spf1 include:b.test"), resolver)
    assert count.loop == "a.test"
    assert count.total == 2


def test_broken_and_unanswered_includes_are_told_apart() -> None:
    resolver = StaticResolver(
        {
            ("two.test", "TXT"): ["v=spf1 a", "v=spf1 mx"],
            ("bad.test", "TXT"): ["v=spf1 nonsense"],
            ("none.test", "TXT"): ["hello"],
            ("down.test", "TXT"): Answer("failure", detail="SERVFAIL"),
        }
    )
    names = ["two", "bad", "none", "gone", "down"]
    record = spf.parse("v=spf1 " + " ".join(f"include:{name}.test" for name in names) + " -all")
    count = spf.count_lookups("acme.test", record, resolver)
    assert count.broken == ["two.test", "bad.test", "none.test", "gone.test"]
    assert count.temporary == ["down.test"]
    assert (count.total, count.void) == (5, 1)


def test_a_tree_that_grows_for_ever_is_not_followed_for_ever() -> None:
    class Endless:
        asked = 0

        def query(self, name: str, rtype: str) -> Answer:
            self.asked += 1
            return Answer("records", (f"v=spf1 include:a.{name} include:b.{name} include:c.{name}",))

    resolver = Endless()
    count = spf.count_lookups("acme.test", spf.parse("v=spf1 include:x.test"), resolver)
    assert count.too_many
    assert resolver.asked <= 40


def test_a_qualifier_shows_only_where_it_is_not_plus() -> None:
    assert str(Mechanism("a", "x.test", "~", 24, 64)) == "~a:x.test/24//64"
    assert str(Mechanism("ip6", "2001:db8::", cidr6=32)) == "ip6:2001:db8::/32"
    assert spf.parse("v=spf1 ~include:deftmail.test include:deftmail.test").includes(OURS) == (
        Mechanism("include", OURS, "~"),
        Mechanism("include", OURS),
    )


domains = st.from_regex(r"[a-z0-9_]([a-z0-9-]{0,8}[a-z0-9])?\.[a-z]{2,5}", fullmatch=True)
qualifiers = st.sampled_from(["+", "-", "~", "?"])
mechanisms = st.one_of(
    st.builds(Mechanism, st.just("all"), qualifier=qualifiers),
    st.builds(Mechanism, st.sampled_from(["include", "exists"]), domains, qualifiers),
    st.builds(Mechanism, st.just("ptr"), domains | st.just(""), qualifiers),
    st.builds(
        Mechanism,
        st.sampled_from(["a", "mx"]),
        domains | st.just(""),
        qualifiers,
        st.none() | st.integers(0, 32),
        st.none() | st.integers(0, 128),
    ),
    st.builds(Mechanism, st.just("ip4"), st.ip_addresses(v=4).map(str), qualifiers, st.none() | st.integers(0, 32)),
    st.builds(
        Mechanism, st.just("ip6"), st.ip_addresses(v=6).map(str), qualifiers, st.none(), st.none() | st.integers(0, 128)
    ),
)
spf_records = st.builds(SpfRecord, st.lists(mechanisms, max_size=8).map(tuple))


@given(spf_records)
def test_what_is_rendered_reads_back_the_same(record: SpfRecord) -> None:
    assert spf.parse(record.render()) == record


@given(spf_records, domains)
def test_merging_is_idempotent_and_loses_nothing(record: SpfRecord, include: str) -> None:
    assume(not record.includes(include))
    merged = spf.merge(record.render(), include)
    assert spf.merge(merged, include) == merged
    assert spf.parse(merged).authorizes(include)
    assert tuple(t for t in spf.parse(merged).terms if t != Mechanism("include", include)) == record.terms


@given(st.text(max_size=60) | st.text("abimx46:./%{}=~-? ", max_size=40).map(lambda text: "v=spf1 " + text))
def test_any_text_is_a_record_or_an_spf_error(text: str) -> None:
    try:
        record = spf.parse(text)
    except SpfError:
        return
    assert spf.parse(record.render()) == record
