"""Parsers of hostile bytes: they read what is right however it is cut, and never do anything but answer or refuse."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deftmail.gate import policywire, saslwire
from deftmail.gate.policywire import PolicyError, PolicyParser, encode_action, encode_request
from deftmail.gate.saslwire import FrameError, FrameParser, Question, encode_answer, encode_question

words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=80)


def cut(data, places):
    """`data` in pieces, cut at `places`."""
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[left:right] for left, right in itertools.pairwise(edges)]


class TestTheSaslFrame:
    @given(words, words, words, words, st.lists(st.integers(0, 10_000), max_size=8))
    def test_is_read_however_it_is_cut(self, login, password, service, realm, places):
        pieces = cut(encode_question(login, password, service, realm), places)
        parser = FrameParser()
        answers = [parser.feed(piece) for piece in pieces]
        assert answers[-1] == Question(login, password, service, realm)
        assert not any(answers[:-1])

    @given(st.lists(st.binary(max_size=300), max_size=30))
    def test_of_any_bytes_is_a_question_nothing_yet_or_an_error(self, pieces):
        parser = FrameParser()
        for piece in pieces:
            try:
                question = parser.feed(piece)
            except FrameError:
                return
            assert len(parser._buffer) <= 4 * (2 + saslwire.MAX_FIELD) + 300
            if question is not None:
                assert (
                    encode_question(question.login, question.password, question.service, question.realm)
                    == b"".join(pieces[: pieces.index(piece) + 1])
                    or pieces.count(piece) > 1
                )

    def test_a_long_field_is_refused_before_its_bytes_come(self):
        with pytest.raises(FrameError):
            FrameParser().feed((saslwire.MAX_FIELD + 1).to_bytes(2, "big"))

    @pytest.mark.parametrize(
        "data",
        [
            encode_question("a", "b", "imap", "") + b"x",
            encode_question("a\0b", "b", "imap", ""),
            encode_question("a", "b\0", "imap", ""),
            b"\x00\x01\xff" + b"\0\0" * 3,
        ],
        ids=["bytes after", "NUL in login", "NUL in password", "not UTF-8"],
    )
    def test_what_no_server_of_ours_sends_is_refused(self, data):
        with pytest.raises(FrameError):
            FrameParser().feed(data)

    @pytest.mark.parametrize(
        ("login", "realm", "address"),
        [
            ("alice@acme.test", "", "alice@acme.test"),
            ("alice", "acme.test", "alice@acme.test"),
            ("Alice", "ACME.test", "alice@acme.test"),
            ("alice@acme.test", "mail.deftmail.test", "alice@acme.test"),
            ("alice", "", "alice"),
        ],
    )
    def test_login_and_realm_make_one_address(self, login, realm, address):
        assert Question(login, "x", "imap", realm).address == address

    def test_a_password_is_never_shown(self):
        assert "s3cret" not in repr(Question("a", "s3cret", "imap", ""))

    def test_the_answer_is_counted(self):
        assert encode_answer("OK") == b"\x00\x02OK"


names = st.text(
    st.characters(codec="ascii", exclude_characters="=\n\0", exclude_categories=["Cs"]), min_size=1, max_size=20
)
values = st.text(st.characters(exclude_characters="\n\0", exclude_categories=["Cs"]), max_size=80)
requests = st.lists(
    st.dictionaries(names.filter(lambda n: n != "request"), values, max_size=20), min_size=1, max_size=5
)


class TestThePolicyProtocol:
    @given(requests, st.lists(st.integers(0, 100_000), max_size=10))
    def test_requests_are_read_however_they_are_cut(self, sent, places):
        parser = PolicyParser()
        read = [
            request
            for piece in cut(b"".join(encode_request(request) for request in sent), places)
            for request in parser.feed(piece)
        ]
        assert read == [{"request": "smtpd_access_policy", **request} for request in sent]
        assert parser.is_between_requests

    @given(st.lists(st.binary(max_size=500), max_size=30))
    def test_any_bytes_are_requests_nothing_yet_or_an_error(self, pieces):
        parser = PolicyParser()
        for piece in pieces:
            try:
                requests = parser.feed(piece)
            except PolicyError:
                return
            assert len(parser._buffer) <= policywire.MAX_LINE
            assert len(parser._attributes) <= policywire.MAX_ATTRIBUTES
            assert all(request["request"] == "smtpd_access_policy" for request in requests)

    @pytest.mark.parametrize(
        "data",
        [
            b"\n",
            b"request=junk_filter\n\n",
            b"request=smtpd_access_policy\nno equals sign\n\n",
            b"request=smtpd_access_policy\n=value\n\n",
            b"request=smtpd_access_policy\nna\xc3\xa4me=x\n\n",
            b"request=smtpd_access_policy\nsender=a\0b\n\n",
            b"x" * (policywire.MAX_LINE + 1),
            b"a=" + b"x" * policywire.MAX_LINE + b"\n",
            b"".join(b"a%d=b\n" % number for number in range(policywire.MAX_ATTRIBUTES + 1)),
            encode_request({}) * (policywire.MAX_WAITING + 1),
            b"EHLO there\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
        ],
        ids=lambda data: repr(data[:30]),
    )
    def test_what_postfix_never_sends_is_refused(self, data):
        with pytest.raises(PolicyError):
            PolicyParser().feed(data)

    def test_hostile_values_are_only_text(self):
        (request,) = PolicyParser().feed(b"request=smtpd_access_policy\nsender=\xff\xfe=x@y\n\n")
        assert request["sender"] == "\ufffd\ufffd=x@y"

    @given(st.text(max_size=300))
    def test_the_answer_is_always_one_line_of_ascii(self, text):
        answer = encode_action(text)
        assert answer.endswith(b"\n\n")
        assert answer.count(b"\n") == 2
        assert answer.isascii()
