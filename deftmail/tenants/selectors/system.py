"""Reads across companies, as `deftmail_system`, for the operator's commands. Nothing here writes."""

from __future__ import annotations

from deftmail.kit.tenancy import SYSTEM
from deftmail.tenants.models import OperatorLog, Tenant


def companies(search: str = "") -> list[Tenant]:
    """All companies by name, or those whose name or owner's address contains `search`."""
    rows = Tenant.objects.using(SYSTEM).select_related("plan").order_by("company_name", "created_at")
    if search:
        rows = rows.filter(company_name__icontains=search) | rows.filter(owner_email__icontains=search)
    return list(rows)


def operator_log(limit: int) -> list[OperatorLog]:
    """The newest acts of operators across companies."""
    return list(OperatorLog.objects.using(SYSTEM).order_by("-created_at", "-id")[:limit])
