"""Domains and their DKIM keys on Stalwart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from deftmail.engine.drivers.stalwart import objects
from deftmail.engine.drivers.stalwart.wire import Call, Management, Object, set_error
from deftmail.engine.errors import EngineBusy
from deftmail.engine.names import a_labels, u_labels
from deftmail.engine.port import DkimKeySpec, DomainSpec, FoundDomain, FoundKey

PROPERTIES = ("id", "name", "aliases", "description", "isEnabled", "catchAllAddress", "dkimManagement")
KEY_PROPERTIES = ("id", "@type", "domainId", "selector", "stage", "publicKey")


@dataclass(frozen=True, slots=True)
class HeldDomain:
    """A domain of the engine. `enabled` is Stalwart's `isEnabled`, which stops nothing by itself: it is where we
    write down what its mailboxes' permissions have to say."""

    id: str
    name: str
    row: UUID | None
    enabled: bool


def _held(domain: Object) -> HeldDomain:
    return HeldDomain(
        str(domain["id"]), a_labels(str(domain["name"])), objects.marked(domain.get("description")),
        domain.get("isEnabled") is not False,
    )  # fmt: skip


class Domains:
    """Applies, removes, finds and lists domains. Raises only EngineError. Safe to share between threads."""

    def __init__(self, management: Management, operator_domain: str) -> None:
        self._management = management
        self._operator_domain = operator_domain

    def apply(self, spec: DomainSpec, held: HeldDomain | None) -> None:
        """The domain with its aliases, catch-all and keys, for this row; keys of earlier selectors are gone.

        held: what `find` says of the name.
        """
        wanted: Object = {
            "aliases": dict.fromkeys(spec.aliases, True),
            "catchAllAddress": spec.catch_all,
            "description": objects.mark(spec.id),
            "isEnabled": spec.enabled,
            "dkimManagement": {"@type": "Manual"},
        }
        domain_id = held.id if held is not None else self._create(spec.name, wanted)
        if held is not None:
            answer = self._management.set("Domain", update={domain_id: wanted})
            if domain_id not in answer.updated:
                raise set_error(answer.not_updated.get(domain_id), spec.name)
        self._apply_keys(domain_id, spec)

    def _create(self, name: str, wanted: Object) -> str:
        answer = self._management.set("Domain", create={"d": {"name": name, **wanted}})
        if "d" in answer.created:
            return str(answer.created["d"].get("id", ""))
        refused = answer.not_created.get("d")
        held = self.find(name) if refused is not None and refused.get("type") == "primaryKeyViolation" else None
        if held is None:
            # The name is an alias of another domain, or not to the server's taste.
            raise set_error(refused, name)
        return held.id  # another worker was faster, with the same wish

    def _keys_of(self, domain_ids: Iterable[str]) -> list[Object]:
        found: list[Object] = []
        for domain_id in domain_ids:
            ids = self._management.all_ids("DkimSignature", {"domainId": domain_id})
            keys = self._management.get("DkimSignature", ids, KEY_PROPERTIES)
            found += [key for key in keys if key.get("domainId") == domain_id]
        return found

    def _apply_keys(self, domain_id: str, spec: DomainSpec) -> None:
        """Install, then switch: at no moment do two keys sign, or none where one did.

        Every active key signs and a selector may be taken twice, so both are kept unique here.
        """
        wanted: list[tuple[DkimKeySpec, str]] = [(key, "retiring") for key in spec.retiring]
        if spec.dkim is not None:
            wanted.append((spec.dkim, "active"))
        present = self._keys_of([domain_id])
        kept: dict[FoundKey, Object] = {}
        for key in sorted(present, key=lambda one: (one.get("stage") != "active", str(one.get("id")))):
            kept.setdefault(objects.found_key(key), key)
        update: dict[str, Object] = {}
        create: dict[str, Object] = {}
        keep: set[str] = set()
        for wish, stage in wanted:
            held = kept.get(FoundKey(wish.selector, wish.fingerprint))
            if held is None:
                # Made waiting, and activated together with the retirement of the one before.
                create[f"k{len(create)}"] = objects.new_key(wish, domain_id, "pending" if stage == "active" else stage)
                continue
            keep.add(str(held["id"]))
            if held.get("stage") != stage:
                update[str(held["id"])] = {"stage": stage}
        made = self._management.set("DkimSignature", create=create)
        for name, key in create.items():
            if name not in made.created:
                raise set_error(made.not_created.get(name), f"DKIM key {key['selector']} of {spec.name}")
            if key["stage"] == "pending":
                update[str(made.created[name].get("id", ""))] = {"stage": "active"}
        destroy = [str(key["id"]) for key in present if str(key["id"]) not in keep]
        calls: list[Call] = []
        if update:
            calls.append(("x:DkimSignature/set", {"update": update}))
        if destroy:
            calls.append(("x:DkimSignature/set", {"destroy": destroy}))
        self._all_done(calls, spec.name)

    def _all_done(self, calls: list[Call], about: str) -> None:
        """Send changes and destructions in one request; raise for the first that was not done."""
        for (_name, arguments), answer in zip(calls, self._management.change(calls), strict=True):
            for id_ in arguments.get("update", ()):
                if id_ not in (answer.get("updated") or ()):
                    raise set_error((answer.get("notUpdated") or {}).get(id_), about)
            for id_ in arguments.get("destroy", ()):
                refused = (answer.get("notDestroyed") or {}).get(id_)
                if id_ not in (answer.get("destroyed") or ()) and (refused or {}).get("type") != "notFound":
                    raise set_error(refused, about)

    def remove(self, name: str, domain_id: UUID) -> None:
        """Keys, then the domain, if it was made for this row. Raises EngineBusy while anything else points to it."""
        held = self.find(name)
        if held is None or held.row != domain_id:
            return
        # Asked first: a domain that cannot go yet keeps its keys, so that mail that still leaves it is signed.
        [accounts] = self._management.ask([("x:Account/query", {"filter": {"domainId": held.id}, "limit": 1})])
        if accounts.get("ids"):
            raise EngineBusy(f"{name} still has mailboxes")
        keys = [str(key["id"]) for key in self._keys_of([held.id])]
        calls: list[Call] = [("x:DkimSignature/set", {"destroy": keys})] if keys else []
        self._all_done([*calls, ("x:Domain/set", {"destroy": [held.id]})], name)

    def held(self, name: str) -> HeldDomain:
        """The domain; raises EngineBusy where it is not there yet."""
        found = self.find(name)
        if found is None:
            raise EngineBusy(f"the domain {name} is not there yet")
        return found

    def find(self, name: str) -> HeldDomain | None:
        return self.held_many([name]).get(name)

    def held_many(self, names: Iterable[str]) -> dict[str, HeldDomain]:
        """Those of `names` that the engine holds, by name."""
        wanted = set(names)
        # The filter wants the name as it is stored, and which form of an international one that is, is the server's.
        forms = sorted(wanted | {u_labels(name) for name in wanted if "xn--" in name})
        queries: list[Call] = [("x:Domain/query", {"filter": {"name": name}}) for name in forms]
        if len(queries) == 1:
            found = self._management.find("Domain", {"name": forms[0]})
        else:
            ids = [id_ for answer in self._management.ask(queries) for id_ in answer.get("ids") or ()]
            found = self._management.get("Domain", list(dict.fromkeys(ids)), PROPERTIES)
        held = [_held(domain) for domain in found]
        return {domain.name: domain for domain in held if domain.name in wanted}

    def list(self) -> list[FoundDomain]:
        """Every domain with its keys. Complete, or it raises."""
        management = self._management
        domains = management.get("Domain", management.all_ids("Domain"), PROPERTIES)
        signatures = management.get("DkimSignature", management.all_ids("DkimSignature"), KEY_PROPERTIES)
        keys: dict[str, list[Object]] = {}
        for key in sorted(signatures, key=lambda one: str(one.get("selector"))):
            keys.setdefault(str(key.get("domainId")), []).append(key)
        found = []
        for domain in domains:
            held, own = _held(domain), keys.get(str(domain["id"]), [])
            # The operator's own domain belongs to the installation, not to a customer.
            if held.name == self._operator_domain and held.row is None:
                continue
            signing = next((objects.found_key(key) for key in own if key.get("stage") == "active"), None)
            found.append(FoundDomain(held.name, held.row, signing, tuple(objects.found_key(key) for key in own)))
        return sorted(found, key=lambda domain: domain.name)
