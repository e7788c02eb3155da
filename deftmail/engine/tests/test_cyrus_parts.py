"""The Cyrus driver without Cyrus: IMAP syntax, tokens, the script, an administrator's session on a scripted server."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deftmail.engine.drivers.cyrus import queue
from deftmail.engine.drivers.cyrus.admin import AdminSession, Note
from deftmail.engine.drivers.cyrus.imapdata import parse, quote
from deftmail.engine.drivers.cyrus.queue import MailQueue
from deftmail.engine.drivers.cyrus.sieve import SPAM, Block, compose
from deftmail.engine.drivers.cyrus.tokens import BACKDATE, RENEW_AFTER, TokenSource
from deftmail.engine.errors import EngineAuthFailed, EngineBusy, EngineError, EngineRefused, EngineUnavailable

KEY = base64.b64encode(b"k" * 32).decode()


# IMAP syntax


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60))
def test_a_quoted_string_is_read_back_whole(text: str) -> None:
    assert parse(quote(text).encode()) == [text]


@given(st.text(max_size=30))
def test_a_quoted_string_never_ends_its_line(text: str) -> None:
    try:
        quoted = quote(text)
    except EngineRefused:
        assert not (text.isascii() and text.isprintable())
        return
    assert quoted.isprintable()
    assert parse(quoted.encode() + b" x") == [text, "x"]


@given(st.binary(max_size=80))
def test_any_bytes_are_read_or_are_no_answer(line: bytes) -> None:
    try:
        values = parse(line)
    except EngineUnavailable:
        return
    assert len(values) <= len(line)


def test_answers_of_cyrus_are_read() -> None:
    assert parse(b'(\\HasNoChildren) "/" user/a.b@acme.test') == [["\\HasNoChildren"], "/", "user/a.b@acme.test"]
    assert parse(b'user/a@x.test ("/private/comment" NIL)') == ["user/a@x.test", ["/private/comment", None]]
    assert parse(b"user/a@x.test ()") == ["user/a@x.test", []]


def test_endless_nesting_is_refused() -> None:
    with pytest.raises(EngineUnavailable):
        parse(b"(" * 10_000)


# tokens


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def claims(token: str) -> dict[str, object]:
    head, payload, signature = token.split(".")
    expected = hmac.new(b"k" * 32, f"{head}.{payload}".encode(), hashlib.sha256).digest()
    assert base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4)) == expected
    found = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert isinstance(found, dict)
    return found


def test_a_token_says_who_and_when_a_little_earlier_and_nothing_else() -> None:
    source = TokenSource(KEY, clock=Clock())
    assert claims(source.token("a@acme.test")) == {"sub": "a@acme.test", "iat": 1_800_000_000 - BACKDATE}


def test_a_token_is_kept_while_it_is_fresh_and_made_anew_long_before_it_ends() -> None:
    clock = Clock()
    source = TokenSource(KEY, clock=clock)
    first = source.token("a@acme.test")
    clock.now += RENEW_AFTER - 1
    assert source.token("a@acme.test") == first
    clock.now += 1
    assert source.token("a@acme.test") != first
    assert RENEW_AFTER + BACKDATE <= 300 - 90, "Cyrus takes a token for 300 seconds"


def test_a_refused_token_is_made_anew_and_a_clock_set_back_keeps_none() -> None:
    clock = Clock()
    source = TokenSource(KEY, clock=clock)
    first = source.token("a@acme.test")
    clock.now += 1
    source.forget("a@acme.test")
    second = source.token("a@acme.test")
    assert second != first
    clock.now -= 100
    assert source.token("a@acme.test") != second


def test_every_address_has_a_token_of_its_own() -> None:
    source = TokenSource(KEY)
    assert source.token("a@acme.test") != source.token("b@acme.test")


def test_without_a_key_nothing_is_signed() -> None:
    with pytest.raises(EngineAuthFailed):
        TokenSource("").token("a@acme.test")


# the script


def test_a_script_requires_each_extension_once_and_before_any_command() -> None:
    text = compose((SPAM, Block("vacation", ("vacation", "fileinto"), 'vacation "Away.";')))
    lines = text.splitlines()
    assert lines[1] == 'require ["fileinto", "special-use", "vacation"];'
    assert text.count("require") == 1
    assert text.index("X-Spam") < text.index('vacation "')


# an administrator's session


@contextmanager
def server(answers: dict[str, list[str]]) -> Iterator[AdminSession]:
    """An IMAP server that answers each command by its name: untagged lines, then the tagged text."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        with connection, connection.makefile("rwb") as stream:
            stream.write(b"* OK mail.acme.test Cyrus IMAP 3.6.1 server ready\r\n")
            stream.flush()
            for line in stream:
                tag, command, *_rest = line.decode().split(" ", 2)
                known = {"CAPABILITY": ["* CAPABILITY IMAP4rev1", "OK"], "LOGIN": ["OK"], "LOGOUT": ["* BYE", "OK"]}
                reply = {**known, **answers}.get(command.strip(), ["BAD unknown"])
                if reply == ["DROP"]:
                    return
                stream.write("".join(f"{text}\r\n" for text in reply[:-1]).encode())
                stream.write(f"{tag} {reply[-1]} as scripted\r\n".encode())
                stream.flush()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield AdminSession("127.0.0.1", listener.getsockname()[1], "cyrus", "s3cret", timeout=5)
    finally:
        listener.close()
        thread.join(5)


def test_a_wrong_password_of_ours_is_an_operators_matter() -> None:
    refused = {"LOGIN": ["NO [AUTHENTICATIONFAILED] authentication failure"]}
    with server(refused) as session, pytest.raises(EngineAuthFailed) as raised, session:
        pass
    assert not raised.value.permanent
    assert "s3cret" not in str(raised.value)


def test_a_connection_that_breaks_is_an_engine_that_is_away() -> None:
    with server({"LIST": ["DROP"]}) as session, session, pytest.raises(EngineUnavailable):
        list(session.list_all("acme.test"))


def test_a_listing_that_ends_in_no_is_no_listing() -> None:
    answers = {"LIST": ['* LIST () "/" user/a@acme.test', "NO [UNAVAILABLE] System I/O error"]}
    with server(answers) as session, session, pytest.raises(EngineBusy):
        list(session.list_all("acme.test"))


def test_a_listing_reads_ids_also_from_literals() -> None:
    made_for = uuid4()
    answers = {
        "LIST": [
            '* LIST (\\HasChildren) "/" user/a@acme.test',
            f'* METADATA user/a@acme.test ("/private/comment" {{36}}\r\n{made_for})',
            '* LIST () "/" {16}\r\nuser/b@acme.test',
            '* METADATA user/b@acme.test ("/private/comment" "no uuid")',
            '* LIST () "/" shared',
            "OK done",
        ]
    }
    with server(answers) as session, session:
        assert list(session.list_all("acme.test")) == [("a@acme.test", made_for), ("b@acme.test", None)]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("NO Invalid mailbox name", EngineRefused),
        ("NO [LIMIT] Too many", EngineBusy),
        ("NO Mailbox is locked", EngineBusy),
        ("BAD Unknown command", EngineRefused),
    ],
)
def test_a_refusal_says_whether_it_heals(text: str, kind: type[EngineError]) -> None:
    with server({"CREATE": [text]}) as session, session, pytest.raises(kind) as raised:
        session.create("a@acme.test", Note(uuid4()))
    assert raised.value.permanent is (kind is EngineRefused)


def test_a_mailbox_that_exists_is_created_already() -> None:
    with server({"CREATE": ["NO Mailbox already exists"], "SETMETADATA": ["OK"]}) as session, session:
        session.create("a@acme.test", Note(uuid4()))


def test_a_mailbox_that_is_not_there_is_found_absent() -> None:
    with server({"GETMETADATA": ["NO Mailbox does not exist"]}) as session, session:
        assert session.find("a@acme.test") is None


def test_a_mailbox_of_another_id_is_never_deleted() -> None:
    other = UUID(int=7)
    answers = {"GETMETADATA": [f'* METADATA user/a@acme.test ("/private/comment" "{other}")', "OK"]}
    with server(answers) as session, session:
        session.delete("a@acme.test", uuid4())  # DELETE would be answered BAD


def test_quotas_are_read_in_bytes() -> None:
    with server({"GETQUOTA": ["* QUOTA user/a@acme.test (STORAGE 3 1024)", "OK"]}) as session, session:
        assert session.quota("a@acme.test") == (3 * 1024, 1024 * 1024)
    unlimited = {
        "GETQUOTA": ["NO Quota root does not exist"],
        "LIST": [
            '* LIST () "/" user/a@acme.test',
            "* STATUS user/a@acme.test (SIZE 10)",
            '* LIST () "/" user/a/Sent@acme.test',
            "* STATUS user/a/Sent@acme.test (SIZE 5)",
            "OK",
        ],
    }
    with server(unlimited) as session, session:
        assert session.quota("a@acme.test") == (15, None)


# What waits in Postfix's queue


def postfix(tmp_path: Path, *, holds: int, recipient: str = "Eve+news@acme.test") -> MailQueue:
    """A `postqueue` that lists one message until it was asked for another try so often."""
    script = tmp_path / "postqueue"
    script.write_text(
        f"#!{sys.executable}\n"
        "import json, pathlib, sys\n"
        f"tries = pathlib.Path({str(tmp_path / 'tries')!r})\n"
        "done = int(tries.read_text()) if tries.exists() else 0\n"
        "assert sys.argv[1:3] == ['-c', '/etc/pf'], sys.argv\n"
        "if sys.argv[3:] == ['-i', 'QUEUEID']:\n"
        "    tries.write_text(str(done + 1))\n"
        "elif sys.argv[3:] == ['-j']:\n"
        "    print('garbage')\n"
        "    print(json.dumps({'queue_id': 'OTHER', 'recipients': [{'address': 'adam@acme.test'}]}))\n"
        f"    if done < {holds}:\n"
        f"        print(json.dumps({{'queue_id': 'QUEUEID', 'recipients': [{{'address': {recipient!r}}}]}}))\n"
        "else:\n"
        "    sys.exit(69)\n"
    )
    script.chmod(0o755)
    return MailQueue("/etc/pf", command=(str(script),))


def test_mail_for_an_earlier_mailbox_is_tried_until_it_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "TRIES", (0.0,) * 3)
    waiting = postfix(tmp_path, holds=2)
    assert waiting.holding("eve@acme.test") == ["QUEUEID"]
    waiting.let_go("eve@acme.test")
    assert waiting.holding("eve@acme.test") == []
    assert (tmp_path / "tries").read_text() == "2"


def test_what_does_not_go_keeps_the_address_from_being_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "TRIES", (0.0,) * 3)
    with pytest.raises(EngineBusy, match="1 messages"):
        postfix(tmp_path, holds=99).let_go("eve@acme.test")


def test_a_queue_that_does_not_answer_is_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable):
        MailQueue(command=(str(tmp_path / "nothing"),)).let_go("eve@acme.test")
    with pytest.raises(EngineUnavailable):
        MailQueue(command=("/bin/false",)).holding("eve@acme.test")
