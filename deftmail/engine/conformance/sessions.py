"""Cases about mail programs that are signed in while their mailbox changes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace

from pydantic import SecretStr

from deftmail.engine.conformance.world import Skipped, World
from deftmail.engine.names import domain_of
from deftmail.engine.port import MailboxSpec, MailboxState, MailEngine
from deftmail.engine.specimens import mailbox_spec

OTHER_HASH = SecretStr("$2b$12$" + "o" * 53)


@dataclass(frozen=True)
class _Signed:
    """alice with two programs, bob of the same company with one; each says whether the server still answers it."""

    alice: MailboxSpec
    programs: tuple[Callable[[], bool], ...]
    bobs: Callable[[], bool]

    def went_on(self, after: str) -> None:
        assert [works() for works in self.programs] == [True, True], f"{after} put somebody out"

    def ended(self, after: str) -> None:
        assert not self.programs[0](), f"after {after} a program goes on"
        assert not self.programs[1](), f"after {after} one that waits for news goes on"
        assert self.bobs(), f"{after} put another mailbox's program out"


def _must_end_sessions(engine: MailEngine) -> None:
    if not engine.capabilities.ends_sessions:
        raise Skipped("what is open in mail programs goes on here, as the engine's capabilities say")


@contextmanager
def _signed_in(world: World) -> Iterator[_Signed]:
    alice = world.mailbox()
    bob = world.mailbox("bob", domain=domain_of(alice.address))
    with ExitStack() as stack:
        programs = [stack.enter_context(world.program(alice.address, idle=idle)) for idle in (False, True)]
        yield _Signed(alice, tuple(programs), stack.enter_context(world.program(bob.address, idle=True)))


def open_sessions_go_on_through_other_changes(engine: MailEngine, world: World) -> None:
    _must_end_sessions(engine)
    with _signed_in(world) as signed:
        engine.apply_mailbox(signed.alice)
        signed.went_on("applying the same again")
        engine.apply_mailbox(replace(signed.alice, quota_mb=7, display_name="Alice", state=MailboxState.SUSPENDED))
        signed.went_on("a suspension, which stops sending alone,")


def open_sessions_end_when_disabled(engine: MailEngine, world: World) -> None:
    _must_end_sessions(engine)
    with _signed_in(world) as signed:
        disabled = replace(signed.alice, state=MailboxState.DISABLED)
        engine.apply_mailbox(disabled)
        signed.ended("disabling")
        with world.program(signed.alice.address, idle=True) as late:
            engine.apply_mailbox(disabled)
            assert not late(), "applied again, it lets go on who came in meanwhile"


def open_sessions_end_with_a_new_password(engine: MailEngine, world: World) -> None:
    _must_end_sessions(engine)
    with _signed_in(world) as signed:
        fresh = replace(signed.alice, password_hash=OTHER_HASH)
        outcomes = engine.apply_mailboxes([fresh, mailbox_spec(f"carol@{domain_of(fresh.address)}")])
        assert not any(outcomes.values()), f"{outcomes}"
        signed.ended("a new password")
        with world.program(fresh.address, idle=True) as anew:
            engine.apply_mailbox(fresh)
            assert anew(), "who signed in with the new password is put out"


def open_sessions_end_when_removed(engine: MailEngine, world: World) -> None:
    _must_end_sessions(engine)
    with _signed_in(world) as signed:
        engine.remove_mailbox(signed.alice.address, signed.alice.id)
        signed.ended("removal")


CASES = (
    open_sessions_go_on_through_other_changes,
    open_sessions_end_when_disabled,
    open_sessions_end_with_a_new_password,
    open_sessions_end_when_removed,
)
