"""What decisions need to know, read from the database and from the signer's keys. Synchronous: call it in a thread."""

from __future__ import annotations

from datetime import timedelta

from django.utils.timezone import now

from deftmail.domains.actions import poke_checks
from deftmail.domains.models import Domain
from deftmail.domains.selectors.system import claims_of
from deftmail.kit import ratelimit
from deftmail.kit.conf import conf
from deftmail.mailboxes.actions import record_usage
from deftmail.mailboxes.selectors.system import Account, account_by_address
from deftmail.mailproto.addresses import base_address
from deftmail.sending.decisions import Recipient, Sender
from deftmail.sending.selectors import system

__all__ = ["poke_checks", "recipient", "sender"]

# Where rspamd looks for the key it signs with (its dkim_signing: key_prefix, selector_prefix). The engine's driver
# writes both; a message that leaves before would leave unsigned.
_KEYS, _SELECTORS = "DKIM_KEYS", "DKIM_SELECTORS"


def sender(account: str) -> Sender | None:
    """The mailbox `account` (lower case, A-labels) as a sender; None where there is none. Raises redis.RedisError."""
    found = account_by_address(account)
    subject = system.subject_of(found.mailbox_id) if found is not None else None
    if found is None or subject is None:
        return None
    return Sender(
        email=found.email,
        addresses=frozenset({found.email}),
        status=found.status,
        status_reason=found.status_reason,
        tenant_status=found.tenant_status,
        domain=found.domain,
        domain_status=found.domain_status,
        dkim_live=_dkim_live(found),
        subject=subject,
        block=system.block_on(subject),
        help_url=help_url(),
        password_hash=found.password_hash,
    )


def help_url() -> str:
    """Where a person sees what he used, what stops him, and how to ask for more."""
    return f"{conf.base_url}/sending"


def recipient(address: str) -> Recipient:
    """What is known of an address that mail arrives for (lower case, A-labels; `name+anything` is `name`)."""
    _local, _at, domain = address.rpartition("@")
    if domain == conf.operator_domain:  # Postfix knows which of its addresses there are, and whose they are
        return Recipient(domain, "active")
    claims = claims_of(domain) if domain else []
    if not claims:
        return Recipient(domain, "unknown")
    if not any(claim.status == Domain.Status.ACTIVE for claim in claims):
        return Recipient(domain, "claimed")
    found = account_by_address(base_address(address))
    if found is None:
        return Recipient(domain, "active")
    return Recipient(
        domain,
        "active",
        mailbox_status=found.status,
        mailbox_ready=found.is_ready,
        refuse_when_disabled=found.refuse_when_disabled,
        full_for=_full_for(found),
    )


def _full_for(account: Account) -> timedelta | None:
    if not account.is_full:
        return None
    if account.full_since is None:  # the quota shrank by other means than the action: the week begins now
        record_usage(account.tenant_id, {account.mailbox_id: account.used_bytes})
        return timedelta(0)
    return now() - account.full_since


def _dkim_live(account: Account) -> bool:
    """Whether the signer holds the key of the mailbox's domain at this moment."""
    if conf.engine != "cyrus":
        return account.domain_is_ready  # other engines sign by themselves, with what was synced
    redis = ratelimit.client()  # the one that never evicts; rspamd reads the same
    pipe = redis.pipeline(transaction=False)
    pipe.hget(_SELECTORS, account.domain)
    pipe.hexists(_KEYS, f"{account.dkim_selector}.{account.domain}")
    raw, has_own = pipe.execute()
    if raw is None:
        return False
    selector = raw.decode() if isinstance(raw, bytes) else str(raw)
    if selector == account.dkim_selector:
        return bool(has_own)
    return bool(redis.hexists(_KEYS, f"{selector}.{account.domain}"))  # in the middle of a rotation
