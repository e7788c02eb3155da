"""Reads of this room for lists, and the key behind an API call."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from uuid import UUID

from django.db.models import Q, QuerySet
from django.utils.timezone import make_aware, now

from deftmail.kit.errors import Invalid
from deftmail.kit.tenancy import tenant_tx
from deftmail.tenants.access import company_of
from deftmail.tenants.actions.apikeys import hash_of
from deftmail.tenants.actor import Actor
from deftmail.tenants.errors import CompanyCancelled, NoApiAccess
from deftmail.tenants.logwords import acts_called
from deftmail.tenants.models import ApiKey, AuditLog, Membership, Plan, Tenant
from deftmail.tenants.policies import Action

LOG_PAGE = 50
_USED_EVERY = timedelta(minutes=1)


def _searchable(text: str) -> str:
    """What was typed, as PostgreSQL can compare it (its text holds no NUL) and cut to a sensible length."""
    return text.replace("\0", "").strip()[:200]


def members(actor: Actor, *, search: str = "", role: str = "") -> QuerySet[Membership]:
    """The people of the actor's company by name and address, strongest role first. Raises Forbidden."""
    actor.require(Action.PEOPLE_VIEW)
    rows = Membership.objects.filter(tenant_id=actor.tenant_id).select_related("user")
    if search := _searchable(search):
        rows = rows.filter(Q(user__email__icontains=search) | Q(user__name__icontains=search))
    if role:
        rows = rows.filter(role=role)
    # owner, admin, user happen to be neither alphabetic nor its reverse, so their order is said.
    return rows.extra(  # a constant
        select={"strength": "array_position(array['owner','admin','user'], role::text)"},
        order_by=["strength", "user__email"],
    )


def api_keys(actor: Actor) -> QuerySet[ApiKey]:
    """The company's keys, living ones first. Raises Forbidden."""
    actor.require(Action.APIKEY_MANAGE)
    rows = ApiKey.objects.filter(tenant_id=actor.tenant_id).select_related("created_by")
    return rows.order_by("-revoked_at", "-created_at")


def plans_with_api() -> list[Plan]:
    """The plans that include the API, cheapest first."""
    return list(Plan.objects.filter(api_access=True).order_by("rank"))


def api_key(raw: str) -> ApiKey | None:
    """The key of an API call; None when it is unknown, revoked or expired. Notes its use, at most once a minute.

    Raises NoApiAccess (asked at every call: a plan may have changed) and CompanyCancelled.
    """
    key = ApiKey.objects.filter(key_hash=hash_of(raw)).first()
    moment = now()
    if key is None or key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= moment):
        return None
    with tenant_tx(key.tenant_id):
        company = company_of(Actor.system(key.tenant_id))
        if company.status == Tenant.Status.CANCELLED:
            raise CompanyCancelled
        if not company.api_access:
            raise NoApiAccess
        if key.last_used_at is None or moment - key.last_used_at >= _USED_EVERY:
            ApiKey.objects.filter(pk=key.pk).update(last_used_at=moment)
    return key


@dataclass(frozen=True)
class LogPage:
    """Rows newest first; `older` and `newer` are cursors, "" where there is nothing more."""

    rows: Sequence[AuditLog]
    older: str = ""
    newer: str = ""


def plan_names() -> dict[str, str]:
    """The names of the plans by slug."""
    return dict(Plan.objects.values_list("slug", "name"))


def logs(
    actor: Actor,
    *,
    search: str = "",
    since: date | None = None,
    until: date | None = None,
    older: str = "",
    newer: str = "",
    limit: int = LOG_PAGE,
) -> LogPage:
    """A page of the company's log. `search` finds acts, names of objects and people; `since` and `until` are days in
    the present time zone, both included.

    older, newer: the cursor of a page before. Raises Forbidden, Invalid for a cursor that is none.
    """
    actor.require(Action.AUDIT_VIEW)
    rows = AuditLog.objects.filter(tenant_id=actor.tenant_id)
    if search := _searchable(search):
        # What people read ("domain added") and how it is kept ("domain.added") both find it.
        code = search.replace(" ", ".")
        rows = rows.filter(
            Q(action__in=acts_called(search))
            | Q(action__icontains=search)
            | Q(action__icontains=code)
            | Q(target__icontains=search)
            | Q(actor__icontains=search)
        )
    if since:
        rows = rows.filter(created_at__gte=_midnight(since))
    if until:
        rows = rows.filter(created_at__lt=_midnight(until + timedelta(days=1)))
    if newer:
        moment, pk = _read_cursor(newer)
        rows = rows.filter(Q(created_at__gt=moment) | Q(created_at=moment, pk__gt=pk)).order_by("created_at", "id")
        found = list(rows[: limit + 1])
        page = found[:limit][::-1]
        return LogPage(page, _cursor(page[-1]) if page else "", _cursor(page[0]) if len(found) > limit else "")
    if older:
        moment, pk = _read_cursor(older)
        rows = rows.filter(Q(created_at__lt=moment) | Q(created_at=moment, pk__lt=pk))
    found = list(rows.order_by("-created_at", "-id")[: limit + 1])
    page = found[:limit]
    return LogPage(page, _cursor(page[-1]) if len(found) > limit else "", _cursor(page[0]) if older and page else "")


def _midnight(day: date) -> datetime:
    return make_aware(datetime.combine(day, time.min))


def _cursor(row: AuditLog) -> str:
    return base64.urlsafe_b64encode(f"{row.created_at.isoformat()}|{row.pk}".encode()).decode().rstrip("=")


def _read_cursor(text: str) -> tuple[datetime, UUID]:
    try:
        moment, _sep, pk = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode().partition("|")
        return datetime.fromisoformat(moment), UUID(pk)
    except (ValueError, binascii.Error):
        raise Invalid(field="cursor") from None
