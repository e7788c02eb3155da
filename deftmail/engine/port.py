"""The one port between the control plane and a mail engine: what should be, and the calls that make it so.

Specs describe the *desired* state whole; `apply_*` makes it true and may be called any number of times, by two workers
at once (docs/decisions/0002). No call may be made inside a database transaction. Every call raises only EngineError.

Specs carry the id of the row behind them. A driver keeps it with the object: what was made for another id is an earlier
incarnation of the same name, which is removed first, so that a re-created address never shows old mail; `remove_*`
touches only what was made for the id it names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from pydantic import SecretStr

from deftmail.engine.errors import EngineError
from deftmail.engine.names import (
    checked_address,
    checked_domain,
    checked_password_hash,
    checked_selector,
    private_key_fingerprint,
)
from deftmail.jmap.access import Access as JmapAccess

__all__ = [
    "AppPassword",
    "Capabilities",
    "DkimKeySpec",
    "DomainSpec",
    "EngineHealth",
    "FoundDomain",
    "FoundKey",
    "FoundMailbox",
    "GroupSpec",
    "JmapAccess",
    "MailEngine",
    "MailboxSpec",
    "MailboxState",
    "Usage",
]


class MailboxState(StrEnum):
    """What a mailbox may do. The values are those of `mail_users.status`."""

    ACTIVE = "active"
    DISABLED = "disabled"  # no sign-in, no sending; mail still arrives
    SUSPENDED = "suspended"  # sending stops, nothing else


@dataclass(frozen=True, slots=True)
class DkimKeySpec:
    """A signing key: selector and PKCS#8 PEM. Raises EngineRefused when either cannot be one."""

    selector: str
    private_key: SecretStr

    def __post_init__(self) -> None:
        checked_selector(self.selector)
        private_key_fingerprint(self.private_key.get_secret_value())

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the public half: says whether two keys are the same without showing either."""
        return private_key_fingerprint(self.private_key.get_secret_value())


@dataclass(frozen=True, slots=True)
class DomainSpec:
    """A domain as it should be.

    name: A-labels, lower case
    enabled: False takes sign-in and sending from all of its mailboxes (a suspended company); mail is kept
    active: MX and sending are open; a domain is configured before that, as soon as ownership is proven
    dkim: the key that signs now; None signs nothing
    retiring: earlier keys that should still be known (rotation); an engine that needs only one forgets them
    aliases: other names whose addresses mean the same here
    catch_all: address that takes mail for unknown local parts; None refuses it
    """

    id: UUID
    name: str
    enabled: bool = True
    active: bool = False
    dkim: DkimKeySpec | None = None
    retiring: tuple[DkimKeySpec, ...] = ()
    aliases: tuple[str, ...] = ()
    catch_all: str | None = None

    def __post_init__(self) -> None:
        for name in (self.name, *self.aliases):
            checked_domain(name)
        if self.catch_all is not None:
            checked_address(self.catch_all)


@dataclass(frozen=True, slots=True)
class MailboxSpec:
    """A mailbox as it should be.

    address: lower case, domain in A-labels; password_hash: bcrypt; quota_mb: MiB, None is unlimited;
    aliases: other addresses delivered here
    """

    id: UUID
    address: str
    password_hash: SecretStr
    display_name: str = ""
    quota_mb: int | None = None
    state: MailboxState = MailboxState.ACTIVE
    aliases: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for address in (self.address, *self.aliases):
            checked_address(address)
        checked_password_hash(self.password_hash.get_secret_value())
        if self.quota_mb is not None and self.quota_mb < 0:
            raise ValueError("quota_mb is a size in MiB or None")


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """An address that hands its mail to `members` (addresses, also outside ones)."""

    id: UUID
    address: str
    members: tuple[str, ...]
    display_name: str = ""

    def __post_init__(self) -> None:
        checked_address(self.address)


@dataclass(frozen=True, slots=True)
class Usage:
    """How full a mailbox is: bytes; `limit_bytes` None is unlimited."""

    used_bytes: int
    limit_bytes: int | None


@dataclass(frozen=True, slots=True)
class FoundKey:
    """A DKIM key the engine holds; `fingerprint` as in DkimKeySpec ("" when the engine's copy is unreadable)."""

    selector: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class FoundDomain:
    """A domain the engine holds. `id` None: not made by us, or by hand."""

    name: str
    id: UUID | None
    signing: FoundKey | None
    keys: tuple[FoundKey, ...] = ()


@dataclass(frozen=True, slots=True)
class FoundMailbox:
    """A mailbox the engine holds. What an engine does not keep is None: `display_name`, `state`."""

    address: str
    id: UUID | None
    quota_mb: int | None
    used_bytes: int
    display_name: str | None = None
    state: MailboxState | None = None


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine does by itself, so that a page can say in words what is missing.

    enforces_state: disabled and suspended hold inside the engine; else the gate and the web enforce them
    keeps_passwords: the engine checks passwords; else it asks the gate and keeps none
    app_passwords: `issue_app_password` works
    routes: aliases, catch-all and groups are the engine's; else its MTA reads them from the control plane's views
    keeps_display_name: the engine stores it; else only the control plane has it
    ends_sessions: what mail programs have open ends when their mailbox is disabled, removed or gets another password;
        else it goes on until they close it
    mailbox_tokens: `jmap_access` gives credentials of one mailbox only, fit for handing to a push process
    max_batch: specs that `apply_mailboxes` sends in one exchange
    max_address: characters of the longest address the engine can serve whole; `apply_mailbox` refuses longer ones
    reserved: local parts that mean something else to the engine; `apply_mailbox` refuses them
    """

    enforces_state: bool
    keeps_passwords: bool
    app_passwords: bool
    routes: bool
    keeps_display_name: bool
    mailbox_tokens: bool
    ends_sessions: bool
    max_batch: int = 1
    max_address: int = 254  # RFC 5321 §4.5.3.1.3, a path without its brackets
    reserved: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class AppPassword:
    """An app password as the engine made it; `secret` is shown once and kept nowhere."""

    id: str
    secret: SecretStr
    expires: datetime | None = None


@dataclass(frozen=True, slots=True)
class EngineHealth:
    """Does each part of the engine answer? `parts` maps a part's name to "" (well) or to what is wrong."""

    engine: str
    version: str
    parts: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """True when every part is well."""
        return not any(self.parts.values())


class MailEngine(Protocol):
    """A mail engine as the control plane sees it. Safe to share between threads."""

    name: str

    @property
    def capabilities(self) -> Capabilities:
        """Known without asking the engine."""

    def apply_domain(self, spec: DomainSpec) -> None:
        """Make the domain as `spec` says: exists, keys installed, older keys gone. Idempotent."""

    def remove_domain(self, name: str, domain_id: UUID) -> None:
        """Take the domain and its keys out, if they were made for `domain_id`; absent is success. Its mailboxes are
        removed by calls of their own; an engine that cannot go first raises EngineBusy, which is tried again."""

    def apply_mailbox(self, spec: MailboxSpec) -> None:
        """Make the mailbox as `spec` says: exists for this id, quota, state, names, the folders inbox, drafts, sent,
        junk, trash and archive by role, spam filed to junk. Where `capabilities.ends_sessions`, mail programs are put
        out of a disabled mailbox and of one whose password changed. Its domain must have been applied. Idempotent."""

    def apply_mailboxes(self, specs: Sequence[MailboxSpec]) -> Mapping[UUID, EngineError | None]:
        """As `apply_mailbox` for many, in as few exchanges as the engine allows. One outcome for each id; raises only
        when the engine as a whole could not be asked."""

    def remove_mailbox(self, address: str, mailbox_id: UUID) -> None:
        """Erase the mailbox and all of its mail, if it was made for `mailbox_id`; absent is success."""

    def apply_group(self, spec: GroupSpec) -> None:
        """Make the group as `spec` says. Nothing to do where `capabilities.routes` is False. Idempotent."""

    def remove_group(self, address: str, group_id: UUID) -> None:
        """Take the group out, if it was made for `group_id`; absent is success."""

    def usage(self, addresses: Sequence[str]) -> Mapping[str, Usage]:
        """Usage of each mailbox that exists; others are left out. In batches inside."""

    def list_domains(self) -> list[FoundDomain]:
        """Every domain of the engine but the operator's own. Complete, or it raises: never a list cut short."""

    def list_mailboxes(self, domain: str) -> list[FoundMailbox]:
        """Every mailbox of a domain. Complete, or it raises: never a list cut short."""

    def jmap_access(self, address: str) -> JmapAccess:
        """Act as this mailbox by JMAP, without its password. Makes no check of its own: the caller has checked that
        the person may and that the mailbox's state allows it, at every request."""

    def issue_app_password(self, address: str, mailbox_id: UUID, label: str) -> AppPassword:
        """A new password for one program. Raises NotSupported where `capabilities.app_passwords` is False."""

    def revoke_app_password(self, address: str, mailbox_id: UUID, app_password_id: str) -> None:
        """Make an app password useless; absent is success. Raises NotSupported as above."""

    def health(self) -> EngineHealth:
        """Ask every part. Never raises EngineUnavailable: that is what it reports."""

    def close(self) -> None:
        """Let go of connections. The engine may be used again afterwards."""
