"""API v1: `/api/v1`, its description at `/api/v1/openapi.json` (committed as docs/openapi.json, diffed by `check`)."""

from __future__ import annotations

import functools
from typing import Any

from ninja import NinjaAPI

from deftmail.api import document, domains, mailboxes, problems
from deftmail.kit.ratelimit import LIMITS

READS, WRITES, HASHES = LIMITS["api_read"], LIMITS["api_write"], LIMITS["hashing"]
DESCRIPTION = f"""\
Domains and mailboxes of one company.

- **Keys.** Send an API key as `Authorization: Bearer dm_live_…`. Keys are made in the console, with scopes.
- **Errors** are RFC 9457 problem details (`application/problem+json`); the last part of `type` is a stable code, and
  its address is a page that explains it.
- **Lists** are paged by cursor: ask again with `cursor` set to `next` until `next` is null.
- **Repeating.** Send an `Idempotency-Key` with a POST to repeat it safely within 24 hours.
- **Limits.** {READS.count:,} reads and {WRITES.count:,} writes a minute for each key and each address, of which
  {HASHES.count} for each company may set a password (create a mailbox, set its password); 429 tells in `Retry-After`
  when to come again.
- Members may be added to answers at any time; in requests an unknown member is an error.
"""


class Api(NinjaAPI):
    """ninja's API with the rest of its own description."""

    def get_openapi_schema(self, **_options: Any) -> Any:
        """The complete OpenAPI document, made once per process."""
        return self._document

    @functools.cached_property
    def _document(self) -> dict[str, Any]:
        operations = {
            str(operation.operation_id): operation
            for router in self._get_bound_routers()
            for view in router.path_operations.values()
            for operation in view.operations
        }
        return document.finish(super().get_openapi_schema(), operations)


api = Api(
    title="DeftMail API",
    version="1",
    urls_namespace="api-v1",
    docs_url=None,
    parser=problems.JsonOnly(),
    servers=[{"url": "/", "description": "The installation this document came from."}],
    openapi_extra={
        "tags": [
            {"name": "domains", "description": "Names, the DNS records that prove them, and their checks."},
            {"name": "mailboxes", "description": "Addresses in proven domains."},
        ]
    },
    description=DESCRIPTION,
)
problems.install(api)
api.add_router("/domains", domains.router)
api.add_router("/mailboxes", mailboxes.router)
