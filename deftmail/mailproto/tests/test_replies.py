"""Answering: one prefix, the right people, a chain of identifiers that holds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deftmail.mailproto.replies import (
    Original,
    Person,
    ReplyMode,
    Threading,
    base_subject,
    forward_subject,
    list_address,
    references,
    reply_recipients,
    reply_subject,
)

ANN, BOB, CAT, ME = (Person(name.title(), f"{name}@acme.test") for name in ("ann", "bob", "cat", "me"))
MINE = {"me@acme.test", "alias@acme.test"}
LIST = Person("", "list@lists.test")


@pytest.mark.parametrize(
    ("subject", "base"),
    [
        ("Lunch", "Lunch"),
        ("Re: Lunch", "Lunch"),
        ("RE: re:Re : Lunch", "Lunch"),
        ("Re[2]: AW: Antw: SV: VS: Lunch", "Lunch"),
        ("Fwd: FW: WG: Lunch", "Lunch"),
        ("Re: Fwd: Re: Lunch", "Lunch"),
        ("回复：转发: 午餐", "午餐"),
        ("Ответ: Обед", "Обед"),
        ("Regarding: Lunch", "Regarding: Lunch"),
        ("Reply: Lunch", "Reply: Lunch"),
        ("I: the king", "I: the king"),
        ("[list] Re: Lunch", "[list] Re: Lunch"),
        ("Re:", ""),
        ("", ""),
        ("a\r\nBcc: x@y.test", "a Bcc: x@y.test"),
    ],
)
def test_prefixes_do_not_pile_up(subject: str, base: str) -> None:
    assert base_subject(subject) == base
    assert reply_subject(subject) == f"Re: {base}".rstrip()
    assert forward_subject(subject) == f"Fwd: {base}".rstrip()
    assert reply_subject(reply_subject(subject)) == reply_subject(subject)


@given(
    st.text(max_size=80)
    | st.lists(st.sampled_from(["Re:", "Fwd: ", "AW :", "x", " ", "re[3]:"]), max_size=70).map("".join)
)
def test_any_subject_becomes_one_line_with_one_prefix(subject: str) -> None:
    answer = reply_subject(subject)
    assert answer.startswith("Re:")
    assert len(answer) <= 900
    assert not set(answer) & set("\r\n\x00")


def emails(people: tuple[Person, ...]) -> list[str]:
    return [person.email.split("@")[0] for person in people]


@pytest.mark.parametrize(
    ("original", "mode", "to", "cc"),
    [
        (Original(from_=(ANN,), to=(ME, BOB), cc=(CAT,)), "reply", ["ann"], []),
        (Original(from_=(ANN,), to=(ME, BOB), cc=(CAT,)), "all", ["ann"], ["bob", "cat"]),
        (Original(from_=(ANN,), reply_to=(BOB,), to=(ME,)), "reply", ["bob"], []),
        (Original(from_=(ANN,), reply_to=(BOB,), to=(ME, CAT)), "all", ["bob"], ["cat"]),
        (Original(from_=(ANN,), reply_to=(ANN, BOB), to=(ME,)), "reply", ["ann", "bob"], []),
        # one's own message: to those who got it
        (Original(from_=(ME,), to=(ANN, BOB), cc=(CAT,)), "reply", ["ann", "bob"], []),
        (Original(from_=(ME,), to=(ANN, BOB), cc=(CAT,)), "all", ["ann", "bob"], ["cat"]),
        (Original(from_=(ME,), reply_to=(CAT,), to=(ANN,)), "reply", ["ann"], []),
        (Original(from_=(ME,), to=(ME,), cc=(CAT,)), "reply", ["cat"], []),
        (Original(from_=(Person("", "ALIAS@acme.test"),), to=(ANN,)), "reply", ["ann"], []),
        # never to oneself, unless there is nobody else
        (Original(from_=(ANN,), to=(Person("", "Me@ACME.test"), Person("", "alias@acme.test"))), "all", ["ann"], []),
        (Original(from_=(ANN,), reply_to=(ME,), to=(BOB,)), "reply", ["ann"], []),
        (Original(from_=(ANN,), to=(Person("", "me+shop@acme.test"), BOB)), "all", ["ann"], ["bob"]),
        (Original(from_=(Person("", "me+shop@acme.test"),), to=(ANN,)), "reply", ["ann"], []),
        (Original(from_=(ANN,), to=(Person("", "bob+x@acme.test"), BOB)), "all", ["ann"], ["bob+x", "bob"]),
        (Original(from_=(ME,), to=(ME,)), "reply", ["me"], []),
        (Original(from_=(ME,), to=(ME,)), "all", ["me"], []),
        (Original(to=(ANN,)), "reply", ["ann"], []),
        (Original(), "all", [], []),
        # once each; what is no address is left out
        (Original(from_=(ANN,), to=(BOB, BOB, ANN), cc=(Person("B", "BOB@acme.test"),)), "all", ["ann"], ["bob"]),
        (Original(from_=(Person("x", "undisclosed"),), to=(ANN,)), "reply", ["ann"], []),
        (Original(from_=(Person("", "Just A Name"),), to=(ME,)), "reply", [], []),
        (Original(from_=(Person("", "Just A Name"),), to=(ME, ANN)), "all", ["ann"], []),
        # mailing lists
        (Original(from_=(ANN,), to=(LIST,), list_post="<mailto:list@lists.test>"), "list", ["list"], []),
        (Original(from_=(ANN,), to=(LIST,), list_post="<mailto:list@lists.test>"), "reply", ["ann"], []),
        (
            Original(from_=(ANN,), reply_to=(LIST,), to=(LIST,), list_post="<mailto:list@lists.test>"),
            "reply",
            ["list"],
            [],
        ),
        (
            Original(from_=(ANN,), reply_to=(LIST,), to=(LIST,), list_post="<mailto:list@lists.test>"),
            "all",
            ["list"],
            ["ann"],
        ),
        (Original(from_=(ANN,), to=(LIST, BOB), list_post="NO"), "list", ["ann"], ["list", "bob"]),
    ],
)
def test_the_answer_goes_to_the_right_people(original: Original, mode: ReplyMode, to: list[str], cc: list[str]) -> None:
    answer = reply_recipients(original, MINE, mode=mode)
    assert (emails(answer.to), emails(answer.cc)) == (to, cc)


@pytest.mark.parametrize(
    ("header", "address"),
    [
        ("<mailto:list@lists.test>", "list@lists.test"),
        ("<http://x.test>, <mailto:list@lists.test?subject=x> (comment)", "list@lists.test"),
        ("NO (posting not allowed)", ""),
        ("<mailto:nobody>", ""),
        ("<mailto:list%2Bpost@lists.test>", "list+post@lists.test"),
        ("<mailto:a%0D%0Ab@lists.test>", "a b@lists.test"),
        ("", ""),
    ],
)
def test_the_address_of_a_list_is_found(header: str, address: str) -> None:
    assert list_address(header) == address


@pytest.mark.parametrize(
    ("original", "in_reply_to", "chain"),
    [
        (Original(message_id=("<c@x>",)), "<c@x>", "<c@x>"),
        (Original(message_id=("c@x",), references=("a@x", "b@x")), "<c@x>", "<a@x> <b@x> <c@x>"),
        (Original(message_id=("c@x",), references=("<a@x> <b@x>\r\n <c@x>",)), "<c@x>", "<a@x> <b@x> <c@x>"),
        (Original(message_id=("c@x",), in_reply_to=("b@x",)), "<c@x>", "<b@x> <c@x>"),
        (Original(message_id=("c@x",), in_reply_to=("a@x", "b@x")), "<c@x>", "<c@x>"),
        (Original(references=("a@x",)), "", ""),
        (Original(message_id=("bad\r\nBcc: x",)), "<bad>", "<bad>"),
        (Original(message_id=("(comment)",), references=("a@x",)), "", ""),
    ],
)
def test_the_conversation_holds_together(original: Original, in_reply_to: str, chain: str) -> None:
    threading = references(original)
    assert (threading.in_reply_to_header, threading.references_header) == (in_reply_to, chain)


def test_long_chains_keep_their_root_and_their_end() -> None:
    chain = tuple(f"{n}@x" for n in range(300))
    kept = references(Original(message_id=("last@x",), references=chain)).references
    assert (kept[0], kept[1], kept[-2], kept[-1]) == ("0@x", "262@x", "299@x", "last@x")
    assert len(kept) == 40
    long = tuple(f"{n}{'x' * 300}@x" for n in range(10))
    shortened = references(Original(message_id=("last@x",), references=long))
    assert shortened.references[0] == long[0]
    assert shortened.references[-1] == "last@x"
    assert len(shortened.references_header) <= 2000


identifiers = st.lists(st.text(max_size=40) | st.text("<>a@x. \r\n\t", max_size=30), max_size=5).map(tuple)


@given(identifiers, identifiers, identifiers)
def test_no_identifier_breaks_a_header(own: tuple[str, ...], parents: tuple[str, ...], chain: tuple[str, ...]) -> None:
    threading: Threading = references(Original(message_id=own, in_reply_to=parents, references=chain))
    for header in (threading.in_reply_to_header, threading.references_header):
        assert not set(header) & set("\r\n\t\x00")
    assert bool(threading.in_reply_to) is bool(threading.references)
