"""Lists of a company's cases. Call inside `tenant_tx`."""

from __future__ import annotations

from uuid import UUID

from deftmail.sending.models import ReviewCase

SHOWN = 10


def cases_of(tenant_id: UUID) -> list[ReviewCase]:
    """The company's latest cases, newest first."""
    rows = ReviewCase.objects.filter(tenant_id=tenant_id).select_related("block", "mail_user")
    return list(rows.order_by("-created_at")[:SHOWN])
