"""`Idempotency-Key`: a repeated POST gets the first answer again instead of a second object.

The key is claimed before the act and holds its answer afterwards. While the first request runs, a second waits for its
answer, and after `WAIT` gets 409 with Retry-After. A refused request gives its key back. A process that dies in between
leaves a claim that may be taken over after `STALE`: the act itself then answers whether it happened (the name exists,
the address is taken).
"""

from __future__ import annotations

import functools
import inspect
import json
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _
from ninja import Status
from ninja.responses import NinjaJSONEncoder, Response

from deftmail.api.auth import actor_of
from deftmail.api.models import IdempotencyKey
from deftmail.kit.database import release_connections
from deftmail.kit.errors import Conflict, Invalid
from deftmail.kit.tenancy import tenant_tx
from deftmail.tenants.actor import Actor

Operation = TypeVar("Operation", bound=Callable[..., Any])
HEADER = "Idempotency-Key"
LONGEST = 255
KEEP = timedelta(hours=24)
STALE = timedelta(seconds=60)
WAIT = 10.0
"""Seconds a second request waits for the first; longer than any operation takes."""
_PAUSE = 0.1


class KeyReused(Invalid):
    """The same Idempotency-Key came with another request (method, address, body or API key) within 24 hours."""

    code = "idempotency-key-reused"


class KeyRunning(Conflict):
    """The first request with this Idempotency-Key is not finished. Send it again after `Retry-After`."""

    code = "idempotency-key-running"


def idempotent(operation: Operation) -> Operation:
    """Wrap a POST operation that returns `Status(code, schema or None)`: one act, one answer per Idempotency-Key."""

    @functools.wraps(operation)
    def once(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        key = request.headers.get(HEADER, "")
        if not key:
            return operation(request, *args, **kwargs)
        if len(key) > LONGEST or not (key.isascii() and key.isprintable()):
            raise Invalid(
                _("An Idempotency-Key is at most %(longest)d printable ASCII characters.") % {"longest": LONGEST},
                field=HEADER,
            )
        actor = actor_of(request)
        earlier = _claim_or_wait(actor.tenant_id, key, _print(request, actor))
        if earlier is not None:
            return earlier
        try:
            answer: Status[Any] = operation(request, *args, **kwargs)
        except BaseException:
            with tenant_tx(actor.tenant_id):
                _own(actor.tenant_id, key).filter(status__isnull=True).delete()
            raise
        body = None if answer.value is None else json.loads(json.dumps(answer.value.model_dump(), cls=NinjaJSONEncoder))
        with tenant_tx(actor.tenant_id):
            _own(actor.tenant_id, key).update(status=answer.status_code, body=body)
        return answer

    # ninja reads the parameters' types; as text they would be looked up among this module's names.
    once.__signature__ = inspect.signature(operation, eval_str=True)  # type: ignore[attr-defined]
    once.takes_idempotency_key = True  # type: ignore[attr-defined]  # for the OpenAPI document
    return once  # type: ignore[return-value]


def _print(request: HttpRequest, actor: Actor) -> str:
    """What must be the same in a repetition. Keyed: the body may hold a password, and a bare hash could be guessed."""
    head = f"{actor.label}\n{request.method} {request.path}\n"
    return salted_hmac("deftmail.api.idempotency", head.encode() + request.body, algorithm="sha256").hexdigest()


def _claim_or_wait(tenant_id: UUID, key: str, digest: str) -> HttpResponse | None:
    """Take the key (None), or the answer that the first request got. Raises KeyReused, KeyRunning."""
    until = time.monotonic() + WAIT
    while (row := _claim(tenant_id, key, digest)) is not None:
        if row.request_hash != digest:
            raise KeyReused(_("This Idempotency-Key was used for another request. Use a new one."), field=HEADER)
        if row.status is not None:
            return _again(row)
        if time.monotonic() > until:
            raise KeyRunning(_("The first request with this Idempotency-Key is still running."), retry_after=1)
        release_connections()  # those who wait must not starve the one they wait for
        time.sleep(_PAUSE)
    return None


def _again(row: IdempotencyKey) -> HttpResponse:
    replayed = {"Idempotency-Replayed": "true"}
    if row.body is None:
        return HttpResponse(status=row.status, headers=replayed)
    return Response(row.body, status=row.status, headers=replayed, content_type="application/json; charset=utf-8")


def _own(tenant_id: UUID, key: str) -> Any:
    return IdempotencyKey.objects.filter(tenant_id=tenant_id, key=key)  # tenant-scope: the row of the caller's key


def _claim(tenant_id: UUID, key: str, digest: str) -> IdempotencyKey | None:
    """Take the key; None when it is now ours, else the row of whoever has it."""
    now = timezone.now()
    old = Q(created_at__lt=now - KEEP) | Q(status__isnull=True, created_at__lt=now - STALE)
    row: IdempotencyKey | None = None
    while row is None:  # a key given back between the two statements is simply tried again
        with tenant_tx(tenant_id):
            _own(tenant_id, key).filter(old).delete()
            mine = IdempotencyKey(tenant_id=tenant_id, key=key, request_hash=digest)
            # ON CONFLICT DO NOTHING, which waits for an insert that is not committed; who won is seen in the row.
            IdempotencyKey.objects.bulk_create([mine], ignore_conflicts=True)  # tenant-scope: the caller's company
            row = _own(tenant_id, key).first()
    return None if row.pk == mine.pk else row
