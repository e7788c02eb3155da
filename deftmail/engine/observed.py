"""One structured log line for every engine call, whatever the driver, and one family of errors out of all of them."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar
from uuid import UUID

import structlog

from deftmail.engine.errors import EngineError, EngineUnavailable, Unexpected
from deftmail.engine.names import checked_address, checked_domain
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
    MailEngine,
    Usage,
)
from deftmail.engine.redact import redact

T = TypeVar("T")
log = structlog.get_logger("deftmail.engine")


def request_id() -> str:
    """The id of the web request or job that this runs for; a new one where nobody gave one."""
    known = structlog.contextvars.get_contextvars().get("request_id")
    return str(known) if known else uuid.uuid4().hex


def _secrets_of(spec: object) -> list[str]:
    if isinstance(spec, DomainSpec):
        keys = [*([spec.dkim] if spec.dkim else []), *spec.retiring]
        return [key.private_key.get_secret_value() for key in keys]
    if isinstance(spec, MailboxSpec):
        return [spec.password_hash.get_secret_value()]
    return []


class ObservedEngine:
    """A driver, with names checked before each call and a log line after it.

    The line `engine_call` has engine, operation, object, request_id, duration_ms, outcome ("ok" or the error's code),
    and for a failure error and permanent. `jmap_access` is written at debug level: it asks nobody and every page of
    the webmail makes one.
    """

    def __init__(self, driver: MailEngine) -> None:
        self.driver = driver
        self.name = driver.name

    @property
    def capabilities(self) -> Capabilities:
        return self.driver.capabilities

    def _call(
        self,
        operation: str,
        about: str,
        act: Callable[[], T],
        *,
        check: Callable[[], object] = lambda: None,
        specs: Iterable[object] = (),
        level: int = logging.INFO,
    ) -> T:
        started = time.perf_counter()
        failure: EngineError | None = None
        try:
            check()
            return act()
        except EngineError as error:
            failure = error
            raise
        except OSError as error:
            failure = EngineUnavailable(f"{type(error).__name__}: {error}")
            raise failure from error
        except Exception as error:
            failure = Unexpected(f"{type(error).__name__}: {error}")
            raise failure from error
        finally:
            fields: dict[str, object] = {
                "engine": self.name,
                "operation": operation,
                "object": about[:320],
                "request_id": request_id(),
                "duration_ms": round((time.perf_counter() - started) * 1000, 1),
                "outcome": failure.code if failure else "ok",
            }
            if failure is not None:
                level = logging.WARNING
                secrets = [secret for spec in specs for secret in _secrets_of(spec)]
                fields |= {"error": redact(str(failure), secrets), "permanent": failure.permanent}
                # What goes further is shown to people and stored: as clean as the line.
                failure.args = (fields["error"],)
            log.log(level, "engine_call", **fields)

    def apply_domain(self, spec: DomainSpec) -> None:
        self._call("apply_domain", spec.name, lambda: self.driver.apply_domain(spec), specs=[spec])

    def remove_domain(self, name: str, domain_id: UUID) -> None:
        self._call(
            "remove_domain",
            name,
            lambda: self.driver.remove_domain(name, domain_id),
            check=lambda: checked_domain(name),
        )

    def apply_mailbox(self, spec: MailboxSpec) -> None:
        self._call("apply_mailbox", spec.address, lambda: self.driver.apply_mailbox(spec), specs=[spec])

    def apply_mailboxes(self, specs: Sequence[MailboxSpec]) -> Mapping[UUID, EngineError | None]:
        return self._call(
            "apply_mailboxes", f"{len(specs)} mailboxes", lambda: self.driver.apply_mailboxes(specs), specs=specs
        )

    def remove_mailbox(self, address: str, mailbox_id: UUID) -> None:
        self._call(
            "remove_mailbox",
            address,
            lambda: self.driver.remove_mailbox(address, mailbox_id),
            check=lambda: checked_address(address),
        )

    def apply_group(self, spec: GroupSpec) -> None:
        self._call("apply_group", spec.address, lambda: self.driver.apply_group(spec))

    def remove_group(self, address: str, group_id: UUID) -> None:
        self._call(
            "remove_group",
            address,
            lambda: self.driver.remove_group(address, group_id),
            check=lambda: checked_address(address),
        )

    def usage(self, addresses: Sequence[str]) -> Mapping[str, Usage]:
        return self._call(
            "usage",
            addresses[0] if len(addresses) == 1 else f"{len(addresses)} mailboxes",
            lambda: self.driver.usage(addresses),
            check=lambda: [checked_address(address) for address in addresses],
        )

    def list_domains(self) -> list[FoundDomain]:
        return self._call("list_domains", "*", self.driver.list_domains)

    def list_mailboxes(self, domain: str) -> list[FoundMailbox]:
        return self._call(
            "list_mailboxes", domain, lambda: self.driver.list_mailboxes(domain), check=lambda: checked_domain(domain)
        )

    def jmap_access(self, address: str) -> JmapAccess:
        return self._call(
            "jmap_access",
            address,
            lambda: self.driver.jmap_access(address),
            check=lambda: checked_address(address),
            level=logging.DEBUG,
        )

    def issue_app_password(self, address: str, mailbox_id: UUID, label: str) -> AppPassword:
        return self._call(
            "issue_app_password",
            address,
            lambda: self.driver.issue_app_password(address, mailbox_id, label),
            check=lambda: checked_address(address),
        )

    def revoke_app_password(self, address: str, mailbox_id: UUID, app_password_id: str) -> None:
        self._call(
            "revoke_app_password",
            address,
            lambda: self.driver.revoke_app_password(address, mailbox_id, app_password_id),
            check=lambda: checked_address(address),
        )

    def health(self) -> EngineHealth:
        return self._call("health", "*", self.driver.health)

    def close(self) -> None:
        self.driver.close()
