"""The surroundings of a real Cyrus, for the conformance suite: mail in by LMTP, reading by JMAP."""

from __future__ import annotations

import imaplib
import smtplib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from deftmail.engine.conformance.world import DeliveryRefused, World
from deftmail.engine.drivers.cyrus.admin import AdminSession
from deftmail.engine.drivers.cyrus.driver import CyrusEngine
from deftmail.engine.drivers.cyrus.keys import DkimKeys
from deftmail.engine.drivers.cyrus.queue import MailQueue
from deftmail.engine.drivers.cyrus.sessions import Sessions
from deftmail.engine.drivers.cyrus.tokens import TokenSource
from deftmail.engine.observed import ObservedEngine
from deftmail.engine.port import MailEngine
from deftmail.jmap import JmapClient, JmapError, MailAccount
from deftmail.kit.conf import conf

NOWHERE = "127.0.0.1"
NO_PORT = 1  # tcpmux: nothing listens there


@contextmanager
def as_person(address: str) -> Iterator[imaplib.IMAP4]:
    """IMAP as the mailbox's own person (the administrator signs in on his behalf, RFC 4616 §2)."""
    host, _, port = conf.cyrus_admin.rpartition(":")
    client = imaplib.IMAP4(host, int(port), timeout=30)
    secret = f"{address}\0{conf.cyrus_admin_user}\0{conf.cyrus_admin_password.get_secret_value()}"
    try:
        client.authenticate("PLAIN", lambda _: secret.encode())
        yield client
    finally:
        client.shutdown()


class CyrusWorld(World):
    """LMTP as Postfix would; JMAP with a client that remembers nothing between looks."""

    def deliver(self, address: str, content: bytes) -> None:
        host, _, port = conf.cyrus_lmtp.rpartition(":")
        try:
            with smtplib.LMTP(host, int(port)) as lmtp:
                lmtp.timeout = 30.0
                lmtp.sendmail("sender@outside.test", [address], content)
        except smtplib.SMTPRecipientsRefused as error:
            code, text = error.recipients[address]
            raise DeliveryRefused(text.decode("utf-8", "replace"), temporary=code < 500) from error
        except smtplib.SMTPResponseException as error:
            raise DeliveryRefused(str(error.smtp_error), temporary=error.smtp_code < 500) from error

    def _account(self, address: str) -> MailAccount:
        return MailAccount(self.engine.jmap_access(address), client=JmapClient())

    def subjects(self, address: str) -> dict[str, list[str]]:
        account = self._account(address)
        seen: dict[str, list[str]] = {}
        for folder in account.folders().all:
            page = account.conversations(folder.id)
            seen[folder.role or folder.name] = [row.subject for row in page.rows]
        return seen

    def add_folder(self, address: str, name: str) -> None:
        self._account(address).create_folder(name)

    def reads_other(self, reader: str, owner: str) -> bool:
        access = replace(self.engine.jmap_access(reader), account_id=owner)
        try:
            page = MailAccount(access, client=JmapClient()).conversations()
        except JmapError:
            return False
        return bool(page.rows)

    @contextmanager
    def program(self, address: str, *, idle: bool) -> Iterator[Callable[[], bool]]:
        with as_person(address) as client:
            client.select()

            def wait_for_news() -> None:
                client.send(b"idle IDLE\r\n")
                client.readline()

            def works() -> bool:
                try:
                    if not idle:
                        return client.noop()[0] == "OK"
                    client.send(b"DONE\r\n")
                    if not client.readline().startswith(b"idle OK"):
                        return False
                    wait_for_news()
                except (OSError, imaplib.IMAP4.error):
                    return False
                return True

            if idle:
                wait_for_news()
            yield works

    def unreachable(self) -> MailEngine:
        return ObservedEngine(
            CyrusEngine(
                admin=partial(AdminSession, NOWHERE, NO_PORT, "cyrus", "x"),
                keys=DkimKeys(f"redis://{NOWHERE}:{NO_PORT}"),
                tokens=TokenSource("eA=="),
                jmap_url=f"http://{NOWHERE}:{NO_PORT}",
                sessions=Sessions("/nowhere"),
                queue=MailQueue(command=("/nowhere",)),
                lmtp=(NOWHERE, NO_PORT),
            )
        )
