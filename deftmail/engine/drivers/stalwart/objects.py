"""What our specs are as objects of Stalwart, and back.

The id of the row behind a mailbox is kept as one more alias of its account, switched off (`deftmail-<id>`): accounts
have no field of free text but the name that people see. Its description holds the state we asked for, which the
permissions alone do not tell while the whole domain is disabled. Domains and lists carry the id in `description`.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from deftmail.engine.errors import EngineRefused
from deftmail.engine.names import a_labels, checked_password_hash, domain_of, public_key_fingerprint
from deftmail.engine.port import DkimKeySpec, FoundKey, FoundMailbox, MailboxSpec, MailboxState

MIB = 1024 * 1024
SCRIPT_ROOM = 128 * 1024  # bytes, for Sieve scripts: Stalwart takes them of up to 100 KiB
MARK = "deftmail:"  # before a row's id in a description
MARK_ALIAS = "deftmail-"  # before a row's id in an alias
SEND, SIGN_IN = "emailSend", "authenticate"
WITHOUT: dict[MailboxState, frozenset[str]] = {
    MailboxState.ACTIVE: frozenset(),
    MailboxState.SUSPENDED: frozenset({SEND}),
    MailboxState.DISABLED: frozenset({SEND, SIGN_IN}),
}
ACCOUNT_PROPERTIES = (
    "id",
    "@type",
    "name",
    "domainId",
    "emailAddress",
    "description",
    "quotas",
    "usedDiskQuota",
    "aliases",
    "permissions",
    "credentials",
)

Object = dict[str, Any]


def mark(id: UUID) -> str:
    """The description that says for which row an object was made."""
    return f"{MARK}{id}"


def marked(text: object) -> UUID | None:
    """The row's id in a description, None when it is not ours. Text after the id is a person's and is ignored."""
    if not isinstance(text, str) or not text.startswith(MARK):
        return None
    try:
        return UUID(text.removeprefix(MARK).split(" ", 1)[0])
    except ValueError:
        return None


def _aliases(account: Object) -> list[Object]:
    found = account.get("aliases") or {}
    return [alias for alias in found.values() if isinstance(alias, dict)] if isinstance(found, dict) else []


def _mark_of(account: Object) -> Object | None:
    return next((alias for alias in _aliases(account) if str(alias.get("name", "")).startswith(MARK_ALIAS)), None)


def account_id_of_row(account: Object) -> UUID | None:
    """The id of the row an account was made for."""
    alias = _mark_of(account)
    try:
        return UUID(str(alias["name"]).removeprefix(MARK_ALIAS)) if alias else None
    except ValueError:
        return None


def _disabled(permissions: object) -> set[str]:
    taken = permissions.get("disabledPermissions") if isinstance(permissions, dict) else None
    return {name for name, on in taken.items() if on} if isinstance(taken, dict) else set()


def merged_permissions(now: object, state: MailboxState) -> Object:
    """`permissions` with sending and sign-in as `state` says; what others gave or took stays."""
    current: Object = now if isinstance(now, dict) else {}
    taken = (_disabled(current) - {SEND, SIGN_IN}) | WITHOUT[state]
    given = current.get("enabledPermissions") or {}
    kind = current.get("@type")
    if kind != "Replace" and not taken and not given:
        return {"@type": "Inherit"}
    return {
        "@type": "Replace" if kind == "Replace" else "Merge",
        "enabledPermissions": dict(given),
        "disabledPermissions": dict.fromkeys(sorted(taken), True),
    }


def effective(state: MailboxState, domain_enabled: bool) -> MailboxState:
    """What an account may do: a disabled domain takes sign-in and sending from all of its mailboxes."""
    return state if domain_enabled else MailboxState.DISABLED


def asked_state(account: Object) -> MailboxState:
    """The state we last asked for."""
    alias = _mark_of(account)
    try:
        return MailboxState(str(alias["description"])) if alias else MailboxState.ACTIVE
    except (ValueError, KeyError):
        return MailboxState.ACTIVE


def taken(account: Object) -> frozenset[str]:
    """What an account may not do, of the two permissions that states are made of."""
    return frozenset(_disabled(account.get("permissions")) & {SEND, SIGN_IN})


def found_state(account: Object, domain_enabled: bool) -> MailboxState:
    """The state the account is in: the one asked for where its permissions agree, else the one they amount to."""
    asked = asked_state(account)
    ours = taken(account)
    if ours == WITHOUT[effective(asked, domain_enabled)]:
        return asked
    if SIGN_IN in ours:
        return MailboxState.DISABLED
    return MailboxState.SUSPENDED if SEND in ours else MailboxState.ACTIVE


def _quota(quota_mb: int | None) -> int:
    """Bytes as Stalwart counts them, where 0 means no limit. A quota of nothing at all leaves room for the scripts: a
    mailbox that cannot hold ours would never be ready."""
    return 0 if quota_mb is None else max(quota_mb * MIB, SCRIPT_ROOM)


def alias_objects(spec: MailboxSpec, domain_ids: Mapping[str, str]) -> Object:
    """All aliases of the account, ours last. Raises EngineRefused for a domain that the engine does not hold."""
    found: list[Object] = []
    for address in spec.aliases:
        domain = domain_of(address)
        if domain not in domain_ids:
            raise EngineRefused(f"the alias {address} is of a domain that this mail server does not hold")
        found.append({"name": address.rpartition("@")[0], "domainId": domain_ids[domain]})
    home = domain_ids[domain_of(spec.address)]
    found.append(
        {"name": f"{MARK_ALIAS}{spec.id.hex}", "domainId": home, "enabled": False, "description": str(spec.state)}
    )
    return {str(place): alias for place, alias in enumerate(found)}


def new_account(spec: MailboxSpec, domain_ids: Mapping[str, str], domain_enabled: bool) -> Object:
    """The account to create for a mailbox."""
    account: Object = {
        "@type": "User",
        "name": spec.address.rpartition("@")[0],
        "domainId": domain_ids[domain_of(spec.address)],
        "credentials": {"0": {"@type": "Password", "secret": _hash(spec)}},
        "aliases": alias_objects(spec, domain_ids),
        "roles": {"@type": "User"},
        "permissions": merged_permissions(None, effective(spec.state, domain_enabled)),
    }
    if spec.display_name:
        account["description"] = spec.display_name
    if spec.quota_mb is not None:
        account["quotas"] = {"maxDiskQuota": _quota(spec.quota_mb)}
    return account


def account_patch(spec: MailboxSpec, now: Object, domain_ids: Mapping[str, str], domain_enabled: bool) -> Object:
    """What makes an existing account as the spec says. Never `credentials` whole: that would drop app passwords."""
    return {
        **password_patch(_hash(spec), now),
        "description": spec.display_name or None,
        "quotas/maxDiskQuota": _quota(spec.quota_mb),
        "aliases": alias_objects(spec, domain_ids),
        "permissions": merged_permissions(now.get("permissions"), effective(spec.state, domain_enabled)),
    }


def password_patch(secret: str, now: Object) -> Object:
    """The password in its place among the account's credentials: app passwords and keys are in the same list, and
    before it where the account had no password when they were made. Of several passwords the first one counts."""
    held = now.get("credentials")
    places: dict[str, Object] = held if isinstance(held, dict) else {}
    own = [int(place) for place, one in places.items() if place.isdigit() and one.get("@type") == "Password"]
    if own or not places:
        return {f"credentials/{min(own, default=0)}/secret": secret}
    return {f"credentials/{len(places)}": {"@type": "Password", "secret": secret}}


def _hash(spec: MailboxSpec) -> str:
    # Checked when the spec was made and here again: a string that Stalwart does not know as a hash would become the
    # plain password.
    return checked_password_hash(spec.password_hash.get_secret_value())


def address_of(found: Object) -> str:
    """The address of an account or a list, as we compare them."""
    return a_labels(str(found.get("emailAddress", "")))


def found_mailbox(account: Object, domain_enabled: bool) -> FoundMailbox:
    """A mailbox as the engine holds it."""
    quotas = account.get("quotas")
    limit = quotas.get("maxDiskQuota") if isinstance(quotas, dict) else None
    used = account.get("usedDiskQuota")
    return FoundMailbox(
        address=address_of(account),
        id=account_id_of_row(account),
        quota_mb=limit // MIB if isinstance(limit, int) and limit > 0 else None,
        used_bytes=used if isinstance(used, int) else 0,
        display_name=str(account.get("description") or ""),
        state=found_state(account, domain_enabled),
    )


def new_key(key: DkimKeySpec, domain_id: str, stage: str) -> Object:
    """The DKIM key to import. Raises EngineRefused for a kind of key that Stalwart does not sign with."""
    pem = key.private_key.get_secret_value()
    loaded = load_pem_private_key(pem.encode(), password=None)
    if isinstance(loaded, RSAPrivateKey):
        kind = "Dkim1RsaSha256"
    elif isinstance(loaded, Ed25519PrivateKey):
        kind = "Dkim1Ed25519Sha256"
    else:
        raise EngineRefused("the DKIM key is neither RSA nor Ed25519")
    return {
        "@type": kind,
        "domainId": domain_id,
        "selector": key.selector,
        "stage": stage,
        "privateKey": {"@type": "Text", "secret": pem},
    }


def found_key(signature: Object) -> FoundKey:
    """A DKIM key as the engine holds it; its public half is the `p=` of its record."""
    selector = str(signature.get("selector", ""))
    try:
        public = base64.b64decode(str(signature.get("publicKey", "")), validate=True)
        if "Ed25519" in str(signature.get("@type")) and len(public) == 32:  # RFC 8463 §4.2: the bare key
            loaded = Ed25519PublicKey.from_public_bytes(public)
            public = loaded.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return FoundKey(selector, public_key_fingerprint(public))
    except (EngineRefused, ValueError, binascii.Error):
        return FoundKey(selector, "")


def holder(error: Object | None, kind: str = "Account") -> str | None:
    """The id of the object that has the address already, where a creation was refused for that."""
    if error is None or error.get("type") != "primaryKeyViolation":
        return None
    held = error.get("objectId")
    if not isinstance(held, dict) or held.get("object") != kind or not isinstance(held.get("id"), str):
        return None
    return str(held["id"])
