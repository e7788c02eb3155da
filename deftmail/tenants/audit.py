"""The log of acts: one row, in the transaction of the act itself."""

from __future__ import annotations

import getpass
import os
from typing import Any
from uuid import UUID

from django.db import models

from deftmail.tenants.actor import Actor
from deftmail.tenants.models import AuditLog, OperatorLog

_SECRET = ("password", "secret", "token", "key", "hash")


def record(
    actor: Actor,
    action: str,
    target: models.Model | None = None,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    **details: Any,
) -> None:
    """Write one act (`domain.added`, past tense). Call inside `tenant_tx`, beside the write it tells of."""
    body: dict[str, Any] = {**details}
    if before is not None:
        body["before"] = _plain(before)
    if after is not None:
        body["after"] = _plain(after)
    AuditLog.objects.create(
        tenant_id=actor.tenant_id,
        user_id=actor.user_id,
        actor=actor.label[:255],
        action=action,
        target_type=target._meta.model_name or "" if target is not None else "",
        target_id=target.pk if target is not None and isinstance(target.pk, UUID) else None,
        target=str(target)[:320] if target is not None else "",
        details=body,
        ip_address=actor.ip or None,
        request_id=actor.request_id[:64],
    )


def record_operator(
    actor: str, action: str, target: str = "", *, ip: str | None = None, request_id: str = "", **details: Any
) -> None:
    """Write one act of an operator that is no one company's. Call it in the transaction of the act, where there is
    one."""
    OperatorLog.objects.create(
        actor=actor[:255],
        action=action,
        target=target[:320],
        details=_plain(details),
        ip_address=ip,
        request_id=request_id[:64],
    )


def command_line() -> str:
    """How the logs name whoever runs a command on the server: the login he came with, where that can be known."""
    try:
        login = os.environ.get("SUDO_USER") or getpass.getuser()
    except KeyError:  # a container's number without a name
        login = str(os.getuid())
    return f"Operator's command ({login})"


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """JSON values only, and nothing secret even by mistake."""
    return {
        name: "(hidden)" if any(word in name for word in _SECRET) else _json(value) for name, value in values.items()
    }


def _json(value: Any) -> Any:
    return value if isinstance(value, (str, int, float, bool, type(None), list, dict)) else str(value)
