"""The surroundings of a Stalwart for the conformance suite; the doors for mail are in memory or on sockets."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Protocol

from deftmail.engine.conformance.listener import Listener
from deftmail.engine.conformance.sending import SendingWorld
from deftmail.engine.conformance.world import THROTTLED, DeliveryRefused
from deftmail.engine.drivers.stalwart.driver import StalwartEngine
from deftmail.engine.drivers.stalwart.wire import Management, Object, set_error
from deftmail.engine.errors import EngineError
from deftmail.engine.names import domain_of
from deftmail.engine.observed import ObservedEngine
from deftmail.engine.port import MailEngine
from deftmail.jmap import JmapClient, JmapError, MailAccount

NOWHERE = "http://127.0.0.1:1"  # tcpmux: nothing listens there
PATIENCE = 30.0  # seconds until a message that was taken must have arrived


def remove_lists(management: Management, names: Collection[str]) -> None:
    """Destroy the mailing lists of these domains, also those whose row nobody knows any more. Raises EngineError."""
    lists = management.get("MailingList", management.all_ids("MailingList"), ("id", "emailAddress"))
    ids = [str(one["id"]) for one in lists if domain_of(str(one.get("emailAddress", ""))) in names]
    if ids:
        management.set("MailingList", destroy=ids)


class Doors(Protocol):
    """Ways in and out of a server that are not JMAP."""

    def bind(self, world: StalwartWorld) -> None:
        """Called once, before the others."""

    def deliver(self, address: str, content: bytes) -> None:
        """Hand over a message for a local mailbox. Raises DeliveryRefused."""

    def submit(self, login: str, password: str, sender: str, recipient: str, content: bytes) -> None:
        """Send as a mail program does. Raises DeliveryRefused."""

    def signs_in(self, address: str, password: str) -> bool:
        """Does this password open the mailbox?"""

    def close(self) -> None:
        """Let go of what was made."""


class StalwartWorld(SendingWorld):
    """Reading by JMAP with a client that remembers nothing; hooks and webhooks of the suite's own while a case runs."""

    def __init__(
        self,
        driver: StalwartEngine,
        doors: Doors,
        *,
        sink: str | None = None,
        listen: str = "127.0.0.1",
        tidy: Callable[[], list[str]] = list,
    ) -> None:
        """sink: address of a mailbox elsewhere; listen: the address of this machine that the server can reach;
        tidy: takes away what was made for the run and gives what could not be."""
        super().__init__(ObservedEngine(driver))
        self.driver = driver
        self.remote_recipient = sink
        self._doors = doors
        self._client = JmapClient(driver.transport)
        self._listen = listen
        self._tidy = tidy
        doors.bind(self)

    def finish(self) -> list[str]:
        self._doors.close()
        self._client.close()
        troubles = self._tidy()
        self.engine.close()
        return troubles

    def clean(self, name: str) -> None:
        remove_lists(self.driver.management, {name})
        super().clean(name)

    # mail in

    def deliver(self, address: str, content: bytes) -> None:
        before = self._count(address)
        self.route(address, content)
        self._arrived(address, before)

    def route(self, address: str, content: bytes) -> None:
        self._patiently(lambda: self._doors.deliver(address, content))

    def submit(self, login: str, password: str, sender: str, recipient: str, content: bytes) -> None:
        self._patiently(lambda: self._doors.submit(login, password, sender, recipient, content))

    @staticmethod
    def _patiently(act: Callable[[], None]) -> None:
        """Again, as a mail program does, while the server holds up many at once. Raises DeliveryRefused."""
        until = time.monotonic() + PATIENCE
        while True:
            try:
                act()
            except DeliveryRefused as error:
                if THROTTLED not in str(error) or time.monotonic() > until:
                    raise
                time.sleep(0.25)
            else:
                return

    def signs_in(self, address: str, password: str) -> bool:
        return self._doors.signs_in(address, password)

    def _count(self, address: str) -> int:
        try:
            return sum(folder.total_emails for folder in self._account(address).folders().all)
        except (EngineError, JmapError):
            return 0  # an alias, a list, or nobody

    def _arrived(self, address: str, before: int) -> None:
        """Wait until a message that was taken lies in the mailbox. Raises DeliveryRefused as the queue says why not."""
        until = time.monotonic() + PATIENCE
        pause = 0.05
        while time.monotonic() < until:
            if self._count(address) > before:
                return
            self._raise_if_deferred(address)
            time.sleep(pause)
            pause = min(pause * 2, 1.0)
        raise DeliveryRefused(f"nothing arrived for {address}", temporary=False)

    def _raise_if_deferred(self, address: str) -> None:
        management = self.driver.management
        [newest] = management.ask([("x:QueuedMessage/query", {"limit": 100})])
        for queued in management.get("QueuedMessage", newest.get("ids") or []):
            recipients = queued.get("recipients") or {}
            status: Object = (recipients.get(address) or {}).get("status") or {}
            if status.get("@type") in {"TemporaryFailure", "PermanentFailure"}:
                management.set("QueuedMessage", destroy=[str(queued["id"])])
                text = str(status.get("responseMessage") or status.get("errorType") or "not delivered")
                raise DeliveryRefused(text, temporary=status["@type"] == "TemporaryFailure")

    # reading

    def account(self, address: str) -> MailAccount:
        return self._account(address)

    def _account(self, address: str) -> MailAccount:
        self._client.memory.clear()
        return MailAccount(self.engine.jmap_access(address), client=self._client)

    def subjects(self, address: str) -> dict[str, list[str]]:
        account = self._account(address)
        seen: dict[str, list[str]] = {}
        for folder in account.folders().all:
            seen[folder.role or folder.name] = [row.subject for row in account.conversations(folder.id).rows]
        return seen

    def add_folder(self, address: str, name: str) -> None:
        self._account(address).create_folder(name)

    def reads_other(self, reader: str, owner: str) -> bool:
        # Our service key may act as anybody: what keeps mailboxes apart is the account that an access names.
        return self.engine.jmap_access(reader).account_id == self.engine.jmap_access(owner).account_id and any(
            self.subjects(reader).values()
        )

    def unreachable(self) -> MailEngine:
        return ObservedEngine(StalwartEngine(NOWHERE, "Bearer API_x"))

    # hooks and events

    @contextmanager
    def hook(self, login: str, status: int, enhanced: str, sentence: str) -> Iterator[Listener]:
        answer = {
            "action": "reject",
            "response": {"status": status, "enhanced_status": enhanced, "message": sentence, "disconnect": False},
        }
        with Listener(self._listen, answer) as listener:
            hook: Object = {
                "url": f"{listener.url}/hook",
                "httpAuth": {"@type": "Unauthenticated"},
                "stages": {"data": True},
                "enable": {"else": f"authenticated_as == '{login}'", "match": {}},
                "tempFailOnError": True,
                "timeout": 5000,
            }
            with self._configured("MtaHook", hook):
                yield listener

    @contextmanager
    def events(self) -> Iterator[Listener]:
        with Listener(self._listen, {}) as listener:
            webhook: Object = {
                "url": f"{listener.url}/events",
                "eventsPolicy": "include",
                "events": {"delivery.dsn-success": True, "delivery.dsn-perm-fail": True},
                "throttle": 200,
                "timeout": 5000,
                "discardAfter": 60000,
                "lossy": False,
                "signatureKey": {"@type": "Value", "secret": listener.secret},
                "httpAuth": {"@type": "Unauthenticated"},
            }
            with self._configured("WebHook", webhook):
                yield listener

    @contextmanager
    def _configured(self, kind: str, object_: Object) -> Iterator[None]:
        """An object of the settings while a block runs, applied by a reload whose answer is checked."""
        management = self.driver.management
        made = management.set(kind, create={"c": object_})
        if "c" not in made.created:
            raise set_error(made.not_created.get("c"), kind)
        try:
            self._reload()
            yield
        finally:
            management.set(kind, destroy=[str(made.created["c"]["id"])])
            self._reload()

    def _reload(self) -> None:
        answer = self.driver.management.set("Action", create={"r": {"@type": "ReloadSettings"}})
        if "r" not in answer.created:
            raise set_error(answer.not_created.get("r"), "ReloadSettings")
