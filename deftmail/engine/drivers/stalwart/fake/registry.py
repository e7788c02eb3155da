"""The fake's management objects: `x:<Object>/get|set|query` as Stalwart 0.16 answers them, its traps included."""

from __future__ import annotations

import copy
import re
import secrets
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from deftmail.engine.drivers.stalwart.fake import expressions
from deftmail.engine.drivers.stalwart.fake.credentials import SECONDARY, check_credentials, remove, secondary
from deftmail.engine.drivers.stalwart.fake.fields import check_new, check_patch
from deftmail.engine.drivers.stalwart.fake.ids import decode, encode
from deftmail.engine.drivers.stalwart.fake.keys import automatic_keys, check_key
from deftmail.engine.drivers.stalwart.fake.mail import now
from deftmail.engine.drivers.stalwart.fake.patches import MethodRefused, SetRefused, patched, resolved
from deftmail.engine.drivers.stalwart.fake.shapes import GROUP, KINDS, SINGLETONS, USER, Kind
from deftmail.mailproto.names import parse_domain

Object = dict[str, Any]
RESERVED_TOPS = {"test", "localhost", "local", "internal", "lan", "home", "corp", "intranet", "private", "localdomain"}
REFUSED_TOPS = {"example", "invalid"}  # not on the public suffix list
FIRST_LONG_ID = decode("jp9tt17waeaa")


class Registry:
    """All objects, by kind and id. `on_destroyed` is told of accounts that go.

    u_labels: international names of domains are kept as people write them; which form 0.16 keeps we have not seen
    """

    def __init__(self, *, page: int = 5000) -> None:
        self.page = page
        self.u_labels = False
        self.objects: dict[str, dict[str, Object]] = {kind: {} for kind in KINDS}
        self.owned: dict[tuple[str, str], dict[str, Object]] = {}  # (kind, account id): AppPassword, ApiKey
        self.singletons: dict[str, Object] = {name: copy.deepcopy(value) for name, value in SINGLETONS.items()}
        # As of the last reload: hooks, webhooks, throttles, and the folders of new mailboxes by their use.
        self.applied: dict[str, list[Object]] = {"MtaHook": [], "WebHook": [], "MtaInboundThrottle": []}
        self.applied_folders: dict[str, Object] = {}
        # Of two that change one object at once Stalwart refuses the second's whole call: what it had read is stale.
        self.writes = 0
        self.seen: int | None = None  # `writes` when the request came in; None outside of requests
        self._written: dict[tuple[str, str], int] = {}
        self.used_bytes: Callable[[str], int] = lambda _: 0
        self.on_destroyed: Callable[[str], None] = lambda _: None
        self._addresses: dict[str, tuple[str, str]] = {}
        self._addresses_of: dict[tuple[str, str], list[str]] = {}
        self._short: dict[str, int] = {}
        self._long = FIRST_LONG_ID - 1
        self.create("Domain", {"name": "mail.test", "dkimManagement": {"@type": "Manual"}})
        throttles: list[Object] = [
            {"description": "per address", "rate": {"count": 5, "period": 1000}, "key": {"remoteIp": True}},
            {
                "description": "per sender and recipient",
                "rate": {"count": 25, "period": 3600000},
                "key": {"senderDomain": True, "rcpt": True},
            },
        ]
        for throttle in throttles:
            self.create("MtaInboundThrottle", throttle)
        self._long = FIRST_LONG_ID - 1
        self.apply_settings()

    # /get, /query, /set

    def get(self, kind: str, arguments: Object, account_id: str) -> Object:
        ids = arguments.get("ids")
        if kind in SINGLETONS:
            # Not asked for by its id, a singleton is not there.
            found = [{**self.singletons[kind], "id": "singleton"}] if ids and "singleton" in ids else []
            return {"list": found, "notFound": [id_ for id_ in ids or [] if id_ != "singleton"]}
        store = self._store(kind, account_id)
        if ids is not None and len(ids) > 500:
            raise MethodRefused("requestTooLarge")
        wanted = list(store) if ids is None else ids
        shown = [self.shown(kind, store[id_]) for id_ in dict.fromkeys(wanted) if id_ in store]
        if (properties := arguments.get("properties")) is not None:
            shown = [{name: one[name] for name in one if name in {"id", *properties}} for one in shown]
        return {"list": shown, "notFound": [id_ for id_ in wanted if id_ not in store]}

    def query(self, kind: str, arguments: Object, account_id: str) -> Object:
        if kind in SINGLETONS:
            raise MethodRefused("unknownMethod")
        filter_ = arguments.get("filter") or {}
        unknown = set(filter_) - set(KINDS[kind].filters)
        if unknown:
            raise MethodRefused("unsupportedFilter", description=", ".join(sorted(unknown)))
        store = self._store(kind, account_id)
        ids = [id_ for id_, one in store.items() if all(self._matches(one, *item) for item in filter_.items())]
        ids.sort(key=decode, reverse=True)
        position = int(arguments.get("position") or 0)
        limit = min(int(arguments.get("limit") or self.page), self.page)
        answer: Object = {"queryState": "n", "canCalculateChanges": True, "position": position}
        if arguments.get("calculateTotal"):
            answer["total"] = len(ids)
        return {**answer, "ids": ids[position : position + limit]}

    @staticmethod
    def _matches(one: Object, name: str, wanted: Any) -> bool:
        if name == "text":
            return str(wanted).casefold() in f"{one.get('name')} {one.get('description')}".casefold()
        value = one.get(name)
        return wanted in value if isinstance(value, dict) else bool(value == wanted)

    def set(self, kind: str, arguments: Object, account_id: str, created_ids: dict[str, str]) -> Object:
        sizes = [len(arguments.get(name) or ()) for name in ("create", "update", "destroy")]
        if sum(sizes) > 500:
            raise MethodRefused("requestTooLarge")
        answer: Object = {}

        def record(done: str, refused: str, key: str, act: Callable[[], Any]) -> None:
            try:
                value = act()
            except SetRefused as error:
                answer.setdefault(refused, {})[key] = error.error
            else:
                if done == "destroyed":
                    answer.setdefault(done, []).append(key)
                else:
                    answer.setdefault(done, {})[key] = value

        for key, new in (arguments.get("create") or {}).items():

            def create(key: str = key, new: Object = new) -> Object:
                if kind in SINGLETONS:
                    raise SetRefused("singleton")
                made = self.create(kind, resolved(new, created_ids), account_id)
                created_ids[key] = made["id"]
                return {name: made[name] for name in ("id", "secret") if name in made and (name == "id" or made[name])}

            record("created", "notCreated", key, create)
        for id_, patch in (arguments.get("update") or {}).items():
            record("updated", "notUpdated", id_, partial(self._update, kind, id_, patch, account_id, created_ids))
        for id_ in arguments.get("destroy") or []:
            record("destroyed", "notDestroyed", id_, partial(self.destroy, kind, id_, account_id))
        return answer

    # objects

    def _store(self, kind: str, account_id: str) -> dict[str, Object]:
        return self.owned.setdefault((kind, account_id), {}) if KINDS[kind].owned else self.objects[kind]

    def _new_id(self, kind: str, shape: Kind, account_id: str) -> str:
        if shape.long_ids:
            self._long += 1
            return encode(self._long)
        if shape.owned:
            # Per account, the password is "a", and numbers are used again.
            taken = {*self.owned.get(("AppPassword", account_id), {}), *self.owned.get(("ApiKey", account_id), {})}
            return next(encode(number) for number in range(1, 1000) if encode(number) not in taken)
        number = self._short[kind] = self._short.get(kind, 0) + 1
        return encode(number)

    def create(self, kind: str, new: Object, account_id: str = "") -> Object:
        """Make an object; what its creator is told, with the secret where there is one. Raises SetRefused."""
        if kind == "Action":
            return self._act(new)
        shape = KINDS[kind]
        defaults = shape.defaults if kind != "Account" else (GROUP if new.get("@type") == "Group" else USER)
        missing = [name for name in shape.required if new.get(name) in (None, {})]
        if kind == "Account" and new.get("@type") not in {"User", "Group"}:
            missing.append("@type")
        if missing:
            raise SetRefused(
                "validationFailed", validationErrors=[{"type": "Required", "property": name} for name in missing]
            )
        check_new(kind, new)
        one: Object = {**copy.deepcopy(defaults), **copy.deepcopy(new)}
        told: Object = {}
        if shape.owned:
            told["secret"] = self._new_secret(kind, account_id)
            one["secret"] = told["secret"]
        self._check(kind, "", one)
        id_ = self.insert(kind, one, account_id)
        if kind == "Domain" and one["dkimManagement"] == {"@type": "Automatic"}:
            for key in automatic_keys(id_):
                self.insert("DkimSignature", {**copy.deepcopy(KINDS["DkimSignature"].defaults), **key})
        return {"id": id_, **told}

    def insert(self, kind: str, one: Object, account_id: str = "") -> str:
        """Store an object as it is; its id."""
        id_ = self._new_id(kind, KINDS[kind], account_id)
        one |= {"id": id_, "createdAt": now()}
        self._store(kind, account_id)[id_] = one
        if KINDS[kind].owned:
            held = self.objects["Account"][account_id]["credentials"]
            held[str(len(held))] = {**one, "@type": kind, "credentialId": id_}
        self._wrote(kind, id_, one)
        return id_

    def _wrote(self, kind: str, id_: str, one: Object | None) -> None:
        self.writes += 1
        self._written[kind, id_] = self.writes
        self._index(kind, id_, one)

    def _must_be_fresh(self, kind: str, id_: str) -> None:
        """Raises MethodRefused when another request changed the object while this one was under way."""
        if self.seen is not None and self._written.get((kind, id_), 0) > self.seen:
            raise MethodRefused("serverUnavailable", description="This server is temporarily unavailable.")

    def _new_secret(self, kind: str, account_id: str) -> str:
        if account_id not in self.objects["Account"]:
            raise SetRefused("notFound")
        limit = self.singletons["Authentication"]["maxAppPasswords" if kind == "AppPassword" else "maxApiKeys"]
        if limit is not None and len(self.owned.get((kind, account_id), {})) >= limit:
            raise SetRefused("overQuota")
        return f"{'app_' if kind == 'AppPassword' else 'API_'}{secrets.token_urlsafe(24)}"

    def _update(self, kind: str, id_: str, patch: Object, account_id: str, created: dict[str, str]) -> None:
        self.update(kind, id_, resolved(patch, created), account_id)

    def update(self, kind: str, id_: str, patch: Object, account_id: str = "") -> None:
        """Change an object. Raises SetRefused."""
        if kind in SINGLETONS:
            if id_ != "singleton":
                raise SetRefused("notFound")
            check_patch(kind, patch)
            changed = patched(self.singletons[kind], patch)
            self._check(kind, id_, changed)
            self.singletons[kind] = changed
            return
        store = self._store(kind, account_id)
        self._must_be_fresh(kind, id_)
        if id_ not in store:
            raise SetRefused("notFound")
        check_patch(kind, patch)
        one = patched(store[id_], patch)
        self._check(kind, id_, one)
        store[id_] = one
        self._wrote(kind, id_, one)
        if kind == "Account":
            # What is not in the list of credentials any more cannot sign in any more.
            kept = {credential.get("credentialId") for credential in secondary(one)}
            for owned in SECONDARY:
                held = self.owned.get((owned, id_), {})
                for gone in set(held) - kept:
                    del held[gone]

    def destroy(self, kind: str, id_: str, account_id: str = "") -> None:
        """Take an object away. Raises SetRefused, also while others point to it."""
        store = self._store(kind, account_id)
        self._must_be_fresh(kind, id_)
        if id_ not in store:
            raise SetRefused("notFound")
        linked = [{"object": other, "id": other_id} for other, other_id in self._links(kind, id_)]
        if linked:
            raise SetRefused("objectIsLinked", objectId={"object": kind, "id": id_}, linkedObjects=linked)
        del store[id_]
        if KINDS[kind].owned:
            remove(self.objects["Account"][account_id], kind, id_)
        self._wrote(kind, id_, None)
        if kind == "Account":
            for owned in SECONDARY:
                self.owned.pop((owned, id_), None)
            self.on_destroyed(id_)

    def _links(self, kind: str, id_: str) -> Iterable[tuple[str, str]]:
        if kind == "Domain":
            for other in ("Account", "DkimSignature", "MailingList"):
                yield from ((other, key) for key, one in self.objects[other].items() if one["domainId"] == id_)
            if self.singletons["SystemSettings"]["defaultDomainId"] == id_:
                yield ("SystemSettings", "singleton")
        if kind == "Account":
            users = self.objects["Account"].items()
            yield from (("Account", key) for key, one in users if id_ in (one.get("memberGroupIds") or {}))

    def apply_settings(self) -> None:
        """What a reload does."""
        self.applied = {kind: copy.deepcopy(list(self.objects[kind].values())) for kind in self.applied}
        self.applied_folders = copy.deepcopy(self.singletons["Email"]["defaultFolders"])

    def _act(self, new: Object) -> Object:
        check_new("Action", new)
        if new.get("@type") == "ReloadSettings":
            if self.singletons["SpamPyzor"]["enable"]:
                # Looks a host name up; where there is no DNS nothing of the settings is applied.
                raise SetRefused("invalidProperties", description="Failed to build SpamPyzor: no such host")
            self.apply_settings()
        self._long += 1
        return {"id": encode(self._long)}

    # checks

    def _check(self, kind: str, id_: str, one: Object) -> None:
        """Raises SetRefused for what Stalwart would refuse; brings secrets into the form they are kept in."""
        for name in ("description", "name", "selector"):
            if one.get(name) == "":
                raise SetRefused("validationFailed", validationErrors=[{"type": "MinLength", "property": name}])
        if kind == "Domain":
            self._check_domain(id_, one)
        elif kind in {"Account", "MailingList"}:
            self._check_addresses(kind, id_, one)
            if kind == "Account" and one["@type"] == "User":
                check_credentials(one, self.objects["Account"].get(id_))
        elif kind == "DkimSignature" and not id_:
            self._check_domain_id(one["domainId"])
            check_key(one)
        for name, value in one.items():
            if isinstance(value, dict) and "else" in value:
                expressions.check(name, value)

    def _check_domain(self, id_: str, one: Object) -> None:
        one["name"] = str(one["name"]).lower()
        if self.u_labels and "xn--" in one["name"]:
            one["name"] = parse_domain(one["name"]).unicode
        names = [one["name"], *one["aliases"]]
        for name in names:
            top = name.rpartition(".")[2]
            allowed = r"[\w.-]+" if self.u_labels else r"[a-z0-9.-]+"
            if not re.fullmatch(allowed, name) or top in REFUSED_TOPS or ("." not in name):
                raise SetRefused("invalidPatch", description="Invalid domain name", properties=["name"])
        for other_id, other in self.objects["Domain"].items():
            if other_id != id_ and {other["name"], *other["aliases"]} & set(names):
                raise SetRefused(
                    "primaryKeyViolation", properties=["name"], objectId={"object": "Domain", "id": other_id}
                )

    def alias_addresses(self, one: Object, *, enabled: bool = False) -> list[str]:
        """The alias addresses of an object; only those that act, where `enabled`."""
        return [
            f"{alias['name']}@{self.objects['Domain'][alias['domainId']]['name']}"
            for alias in one["aliases"].values()
            if alias.get("enabled", True) or not enabled
        ]

    def every_address(self, one: Object) -> list[str]:
        """What an account may send as: its address and its acting aliases, in all names of their domains."""
        parts = [one, *(alias for alias in one["aliases"].values() if alias.get("enabled", True))]
        domains = self.objects["Domain"]
        return [
            f"{part['name']}@{name}"
            for part in parts
            for name in (domains[part["domainId"]]["name"], *domains[part["domainId"]]["aliases"])
        ]

    def address(self, one: Object) -> str:
        return f"{one['name']}@{self.objects['Domain'][one['domainId']]['name']}"

    def _check_domain_id(self, id_: str) -> None:
        if id_ not in self.objects["Domain"]:
            raise SetRefused("invalidForeignKey", objectId={"object": "Domain", "id": id_})

    def _check_addresses(self, kind: str, id_: str, one: Object) -> None:
        one["name"] = str(one["name"]).lower()
        if "@" in one["name"]:
            raise SetRefused("invalidPatch", description="Invalid email local part", properties=["name"])
        for domain_id in [one["domainId"], *(alias["domainId"] for alias in one["aliases"].values())]:
            self._check_domain_id(domain_id)
        for address in (self.address(one), *self.alias_addresses(one)):
            holder = self._addresses.get(address)
            if holder is not None and holder != (kind, id_):
                self._must_be_fresh(*holder)
                held = {"object": holder[0], "id": holder[1]}
                raise SetRefused("primaryKeyViolation", properties=["email"], objectId=held)

    def _index(self, kind: str, id_: str, one: Object | None) -> None:
        """Write down which addresses an object has; None: it has none any more."""
        if kind in {"Account", "MailingList"}:
            for address in self._addresses_of.pop((kind, id_), []):
                del self._addresses[address]
            if one is not None:
                mine = [self.address(one), *self.alias_addresses(one)]
                self._addresses_of[kind, id_] = mine
                self._addresses |= dict.fromkeys(mine, (kind, id_))

    # what is shown

    def shown(self, kind: str, one: Object) -> Object:
        """An object as `/get` gives it."""
        seen = copy.deepcopy(one)
        if kind == "Account":
            seen |= {"usedDiskQuota": self.used_bytes(one["id"]), "emailAddress": self.address(one)}
            for credential in (seen.get("credentials") or {}).values():
                credential["secret"] = "****"  # noqa: S105 -- what secrets read back as
        elif kind == "MailingList":
            seen["emailAddress"] = self.address(one)
        elif kind == "DkimSignature":
            seen["privateKey"]["secret"] = "****"  # noqa: S105 -- as above
        elif kind == "Domain":
            seen["dnsZoneFile"] = self._zone(one)
        elif KINDS[kind].owned:
            seen["secret"] = "****"  # noqa: S105 -- as above
        return seen

    def _zone(self, domain: Object) -> str:
        name, host = domain["name"], self.singletons["SystemSettings"]["defaultHostname"]
        lines = [
            f'{key["selector"]}._domainkey.{name}. IN TXT "v=DKIM1; k=rsa; h=sha256; p={key["publicKey"]}"'
            for key in self.objects["DkimSignature"].values()
            if key["domainId"] == domain["id"]
        ]
        return "\n".join([*lines, f'{name}. IN TXT "v=spf1 mx -all"', f"{name}. IN MX 10 {host}.", ""])
