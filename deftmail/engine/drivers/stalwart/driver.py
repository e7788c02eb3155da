"""The Stalwart driver: everything by JMAP, as a service account with a key and the right to impersonate.

Creating comes first and looking second: a refused `/set` names the object that has the address already, so that a new
mailbox costs one call and two workers cannot make it twice.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

import httpx2
from django.utils.translation import gettext_lazy as _
from pydantic import SecretStr

from deftmail.engine.drivers.stalwart import groups, objects
from deftmail.engine.drivers.stalwart.contents import fill_new, make_right
from deftmail.engine.drivers.stalwart.domains import Domains, HeldDomain
from deftmail.engine.drivers.stalwart.wire import Management, Object, SetAnswer, set_error
from deftmail.engine.errors import EngineBusy, EngineError, EngineRefused, EngineUnavailable
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
    Usage,
)
from deftmail.jmap import JmapClient, MailAccount
from deftmail.kit.conf import conf

ID_TTL = 120.0  # seconds an address's account id is believed; ids are never given again, so an old one opens nothing
MAX_IDS = 10_000
TOO_MANY_APP_PASSWORDS = _("This mailbox has as many app passwords as it may have. Remove one that is not used.")
ROUNDS = 3  # looks at mailboxes that another worker makes or removes at this moment


class StalwartEngine:
    """One Stalwart. Safe to share between threads."""

    name = "stalwart"

    def __init__(
        self, url: str, authorization: str, *, operator_domain: str = "", transport: httpx2.BaseTransport | None = None
    ) -> None:
        """authorization: value of the header of our service account; transport replaces sockets in tests."""
        self.transport = transport
        self.management = Management(url, authorization, transport=transport)
        self._domains = Domains(self.management, operator_domain)
        # Its own client: what the web's remembers of a mailbox (folders) may be of an earlier incarnation.
        self._client = JmapClient(transport)
        self._lock = threading.Lock()
        self._ids: OrderedDict[str, tuple[float, str]] = OrderedDict()

    @classmethod
    def from_conf(cls) -> StalwartEngine:
        """As the settings say."""
        key = conf.stalwart_api_key.get_secret_value()
        return cls(conf.stalwart_url, f"Bearer {key}", operator_domain=conf.operator_domain)

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            enforces_state=True,
            keeps_passwords=True,
            app_passwords=True,
            routes=True,
            keeps_display_name=True,
            mailbox_tokens=False,
            ends_sessions=False,
            max_batch=500,
        )

    def close(self) -> None:
        self._client.close()
        self.management.close()

    # domains

    def apply_domain(self, spec: DomainSpec) -> None:
        before = self._domains.find(spec.name)
        if before is not None and spec.enabled and not before.enabled:
            self._make_states_agree(before, enabled=True)
        self._domains.apply(spec, before)
        # A disabled domain is one whose mailboxes may nothing: Stalwart's own switch does not stop them. Once more
        # after the switch, for mailboxes that were applied under the old one meanwhile.
        if before is not None and not (spec.enabled and before.enabled):
            self._make_states_agree(before, enabled=spec.enabled)

    def remove_domain(self, name: str, domain_id: UUID) -> None:
        self._domains.remove(name, domain_id)

    def list_domains(self) -> list[FoundDomain]:
        return self._domains.list()

    def _make_states_agree(self, held: HeldDomain, *, enabled: bool) -> None:
        updates: dict[str, Object] = {}
        for account in self._accounts_of(held):
            state = objects.effective(objects.asked_state(account), enabled)
            if objects.account_id_of_row(account) is not None and objects.taken(account) != objects.WITHOUT[state]:
                permissions = objects.merged_permissions(account.get("permissions"), state)
                updates[str(account["id"])] = {"permissions": permissions}
        answer = self.management.set("Account", update=updates)
        for id_ in updates:
            refused = answer.not_updated.get(id_)
            if id_ not in answer.updated and (refused is None or refused.get("type") != "notFound"):
                raise set_error(refused, f"state of account {id_}")

    def _accounts_of(self, held: HeldDomain) -> list[Object]:
        ids = self.management.all_ids("Account", {"domainId": held.id})
        accounts = self.management.get("Account", ids, objects.ACCOUNT_PROPERTIES)
        return [one for one in accounts if one.get("@type") == "User" and one.get("domainId") == held.id]

    # mailboxes

    def apply_mailbox(self, spec: MailboxSpec) -> None:
        error = self.apply_mailboxes([spec])[spec.id]
        if error is not None:
            raise error

    def apply_mailboxes(self, specs: Sequence[MailboxSpec]) -> Mapping[UUID, EngineError | None]:
        outcomes: dict[UUID, EngineError | None] = {}
        new: dict[str, MailboxSpec] = {}  # by account id
        changed: dict[str, MailboxSpec] = {}
        names = {domain_of(address) for spec in specs for address in (spec.address, *spec.aliases)}
        held = self._domains.held_many(names)
        domain_ids = {name: domain.id for name, domain in held.items()}
        waiting = {spec.id: spec for spec in specs}
        for _round in range(ROUNDS):
            creates: dict[str, Object] = {}
            for spec in list(waiting.values()):
                home = held.get(domain_of(spec.address))
                try:
                    if home is None:
                        raise EngineBusy(f"the domain of {spec.address} is not there yet")
                    creates[spec.id.hex] = objects.new_account(spec, domain_ids, home.enabled)
                except EngineError as error:
                    outcomes[waiting.pop(spec.id).id] = error
            if not creates:
                break
            answer = self.management.set("Account", create=creates)
            taken: dict[UUID, str] = {}
            for spec in list(waiting.values()):
                key = spec.id.hex
                if key in answer.created:
                    new[str(answer.created[key].get("id", ""))] = waiting.pop(spec.id)
                elif spec.id not in outcomes:
                    holder = objects.holder(answer.not_created.get(key))
                    if holder is None:
                        outcomes[spec.id] = set_error(answer.not_created.get(key), spec.address)
                    else:
                        taken[spec.id] = holder
            changed |= self._update_held(taken, waiting, outcomes, held)
            for spec_id in outcomes:
                waiting.pop(spec_id, None)
            if not waiting:
                break
        for spec_id, spec in waiting.items():
            outcomes[spec_id] = EngineBusy(f"{spec.address} is changed by others at this moment")
        self._fill(new, changed, outcomes)
        return outcomes

    def _update_held(
        self,
        taken: Mapping[UUID, str],
        waiting: dict[UUID, MailboxSpec],
        outcomes: dict[UUID, EngineError | None],
        held: Mapping[str, HeldDomain],
    ) -> dict[str, MailboxSpec]:
        """Bring the accounts that have the addresses already up to date; destroy those of another row, whose specs
        stay in `waiting` for the next round. Gives those that are up to date now."""
        if not taken:
            return {}
        domain_ids = {name: domain.id for name, domain in held.items()}
        found = {
            str(account["id"]): account
            for account in self.management.get("Account", list(taken.values()), objects.ACCOUNT_PROPERTIES)
        }
        updates: dict[str, Object] = {}
        update_of: dict[str, MailboxSpec] = {}
        earlier: list[str] = []
        for spec_id, account_id in taken.items():
            spec, account = waiting[spec_id], found.get(account_id)
            if account is None:
                continue  # gone since it was named: made in the next round
            if objects.address_of(account) != spec.address or account.get("@type") != "User":
                outcomes[spec_id] = EngineRefused(f"{spec.address} or one of its aliases belongs to another object")
            elif objects.account_id_of_row(account) in {None, spec.id}:
                # Without a row's id it was made by hand: it becomes ours, with what is in it.
                enabled = held[domain_of(spec.address)].enabled
                updates[account_id] = objects.account_patch(spec, account, domain_ids, enabled)
                update_of[account_id] = spec
            else:
                earlier.append(account_id)
        if earlier:
            self.management.set("Account", destroy=earlier)  # what stands in the way still is met in the next round
        done: dict[str, MailboxSpec] = {}
        answer = self.management.set("Account", update=updates) if updates else SetAnswer()
        for account_id, spec in update_of.items():
            if account_id in answer.updated:
                done[account_id] = waiting.pop(spec.id)
            elif answer.not_updated.get(account_id, {}).get("type") != "notFound":
                outcomes[spec.id] = set_error(answer.not_updated.get(account_id), spec.address)
        return done

    def _fill(
        self,
        new: Mapping[str, MailboxSpec],
        changed: Mapping[str, MailboxSpec],
        outcomes: dict[UUID, EngineError | None],
    ) -> None:
        everyone = {**new, **changed}
        for account_id, spec in everyone.items():
            self._remember(spec.address, account_id)

        def account(account_id: str) -> MailAccount:
            return self._account(everyone[account_id].address, account_id)

        for account_id, error in fill_new(self.management, list(new), account).items():
            outcomes[new[account_id].id] = error
        for account_id, spec in changed.items():
            try:
                make_right(account(account_id))
                outcomes[spec.id] = None
            except EngineUnavailable:
                raise
            except EngineError as error:
                outcomes[spec.id] = error

    def remove_mailbox(self, address: str, mailbox_id: UUID) -> None:
        self._forget(address)
        account = self._find(address)
        if account is None or objects.account_id_of_row(account) != mailbox_id:
            return
        account_id = str(account["id"])
        answer = self.management.set("Account", destroy=[account_id])
        refused = answer.not_destroyed.get(account_id)
        if account_id not in answer.destroyed and (refused is None or refused.get("type") != "notFound"):
            raise set_error(refused, address)

    def usage(self, addresses: Sequence[str]) -> Mapping[str, Usage]:
        found: dict[str, Usage] = {}
        for account in self._find_many(addresses):
            box = objects.found_mailbox(account, True)
            quotas = account.get("quotas") or {}
            found[box.address] = Usage(box.used_bytes, quotas.get("maxDiskQuota") or None)
        return found

    def list_mailboxes(self, domain: str) -> list[FoundMailbox]:
        held = self._domains.find(domain)
        if held is None:
            return []
        found = [objects.found_mailbox(account, held.enabled) for account in self._accounts_of(held)]
        return sorted(found, key=lambda box: box.address)

    # groups: mailing lists, which take outside members too

    def apply_group(self, spec: GroupSpec) -> None:
        groups.apply(self.management, spec, self._domains.held(domain_of(spec.address)).id)

    def remove_group(self, address: str, group_id: UUID) -> None:
        groups.remove(self.management, address, group_id)

    # app passwords: Stalwart's own

    def issue_app_password(self, address: str, mailbox_id: UUID, label: str) -> AppPassword:
        account_id = self._own_account(address, mailbox_id)
        if account_id is None:
            raise EngineRefused(f"no mailbox {address}")
        password: Object = {
            "description": label.strip() or "app password",
            "permissions": {"@type": "Inherit"},
            "allowedIps": {},
            "expiresAt": None,
        }
        answer = self.management.set("AppPassword", create={"p": password}, account_id=account_id)
        made = answer.created.get("p", {})
        secret, id_ = made.get("secret"), made.get("id")
        if not isinstance(secret, str) or not isinstance(id_, str):
            if answer.not_created.get("p", {}).get("type") == "overQuota":
                raise EngineRefused(
                    f"{address} has as many app passwords as it may have", reason=TOO_MANY_APP_PASSWORDS
                )
            raise set_error(answer.not_created.get("p"), f"app password of {address}")
        expires = made.get("expiresAt")
        return AppPassword(id_, SecretStr(secret), datetime.fromisoformat(expires) if expires else None)

    def revoke_app_password(self, address: str, mailbox_id: UUID, app_password_id: str) -> None:
        account_id = self._own_account(address, mailbox_id)
        if account_id is None:
            return
        answer = self.management.set("AppPassword", destroy=[app_password_id], account_id=account_id)
        refused = answer.not_destroyed.get(app_password_id)
        if app_password_id not in answer.destroyed and (refused is None or refused.get("type") != "notFound"):
            raise set_error(refused, f"app password of {address}")

    # acting as a mailbox, and being well

    def jmap_access(self, address: str) -> JmapAccess:
        return self._access(address, self._id_of(address))

    def _access(self, address: str, account_id: str) -> JmapAccess:
        return JmapAccess(
            session_url=f"{self.management.url}/jmap/session",
            headers={"Authorization": self.management.authorization},
            username=address,
            account_id=account_id,
            engine=self.name,
            refresh=lambda: self._forget(address),
        )

    def _account(self, address: str, account_id: str) -> MailAccount:
        return MailAccount(self._access(address, account_id), client=self._client)

    def health(self) -> EngineHealth:
        parts = {"jmap": "", "management": ""}
        version = ""
        for part, ask in (("jmap", self.management.session), ("management", self._ask_management)):
            try:
                ask()
            except EngineError as error:
                parts[part] = str(error)
            else:
                version = "0.16 or newer"
        return EngineHealth(self.name, version, parts)

    def _ask_management(self) -> None:
        self.management.ask([("x:Domain/query", {"limit": 1}), ("x:Account/query", {"limit": 1})])

    # addresses and ids

    def _find_many(self, addresses: Sequence[str]) -> list[Object]:
        held = self._domains.held_many({domain_of(address) for address in addresses})
        calls = []
        for address in addresses:
            home = held.get(domain_of(address))
            if home is not None:
                filter_ = {"name": address.rpartition("@")[0], "domainId": home.id}
                calls.append(("x:Account/query", {"filter": filter_, "calculateTotal": True}))
        ids = [id_ for answer in self.management.ask(calls) for id_ in answer.get("ids") or ()]
        wanted = set(addresses)
        accounts = self.management.get("Account", list(dict.fromkeys(ids)), objects.ACCOUNT_PROPERTIES)
        return [one for one in accounts if objects.address_of(one) in wanted and one.get("@type") == "User"]

    def _find(self, address: str) -> Object | None:
        return next(iter(self._find_many([address])), None)

    def _own_account(self, address: str, mailbox_id: UUID) -> str | None:
        account = self._find(address)
        if account is None or objects.account_id_of_row(account) != mailbox_id:
            return None
        return str(account["id"])

    def _id_of(self, address: str) -> str:
        with self._lock:
            until, id_ = self._ids.get(address, (0.0, ""))
        if until > time.monotonic():
            return id_
        account = self._find(address)
        if account is None:
            raise EngineBusy(f"{address} is not there yet")
        self._remember(address, str(account["id"]))
        return str(account["id"])

    def _remember(self, address: str, account_id: str) -> None:
        with self._lock:
            self._ids[address] = (time.monotonic() + ID_TTL, account_id)
            self._ids.move_to_end(address)
            while len(self._ids) > MAX_IDS:
                self._ids.popitem(last=False)

    def _forget(self, address: str) -> None:
        with self._lock:
            self._ids.pop(address, None)
