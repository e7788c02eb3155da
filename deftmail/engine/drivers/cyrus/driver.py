"""The Cyrus driver: mailboxes by administration IMAP and JMAP, DKIM keys by Redis, everything else by the gate.

Cyrus keeps no passwords and knows no states: it asks the gate for every sign-in, and Postfix reads routes from views
of the database. What is left to do here is small and may be done by two workers at once: every step looks first, and
"it exists already" is success.
"""

from __future__ import annotations

import hashlib
import re
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import partial
from uuid import UUID

import httpx2
from django.utils.translation import gettext as _

from deftmail.engine.drivers.cyrus.admin import AdminSession, Note
from deftmail.engine.drivers.cyrus.keys import DkimKeys
from deftmail.engine.drivers.cyrus.queue import MailQueue
from deftmail.engine.drivers.cyrus.sessions import Sessions
from deftmail.engine.drivers.cyrus.sieve import compose
from deftmail.engine.drivers.cyrus.tokens import TokenSource
from deftmail.engine.errors import (
    EngineAuthFailed,
    EngineBusy,
    EngineError,
    EngineRefused,
    EngineUnavailable,
    NotSupported,
)
from deftmail.engine.names import domain_of
from deftmail.engine.port import (
    AppPassword,
    Capabilities,
    DomainSpec,
    EngineHealth,
    FoundDomain,
    FoundMailbox,
    GroupSpec,
    JmapAccess,
    MailboxSpec,
    MailboxState,
    Usage,
)
from deftmail.jmap import JmapClient, JmapError, MailAccount
from deftmail.jmap import errors as jmap_errors
from deftmail.kit.conf import conf

MIB = 1024 * 1024
# Measured on 3.6.1: uploads of an account with a longer name answer 404, so its people could attach nothing.
MAX_ADDRESS = 80
RESERVED = frozenset({"anonymous", "anyone"})  # strangers and everybody, in its access lists
PROBE_TIMEOUT = 2.0  # seconds for one answer of a part that is asked whether it is well
# Seconds between looks at a mailbox that another worker is filling: while one makes its database of scripts, Cyrus
# answers the other "System I/O error".
CONFLICT_WAITS = (0.1, 0.3, 1.0)


class CyrusEngine:
    """One Cyrus with its Redis. Safe to share between threads."""

    name = "cyrus"

    def __init__(
        self,
        *,
        admin: Callable[..., AdminSession],
        keys: DkimKeys,
        tokens: TokenSource,
        jmap_url: str,
        jmap_socket: str = "",
        sessions: Sessions,
        queue: MailQueue,
        lmtp: tuple[str, int] | None = None,
        operator_domain: str = "",
    ) -> None:
        self._admin = admin
        self._keys = keys
        self._tokens = tokens
        self._jmap_url = jmap_url.rstrip("/")
        self._jmap_socket = jmap_socket
        self._sessions = sessions
        self._queue = queue
        self._lmtp = lmtp
        self._operator_domain = operator_domain
        # Its own client: what the web's remembers of a mailbox (folders) may be of an earlier incarnation.
        self._client = JmapClient()

    @classmethod
    def from_conf(cls) -> CyrusEngine:
        """As the settings say."""
        host, port = _host_port(conf.cyrus_admin)
        password = conf.cyrus_admin_password.get_secret_value()
        return cls(
            admin=partial(AdminSession, host, port, conf.cyrus_admin_user, password),
            keys=DkimKeys(conf.redis_url),
            tokens=TokenSource(conf.cyrus_jwt_key.get_secret_value()),
            jmap_url=conf.cyrus_jmap_url,
            jmap_socket=conf.cyrus_jmap_socket,
            sessions=Sessions(conf.cyrus_sessions_socket),
            queue=MailQueue(conf.postfix_config),
            lmtp=_host_port(conf.cyrus_lmtp),
            operator_domain=conf.operator_domain,
        )

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            enforces_state=False,
            keeps_passwords=False,
            app_passwords=False,
            routes=False,
            keeps_display_name=False,
            mailbox_tokens=True,
            ends_sessions=bool(self._sessions),
            max_batch=100,
            max_address=MAX_ADDRESS,
            reserved=RESERVED,
        )

    def close(self) -> None:
        self._client.close()
        self._keys.close()

    # domains

    def apply_domain(self, spec: DomainSpec) -> None:
        self._keys.apply(spec)

    def remove_domain(self, name: str, domain_id: UUID) -> None:
        self._keys.remove(name, domain_id)

    def list_domains(self) -> list[FoundDomain]:
        found = self._keys.list()
        with self._admin() as admin:
            holding = {domain_of(address) for address, _id in admin.list_all()}
        for name in holding - found.keys():
            found[name] = FoundDomain(name, None, None)
        # The operator's own key signs the product's mail; it belongs to the stack, not to a customer.
        known = found.get(self._operator_domain)
        if known is not None and known.id is None:
            del found[self._operator_domain]
        return [found[name] for name in sorted(found)]

    # mailboxes

    def apply_mailbox(self, spec: MailboxSpec) -> None:
        with self._admin() as admin:
            self._apply_storage(admin, spec)
        self._apply_contents(spec)

    def apply_mailboxes(self, specs: Sequence[MailboxSpec]) -> Mapping[UUID, EngineError | None]:
        outcomes: dict[UUID, EngineError | None] = {}
        with self._admin() as admin:
            for spec in specs:
                try:
                    self._apply_storage(admin, spec)
                    self._apply_contents(spec)
                except EngineUnavailable:
                    raise
                except EngineError as error:
                    outcomes[spec.id] = error
                else:
                    outcomes[spec.id] = None
        return outcomes

    def _apply_storage(self, admin: AdminSession, spec: MailboxSpec) -> None:
        if len(spec.address) > MAX_ADDRESS:
            raise EngineRefused(
                f"an address of {len(spec.address)} characters",
                reason=_("This installation's mail server takes addresses of at most %(limit)s characters.")
                % {"limit": MAX_ADDRESS},
            )
        found, wanted = admin.find(spec.address), Note(spec.id, _mark(spec))
        if found is not None and found.made_for not in {None, spec.id}:
            admin.delete(spec.address, found.made_for)
            found = None
        if found is None:
            self._queue.let_go(spec.address)
            admin.create(spec.address, wanted)
        elif self._sessions and (spec.state is MailboxState.DISABLED or found.password != wanted.password):
            # Before the note is changed: where it fails, the next attempt finds it as it is now. Also where nothing is
            # known of the password (a mailbox of a release before this note): one sign-in too many, once.
            self._sessions.end(spec.address)
        if found is not None and found != wanted:
            # Also one made by hand, or by a worker that is between its two steps: it becomes ours, with its mail.
            admin.set_note(spec.address, wanted)
        admin.set_quota(spec.address, spec.quota_mb)

    def _apply_contents(self, spec: MailboxSpec) -> None:
        """Folders by role and the script. Two workers may meet here: one's refusal is the other's success."""
        account = MailAccount(self.jmap_access(spec.address), client=self._client)
        script = compose()
        for wait in (*CONFLICT_WAITS, None):
            with _jmap_as_engine_errors():
                try:
                    account.ensure_roles()
                    if account.sieve_get() != script:
                        account.sieve_put(script)
                except (jmap_errors.SetFailed, jmap_errors.NotFound, jmap_errors.MethodFailed):
                    if wait is None:
                        raise
                    time.sleep(wait)
                else:
                    return

    def remove_mailbox(self, address: str, mailbox_id: UUID) -> None:
        with self._admin() as admin:
            admin.delete(address, mailbox_id)
        self._tokens.forget(address)
        # What waits for it is told now. Where Postfix is away, that is done before the address is used again.
        with suppress(EngineUnavailable):
            self._queue.retry(self._queue.holding(address))

    def usage(self, addresses: Sequence[str]) -> Mapping[str, Usage]:
        found: dict[str, Usage] = {}
        if addresses:
            with self._admin() as admin:
                for address in addresses:
                    quota = admin.quota(address)
                    if quota is not None:
                        found[address] = Usage(*quota)
        return found

    def list_mailboxes(self, domain: str) -> list[FoundMailbox]:
        found = []
        with self._admin() as admin:
            for address, made_for in sorted(admin.list_all(domain), key=lambda pair: pair[0]):
                quota = admin.quota(address)
                if quota is not None:  # else it went away since it was listed
                    used, limit = quota
                    found.append(FoundMailbox(address, made_for, None if limit is None else limit // MIB, used))
        return found

    # groups and app passwords: the MTA's views and the gate have them

    def apply_group(self, spec: GroupSpec) -> None:
        return

    def remove_group(self, address: str, group_id: UUID) -> None:
        return

    def issue_app_password(self, address: str, mailbox_id: UUID, label: str) -> AppPassword:
        raise NotSupported("Cyrus asks the gate for passwords; it keeps none")

    def revoke_app_password(self, address: str, mailbox_id: UUID, app_password_id: str) -> None:
        raise NotSupported("Cyrus asks the gate for passwords; it keeps none")

    # acting as a mailbox, and being well

    def jmap_access(self, address: str) -> JmapAccess:
        return JmapAccess(
            session_url=f"{self._jmap_url}/jmap/",
            headers=lambda: {"Authorization": f"Bearer {self._tokens.token(address)}"},
            username=address,
            uds=self._jmap_socket or None,
            engine=self.name,
            refresh=lambda: self._tokens.forget(address),
        )

    def health(self) -> EngineHealth:
        version: list[str] = []
        asked: dict[str, Callable[[], object]] = {
            "admin": lambda: version.append(self._welcome()),
            "jmap": self._ask_jmap,
            "dkim keys": self._keys.ping,
        }
        if self._sessions:
            asked["sessions"] = lambda: self._sessions.end("", timeout=PROBE_TIMEOUT)
        if self._lmtp is not None:
            asked["lmtp"] = partial(_ask_banner, self._lmtp)
        # All at once: whoever asks waits for the slowest part, not for their sum.
        with ThreadPoolExecutor(len(asked)) as pool:
            parts = dict(zip(asked, pool.map(_trouble, asked.values()), strict=True))
        return EngineHealth(self.name, "".join(version), parts)

    def _welcome(self) -> str:
        with self._admin(timeout=PROBE_TIMEOUT) as admin:
            return _version(admin.welcome)

    def _ask_jmap(self) -> None:
        transport = httpx2.HTTPTransport(uds=self._jmap_socket, trust_env=False) if self._jmap_socket else None
        try:
            with httpx2.Client(transport=transport, timeout=PROBE_TIMEOUT, trust_env=False) as client:
                status = client.get(f"{self._jmap_url}/jmap/").status_code
        except httpx2.HTTPError as error:
            raise EngineUnavailable(f"{type(error).__name__}: {error}") from error
        # Without a token the answer is 401: it is there and it is shut.
        if status != 401:
            raise EngineUnavailable(f"HTTP {status} to a request without a token")


def _mark(spec: MailboxSpec) -> str:
    """What tells one password from the next, and nothing else about it: the hash carries a salt of its own."""
    return hashlib.sha256(spec.password_hash.get_secret_value().encode()).hexdigest()[:32]


@contextmanager
def _jmap_as_engine_errors() -> Iterator[None]:
    try:
        yield
    except jmap_errors.EngineUnavailable as error:
        raise EngineUnavailable(f"JMAP: {error}", retry_after=error.retry_after) from error
    except jmap_errors.AuthFailed as error:
        raise EngineAuthFailed(f"JMAP: {error}") from error
    except (jmap_errors.SetFailed, jmap_errors.NotFound, jmap_errors.MethodFailed) as error:
        # A mailbox that was made a moment ago, another worker in the same mailbox: worth another attempt.
        raise EngineBusy(f"JMAP: {error}") from error
    except JmapError as error:
        kind = EngineBusy if error.temporary else EngineRefused
        raise kind(f"JMAP: {error}") from error


def _host_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def _version(welcome: str) -> str:
    found = re.search(r"Cyrus IMAP (\S+)", welcome)
    return found[1] if found else ""


def _trouble(ask: Callable[[], object]) -> str:
    try:
        ask()
    except EngineError as error:
        return str(error)
    return ""


def _ask_banner(where: tuple[str, int]) -> None:
    try:
        with socket.create_connection(where, timeout=PROBE_TIMEOUT) as connection:
            greeting = connection.recv(200)
    except OSError as error:
        raise EngineUnavailable(f"{where[0]}:{where[1]}: {error}") from error
    if not greeting.startswith(b"220"):
        raise EngineUnavailable(f"greets with {greeting[:60]!r}")
