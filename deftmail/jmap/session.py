"""The session object (RFC 8620 §2): where things are, what the engine can do and how much it takes at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deftmail.jmap.access import Access
from deftmail.jmap.errors import EngineUnavailable
from deftmail.jmap.uri import expand, on_origin
from deftmail.jmap.values import as_text

CORE = "urn:ietf:params:jmap:core"
MAIL = "urn:ietf:params:jmap:mail"
SUBMISSION = "urn:ietf:params:jmap:submission"
QUOTA = "urn:ietf:params:jmap:quota"  # RFC 9425
SIEVE = "urn:ietf:params:jmap:sieve"  # RFC 9661
CYRUS_QUOTA = "https://cyrusimap.org/ns/jmap/quota"
CYRUS_SIEVE = "https://cyrusimap.org/ns/jmap/sieve"

# What a data type needs in "using": the first of these that the engine has. Without it a method is "unknownMethod".
_CAPABILITIES: dict[str, tuple[str, ...]] = {
    "Mailbox": (MAIL,),
    "Email": (MAIL,),
    "Thread": (MAIL,),
    "SearchSnippet": (MAIL,),
    "Identity": (SUBMISSION,),
    "EmailSubmission": (SUBMISSION,),
    "Quota": (QUOTA, CYRUS_QUOTA),
    "SieveScript": (SIEVE, CYRUS_SIEVE),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What the engine takes at once; sizes in bytes. The defaults are the minima RFC 8620 §2 suggests."""

    calls_in_request: int = 16
    objects_in_get: int = 500
    objects_in_set: int = 500
    size_upload: int = 50_000_000
    size_request: int = 10_000_000


@dataclass(frozen=True, slots=True)
class Session:
    """What one account may do, all URLs on the internal origin."""

    account_id: str
    state: str
    api_url: str
    download_template: str
    upload_template: str
    capabilities: frozenset[str]
    limits: Limits

    def capability_for(self, data_type: str) -> str | None:
        """The capability to name for a data type, None when the engine does not have it."""
        return next((name for name in _CAPABILITIES.get(data_type, ()) if name in self.capabilities), None)

    @property
    def is_stalwart(self) -> bool:
        """Stalwart and not Cyrus. No session says it by name: Cyrus has a capability of its own for Sieve."""
        return self.capability_for("SieveScript") == SIEVE

    def upload_url(self) -> str:
        return expand(self.upload_template, accountId=self.account_id)

    def download_url(self, blob_id: str, name: str, type_: str) -> str:
        return expand(self.download_template, accountId=self.account_id, blobId=blob_id, name=name, type=type_)


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _limits(core: dict[str, Any]) -> Limits:
    def at_least_one(name: str, default: int) -> int:
        value = core.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) and value >= 1 else default

    usual = Limits()
    return Limits(
        at_least_one("maxCallsInRequest", usual.calls_in_request),
        at_least_one("maxObjectsInGet", usual.objects_in_get),
        at_least_one("maxObjectsInSet", usual.objects_in_set),
        at_least_one("maxSizeUpload", usual.size_upload),
        at_least_one("maxSizeRequest", usual.size_request),
    )


def parse_session(data: object, access: Access) -> Session:
    """Read the session object.

    Raises:
        EngineUnavailable: it lacks what no request can do without (code ``badSession``).
    """
    top = _object(data)
    server = _object(top.get("capabilities"))
    account_id = access.account_id or as_text(_object(top.get("primaryAccounts")).get(MAIL))
    urls = {name: as_text(top.get(name)) for name in ("apiUrl", "downloadUrl", "uploadUrl")}
    if not account_id or not all(urls.values()):
        raise EngineUnavailable("session object without account or URLs", code="badSession")
    account = _object(_object(top.get("accounts")).get(account_id))
    # A capability counts when the account has it too: an engine that cannot reach its SMTP server takes
    # submission away from the account only. Engines that say nothing per account are believed as a whole.
    per_account = _object(account.get("accountCapabilities"))
    names = set(server) & (set(per_account) | {CORE}) if per_account else set(server)
    return Session(
        account_id=account_id,
        state=as_text(top.get("state")),
        api_url=on_origin(urls["apiUrl"], access.session_url),
        download_template=on_origin(urls["downloadUrl"], access.session_url),
        upload_template=on_origin(urls["uploadUrl"], access.session_url),
        capabilities=frozenset(names | {CORE}),
        limits=_limits(_object(server.get(CORE))),
    )
