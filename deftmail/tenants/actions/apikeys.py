"""API keys: made, shown once, revoked; and who may have them."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from uuid import UUID

from django.db import transaction
from django.utils.timezone import now
from django.utils.translation import gettext as _

from deftmail.kit.errors import Conflict, Forbidden, Invalid
from deftmail.kit.names import one_line
from deftmail.kit.tenancy import tenant_tx
from deftmail.tenants import audit
from deftmail.tenants.access import apikey_for, company_of, running_company
from deftmail.tenants.actor import Actor
from deftmail.tenants.errors import NoApiAccess
from deftmail.tenants.models import ApiKey, Tenant
from deftmail.tenants.policies import SCOPES, Action, rights_of_scopes

PREFIX = "dm_live_"
SHOWN = len(PREFIX) + 6  # of 32 characters: enough to tell keys apart, 156 bits stay secret
MAX_KEYS = 50


def hash_of(raw: str) -> str:
    """How a key is kept. 192 bits of entropy need no slow hash."""
    return hashlib.sha256(raw.encode()).hexdigest()


@transaction.atomic
def create_api_key(
    *, actor: Actor, name: str, scopes: list[str], expires_at: datetime | None = None
) -> tuple[ApiKey, str]:
    """Make a key; the second value is the key itself, which nobody can read again.

    Raises Invalid, Forbidden (a scope beyond the actor's own rights), NoApiAccess, CompanySuspended.
    """
    actor.require(Action.APIKEY_MANAGE)
    company = running_company(actor, for_update=True)
    if not company.api_access:
        raise NoApiAccess
    tidy = one_line(name)
    if not 0 < len(tidy) <= 100:
        raise Invalid(_("Give the key a name of at most 100 characters."), field="name")
    if not scopes or not set(scopes) <= set(SCOPES):
        raise Invalid(_("Choose what the key may do."), field="scopes")
    if not rights_of_scopes(scopes) <= actor.rights:
        raise Forbidden
    if ApiKey.objects.filter(tenant_id=actor.tenant_id, revoked_at__isnull=True).count() >= MAX_KEYS:
        raise Conflict(_("A company can have 50 keys. Revoke one you no longer use."))
    raw = PREFIX + secrets.token_urlsafe(24)
    key: ApiKey = ApiKey.objects.create(
        tenant_id=actor.tenant_id,
        name=tidy,
        prefix=raw[:SHOWN],
        key_hash=hash_of(raw),
        scopes=sorted(set(scopes)),
        created_by_id=actor.user_id,
        expires_at=expires_at,
    )
    audit.record(
        actor, "api_key.created", key, scopes=key.scopes, expires_on=expires_at.date().isoformat() if expires_at else ""
    )
    return key, raw


@transaction.atomic
def revoke_api_key(*, actor: Actor, key_id: UUID | str) -> ApiKey:
    """Make a key useless at once. Also in a suspended company: closing a door is always allowed."""
    key = apikey_for(actor, key_id, for_update=True)
    if key.revoked_at is None:
        key.revoked_at = now()
        key.save(update_fields=["revoked_at"])
        audit.record(actor, "api_key.revoked", key)
    return key


@transaction.atomic
def grant_api_access(*, actor: Actor, granted: bool = True) -> Tenant:
    """An operator's override: the API whatever the plan says. Only `Actor.system` holds the right for it."""
    if actor.role or actor.user_id is not None:
        raise Forbidden
    actor.require(Action.BILLING_MANAGE)
    with tenant_tx(actor.tenant_id):
        company = company_of(actor, for_update=True)
        before = {"api_access": company.api_access, "api_access_granted": company.api_access_granted}
        company.api_access_granted = granted
        company.api_access = granted or company.plan.api_access
        company.save(update_fields=["api_access", "api_access_granted", "updated_at"])
        after = {"api_access": company.api_access, "api_access_granted": company.api_access_granted}
        audit.record(
            actor, "api_access.granted" if granted else "api_access.withdrawn", company, before=before, after=after
        )
    return company
