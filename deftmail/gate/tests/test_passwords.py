"""Who may sign in, what a wrong password costs, and what is remembered for how long."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from django.db import OperationalError
from django.utils import timezone

from deftmail.gate.database import Busy, Threads
from deftmail.gate.passwords import KNOWN, REMEMBER, WAITING_PER_ACCOUNT, Memory, NotReady, Outcome, PasswordChecker
from deftmail.gate.saslwire import Question
from deftmail.kit import ratelimit
from deftmail.kit.passwords import verify_password
from deftmail.kit.ratelimit import LIMITS
from deftmail.kit.testing import GOOD_PASSWORD, cheap_hash

FAILURES = LIMITS["account_failures"].burst
FROM_ADDRESS = LIMITS["address_failures"].burst
GUESSES = LIMITS["account_guesses"].burst


def question(login="alice@acme.test", password=GOOD_PASSWORD, service="imap", realm=""):
    return Question(login, password, service, realm)


class TestWhoMay:
    @pytest.mark.parametrize("service", ["imap", "smtp"])
    @pytest.mark.parametrize(
        ("login", "realm"),
        [("alice@acme.test", ""), ("alice", "acme.test"), ("ALICE@Acme.Test", ""), ("Alice", "ACME.TEST")],
    )
    async def test_the_right_password_in_any_spelling_of_the_address(self, checker, table, service, login, realm):
        table.add()
        assert await checker.check(question(login, service=service, realm=realm)) is Outcome.RIGHT

    async def test_an_internationalised_domain_by_either_spelling(self, checker, table):
        table.add(email="alice@xn--bcher-kva.test")
        for login in ("alice@bücher.test", "alice@xn--bcher-kva.test"):
            assert await checker.check(question(login)) is Outcome.RIGHT

    @pytest.mark.parametrize("password", ["wrong password", "", GOOD_PASSWORD + " ", GOOD_PASSWORD.upper(), "x" * 1000])
    async def test_nobody_else(self, checker, table, password):
        table.add()
        assert await checker.check(question(password=password)) is Outcome.WRONG

    @pytest.mark.parametrize(
        "login", ["bob@acme.test", "alice", "", "@", "alice@acme.test@acme.test", "a" * 1000, "\r\n"]
    )
    async def test_no_address_that_is_not_there(self, checker, table, login):
        table.add()
        assert await checker.check(question(login)) is Outcome.WRONG

    @pytest.mark.parametrize("service", ["sieve", "http", "lmtp", "", "pop"])
    async def test_no_other_service_even_with_the_right_password(self, checker, table, service):
        table.add()
        assert await checker.check(question(service=service)) is Outcome.REFUSED_SERVICE
        assert table.hashes == 0

    @pytest.mark.parametrize(
        ("values", "outcome"),
        [
            ({"status": "disabled"}, Outcome.DISABLED),
            ({"status": "suspended"}, Outcome.RIGHT),
            ({"tenant_status": "suspended"}, Outcome.RIGHT),
            ({"tenant_status": "cancelled"}, Outcome.RIGHT),
        ],
    )
    async def test_state_decides_only_after_the_password(self, checker, table, values, outcome):
        table.add(**values)
        assert await checker.check(question()) is outcome
        assert await checker.check(question(password="wrong")) is Outcome.WRONG


class TestBeforeTheEngineHasIt:
    async def test_no_answer_so_that_nobody_reads_an_earlier_mailbox_of_the_same_address(self, checker, table):
        table.add(is_ready=False)
        for _ in range(2):  # also when the password is remembered
            with pytest.raises(NotReady):
                await checker.check(question())
        assert await checker.check(question(password="wrong")) is Outcome.WRONG

    async def test_a_disabled_one_is_simply_shut(self, checker, table):
        table.add(is_ready=False, status="disabled")
        assert await checker.check(question()) is Outcome.DISABLED


class TestWhatIsRemembered:
    async def test_a_success_for_five_minutes(self, checker, table, clock):
        table.add()
        for _ in range(20):
            assert await checker.check(question()) is Outcome.RIGHT
        assert table.hashes == 1
        clock.now += REMEMBER - 1
        await checker.check(question())
        assert table.hashes == 1
        clock.now += 2
        await checker.check(question())
        assert table.hashes == 2

    async def test_never_a_failure(self, checker, table):
        table.add()
        for _ in range(3):
            assert await checker.check(question(password="wrong")) is Outcome.WRONG
        assert table.hashes == 3

    async def test_not_beyond_a_change_of_the_password(self, checker, table):
        alice = table.add()
        await checker.check(question())
        table[alice.email] = replace(alice, password_hash=cheap_hash("another password"))
        assert await checker.check(question()) is Outcome.WRONG
        assert await checker.check(question(password="another password")) is Outcome.RIGHT

    async def test_not_beyond_a_disabling_or_deletion(self, checker, table):
        alice = table.add()
        await checker.check(question())
        table[alice.email] = replace(alice, status="disabled")
        assert await checker.check(question()) is Outcome.DISABLED
        del table[alice.email]
        assert await checker.check(question()) is Outcome.WRONG

    @pytest.mark.parametrize(
        ("values", "outcome"),
        [
            ({"status": "disabled"}, Outcome.DISABLED),
            ({"password_hash": cheap_hash("another password")}, Outcome.WRONG),
            (None, Outcome.WRONG),
        ],
    )
    async def test_what_changed_while_the_password_was_hashed_counts(
        self, checker, table, monkeypatch, values, outcome
    ):
        alice = table.add()

        def change_and_verify(password: str, hashed: str) -> bool:
            if values is None:
                del table[alice.email]
            else:
                table[alice.email] = replace(alice, **values)
            return verify_password(password, hashed)

        monkeypatch.setattr("deftmail.gate.passwords.verify_password", change_and_verify)
        assert await checker.check(question()) is outcome

    async def test_a_success_of_one_is_none_of_another_with_the_same_password(self, checker, table):
        alice = table.add()
        table.add(email="bob@acme.test", password="bobs own password")
        await checker.check(question())
        table["bob@acme.test"] = replace(table["bob@acme.test"], password_hash=table["bob@acme.test"].password_hash)
        assert await checker.check(question("bob@acme.test")) is Outcome.WRONG
        assert alice.email in table

    def test_neither_passwords_nor_hashes_of_them_without_the_key(self):
        first, second = Memory(), Memory()
        assert first.name("a@b.c", "h", "secret") != second.name("a@b.c", "h", "secret")
        first.put(first.name("a@b.c", "h", "secret"))
        assert "secret" not in repr(first)

    def test_no_more_than_its_bound(self, monkeypatch):
        monkeypatch.setattr("deftmail.gate.passwords.REMEMBERED_AT_MOST", 3)
        memory = Memory()
        for number in range(5):
            memory.put(bytes([number]))
        assert [memory.age(bytes([number])) < 1 for number in range(5)] == [False, False, True, True, True]


class TestGuessing:
    async def test_is_stopped_before_any_hash(self, checker, table):
        table.add()
        outcomes = [await checker.check(question(password=f"guess {number}")) for number in range(FAILURES + 5)]
        assert outcomes == [Outcome.WRONG] * FAILURES + [Outcome.LIMITED] * 5
        assert table.hashes == FAILURES

    async def test_in_parallel_gains_nothing(self, checker, table):
        table.add()
        asked = [checker.check(question(password=f"guess {number}")) for number in range(WAITING_PER_ACCOUNT)]
        outcomes = await asyncio.gather(*asked)
        assert outcomes.count(Outcome.WRONG) == FAILURES
        assert table.hashes == FAILURES

    async def test_at_an_address_nobody_has_looks_the_same(self, checker, table):
        outcomes = [await checker.check(question("nobody@acme.test")) for _ in range(FAILURES + 1)]
        assert outcomes == [Outcome.WRONG] * FAILURES + [Outcome.LIMITED]
        assert table.hashes == FAILURES

    async def test_locks_out_a_new_right_password_too(self, checker, table):
        table.add()
        for number in range(FAILURES):
            await checker.check(question(password=f"guess {number}"))
        assert await checker.check(question()) is Outcome.LIMITED

    async def test_does_not_lock_out_the_programs_of_its_person(self, checker, table, clock):
        table.add()
        assert await checker.check(question()) is Outcome.RIGHT
        for number in range(FAILURES + 1):
            await checker.check(question(password=f"guess {number}"))
        clock.now += REMEMBER + 1
        assert await checker.check(question()) is Outcome.RIGHT
        clock.now += KNOWN + 1
        assert await checker.check(question()) is Outcome.LIMITED

    async def test_right_passwords_are_not_counted(self, checker, table, clock):
        table.add()
        for _ in range(FAILURES + 3):
            clock.now += KNOWN + 1
            assert await checker.check(question()) is Outcome.RIGHT


class Origins:
    """Whom which process serves, without those who know."""

    def __init__(self, **addresses):
        self.addresses = {int(name[1:]): address for name, address in addresses.items()}
        self.asked = []

    async def address_of(self, pid):
        self.asked.append(pid)
        return self.addresses.get(pid)


class TestGuessingFromOneAddress:
    @pytest.fixture
    def origins(self):
        return Origins(p1="192.0.2.1", p2="192.0.2.2", p3="2001:db8:1:2::3", p4="2001:db8:1:2:ffff::4")

    @pytest.fixture
    def checker(self, table, threads, clock, origins):
        return PasswordChecker(
            *threads, memory=Memory(clock=clock), clients={"imap": origins.address_of, "smtp": origins.address_of}
        )

    async def guess(self, checker, caller, tries=FROM_ADDRESS):
        return [await checker.check(question(f"box{number}@acme.test", "guess"), caller) for number in range(tries)]

    async def test_is_stopped_before_any_hash_and_the_neighbour_is_not(self, checker, table):
        table.add()
        outcomes = await self.guess(checker, 1, FROM_ADDRESS + 5)
        assert outcomes == [Outcome.WRONG] * FROM_ADDRESS + [Outcome.LIMITED] * 5
        assert await checker.check(question(), 1) is Outcome.LIMITED
        assert table.hashes == FROM_ADDRESS
        assert await checker.check(question(), 2) is Outcome.RIGHT

    async def test_a_network_of_ipv6_is_one(self, checker, table):
        table.add()
        await self.guess(checker, 3)
        assert await checker.check(question(), 4) is Outcome.LIMITED

    async def test_is_counted_with_the_webs(self, checker, table):
        table.add()
        for number in range(FROM_ADDRESS):
            ratelimit.wrong_passwords(f"web{number}@acme.test", "192.0.2.1")
        assert await checker.check(question(), 1) is Outcome.LIMITED

    async def test_where_nobody_knows_the_address_the_account_alone_counts(self, checker, table):
        table.add()
        assert set(await self.guess(checker, 99, 2 * FROM_ADDRESS)) == {Outcome.WRONG}
        assert await checker.check(question(), 99) is Outcome.RIGHT

    async def test_does_not_lock_out_programs_that_were_in_before(self, checker, table, clock):
        table.add()
        assert await checker.check(question(), 1) is Outcome.RIGHT
        await self.guess(checker, 1)
        assert await checker.check(question(), 1) is Outcome.RIGHT
        clock.now += REMEMBER + 1
        assert await checker.check(question(), 1) is Outcome.RIGHT
        clock.now += KNOWN + 1
        assert await checker.check(question(), 1) is Outcome.LIMITED

    async def test_right_passwords_are_not_counted(self, checker, table, clock):
        table.add()
        for _ in range(FROM_ADDRESS + 3):
            clock.now += KNOWN + 1
            assert await checker.check(question(), 1) is Outcome.RIGHT

    async def test_at_once_at_many_accounts_gains_one_hash_per_thread_at_most(self, table, origins):
        readers, hashers = Threads("r", 4, 100), Threads("h", 2, 100)
        checker = PasswordChecker(readers, hashers, clients={"imap": origins.address_of, "smtp": origins.address_of})
        tries = [checker.check(question(f"box{number}@acme.test", "guess"), 1) for number in range(2 * FROM_ADDRESS)]
        outcomes = await asyncio.gather(*tries)
        assert FROM_ADDRESS <= outcomes.count(Outcome.WRONG) == table.hashes < FROM_ADDRESS + 2

    async def test_is_asked_for_before_a_hash_alone(self, checker, table, origins):
        table.add()
        table.add(email="bob@acme.test")
        for _ in range(5):
            await checker.check(question(), 1)
        await checker.check(question("bob@acme.test", service="smtp"), 2)
        assert origins.asked == [1, 2]


class TestGuessingAtOneAccountInUse:
    """Whose programs are in day and night: what they proved lets a right guess in, past the limits on failures."""

    @pytest.fixture
    def checker(self, table, threads, clock):
        return PasswordChecker(
            *threads, memory=Memory(clock=clock), clients={"imap": Origins(p1="192.0.2.1", p2="192.0.2.2").address_of}
        )

    async def in_use_and_guessed_at(self, checker, table, service="imap"):
        table.add()
        assert await checker.check(question(service=service), 1) is Outcome.RIGHT
        for number in range(GUESSES):
            assert await checker.check(question(password=f"guess {number}"), 2) is not Outcome.RIGHT

    async def test_the_right_guess_comes_too_late(self, checker, table):
        await self.in_use_and_guessed_at(checker, table)
        hashes = table.hashes
        assert await checker.check(question(), 2) is Outcome.LIMITED
        assert await checker.check(question(service="smtp"), 2) is Outcome.LIMITED
        assert table.hashes == hashes

    async def test_its_own_programs_stay_in(self, checker, table, clock):
        await self.in_use_and_guessed_at(checker, table)
        for _ in range(3):
            assert await checker.check(question(), 1) is Outcome.RIGHT
        clock.now += REMEMBER + 1
        assert await checker.check(question(), 1) is Outcome.RIGHT

    async def test_programs_that_are_right_are_not_counted(self, checker, table):
        table.add()
        for _ in range(GUESSES + 1):
            assert await checker.check(question(), 1) is Outcome.RIGHT
        assert await checker.check(question(), 2) is Outcome.RIGHT

    async def test_a_flood_at_once_is_counted_too(self, checker, table):
        table.add()
        assert await checker.check(question(), 1) is Outcome.RIGHT
        at_once = 50  # more than may wait for one account, fewer than may wait for a row to be read
        for _ in range(GUESSES // at_once):
            flood = [checker.check(question(password="guess"), 2) for _ in range(at_once)]
            answers = await asyncio.gather(*flood, return_exceptions=True)
            assert any(isinstance(answer, Busy) for answer in answers)
        assert await checker.check(question(), 2) is Outcome.LIMITED


class TestLoad:
    async def test_a_burst_of_one_program_costs_one_hash(self, checker, table):
        table.add()
        outcomes = await asyncio.gather(*(checker.check(question()) for _ in range(12)))
        assert set(outcomes) == {Outcome.RIGHT}
        assert table.hashes == 1

    async def test_one_account_cannot_queue_without_end(self, checker, table):
        table.add()
        asked = [checker.check(question(password="wrong")) for _ in range(WAITING_PER_ACCOUNT + 10)]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert sum(isinstance(outcome, Busy) for outcome in outcomes) >= 9

    async def test_all_accounts_together_cannot_either(self, table):
        for number in range(8):
            table.add(email=f"box{number}@acme.test")
        readers, hashers = Threads("r", 4, 100), Threads("h", 1, 2)
        checker = PasswordChecker(readers, hashers)
        asked = [checker.check(question(f"box{number}@acme.test")) for number in range(8)]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert any(isinstance(outcome, Busy) for outcome in outcomes)
        assert Outcome.RIGHT in outcomes
        assert not [outcome for outcome in outcomes if outcome is Outcome.WRONG]

    async def test_a_database_that_is_away_is_no_wrong_password(self, checker, table):
        table.add()
        table.away = OperationalError("away")
        with pytest.raises(OperationalError):
            await checker.check(question())
        table.away = None
        assert await checker.check(question()) is Outcome.RIGHT


class TestTheLastSignIn:
    async def test_is_recorded(self, checker, table):
        alice = table.add()
        await checker.check(question())
        await checker.settle()
        assert table.signed_in == [alice.mailbox_id]

    async def test_at_most_once_a_minute(self, checker, table):
        table.add(last_login_at=timezone.now())
        await checker.check(question())
        await checker.settle()
        assert table.signed_in == []

    async def test_a_wrong_password_is_none(self, checker, table):
        table.add()
        await checker.check(question(password="wrong"))
        await checker.settle()
        assert table.signed_in == []
