"""The surroundings of the engine in memory, for the conformance suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes

from deftmail.engine.conformance.world import DeliveryRefused, World
from deftmail.engine.drivers.fake.driver import FakeEngine
from deftmail.engine.errors import EngineBusy, EngineError, EngineUnavailable
from deftmail.engine.observed import ObservedEngine
from deftmail.engine.port import MailEngine


class FakeWorld(World):
    """Mail goes straight into the fake's folders."""

    def __init__(self, engine: MailEngine, fake: FakeEngine) -> None:
        super().__init__(engine)
        self._fake = fake

    def deliver(self, address: str, content: bytes) -> None:
        try:
            self._fake.deliver(address, content)
        except EngineError as error:
            raise DeliveryRefused(str(error), temporary=isinstance(error, EngineBusy)) from error

    def subjects(self, address: str) -> dict[str, list[str]]:
        folders = self._fake.mailboxes[address].folders
        return {
            name: [str(message_from_bytes(content)["Subject"]) for content in messages]
            for name, messages in folders.items()
        }

    def add_folder(self, address: str, name: str) -> None:
        self._fake.mailboxes[address].folders[name] = []

    def reads_other(self, reader: str, owner: str) -> bool:
        return self.engine.jmap_access(reader).username == owner

    @contextmanager
    def program(self, address: str, *, idle: bool) -> Iterator[Callable[[], bool]]:
        sessions, session = self._fake.mailboxes[address].sessions, object()
        sessions.add(session)
        yield lambda: session in sessions

    def unreachable(self) -> MailEngine:
        away = FakeEngine()
        away.fail(EngineUnavailable("nobody there"))
        return ObservedEngine(away)
