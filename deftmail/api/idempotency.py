"""`Idempotency-Key`: a repeated POST gets the first answer again instead of a second object.

The key is claimed before the act and holds its answer afterwards. While the first request runs, a second gets 409 with
Retry-After. A refused request gives its key back. A process that dies in between leaves a claim that may be taken over
after `STALE`: the act itself then answers whether it happened (the name exists, the address is taken).
"""

from __future__ import annotations

import functools
import hashlib
import inspect
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from ninja.responses import Response

from deftmail.api.auth import actor_of
from deftmail.api.models import IdempotencyKey
from deftmail.kit.errors import Conflict, Invalid
from deftmail.kit.tenancy import tenant_tx

Operation = TypeVar("Operation", bound=Callable[..., Any])
KEEP = timedelta(hours=24)
STALE = timedelta(seconds=60)


class KeyReused(Invalid):
    """The same key came with another request."""

    code = "idempotency-key-reused"


class KeyRunning(Conflict):
    """The first request with this key is not finished."""

    code = "idempotency-key-running"


def creates(operation: Operation) -> Operation:
    """Wrap a POST operation that returns `(status, schema)`: one act, one answer per Idempotency-Key."""

    @functools.wraps(operation)
    def once(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        key = request.headers.get("Idempotency-Key", "")
        if not key:
            return operation(request, *args, **kwargs)
        if len(key) > 255 or not key.isprintable():
            raise Invalid(_("An Idempotency-Key is at most 255 printable characters."), field="Idempotency-Key")
        tenant_id = actor_of(request).tenant_id
        digest = hashlib.sha256(f"{request.method} {request.path}\n".encode() + request.body).hexdigest()
        earlier = _claim(tenant_id, key, digest)
        if earlier is not None:
            if earlier.request_hash != digest:
                raise KeyReused(
                    _("This Idempotency-Key was used for another request. Use a new one."), field="Idempotency-Key"
                )
            if earlier.status is None:
                raise KeyRunning(_("The first request with this Idempotency-Key is still running."), retry_after=1)
            return Response(earlier.body, status=earlier.status, headers={"Idempotency-Replayed": "true"})
        try:
            status, answer = operation(request, *args, **kwargs)
        except BaseException:
            with tenant_tx(tenant_id):
                _own(tenant_id, key).filter(status__isnull=True).delete()
            raise
        with tenant_tx(tenant_id):
            _own(tenant_id, key).update(status=status, body=answer.model_dump(mode="json"))
        return status, answer

    # ninja reads the parameters' types; as text they would be looked up among this module's names.
    once.__signature__ = inspect.signature(operation, eval_str=True)  # type: ignore[attr-defined]
    return once  # type: ignore[return-value]


def _own(tenant_id: UUID, key: str) -> Any:
    return IdempotencyKey.objects.filter(tenant_id=tenant_id, key=key)  # tenant-scope: the row of the caller's key


def _claim(tenant_id: UUID, key: str, digest: str) -> IdempotencyKey | None:
    """Take the key; None when it is now ours, else the row of whoever has it."""
    now = timezone.now()
    with tenant_tx(tenant_id):
        _own(tenant_id, key).filter(
            Q(created_at__lt=now - KEEP) | Q(status__isnull=True, created_at__lt=now - STALE)
        ).delete()
        mine = IdempotencyKey(tenant_id=tenant_id, key=key, request_hash=digest)
        # ON CONFLICT DO NOTHING; who wins is seen by reading the row back.
        IdempotencyKey.objects.bulk_create([mine], ignore_conflicts=True)  # tenant-scope: the caller's own company
        row: IdempotencyKey = _own(tenant_id, key).get()
        return None if row.pk == mine.pk else row
