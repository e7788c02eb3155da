"""API v1: `/api/v1`, its description at `/api/v1/openapi.json` (committed as docs/openapi.json, diffed by `check`)."""

from __future__ import annotations

from ninja import NinjaAPI

from deftmail.api import domains, mailboxes, problems
from deftmail.api.auth import ApiKeyAuth

api = NinjaAPI(
    title="DeftMail",
    version="1",
    urls_namespace="api-v1",
    auth=ApiKeyAuth(),
    docs_url=None,
    description=(
        "Domains and mailboxes of one company. Errors are RFC 9457 problem details. Lists are paged by cursor. "
        "Send an `Idempotency-Key` with a POST to repeat it safely within 24 hours."
    ),
)
problems.install(api)
api.add_router("/domains", domains.router)
api.add_router("/mailboxes", mailboxes.router)
