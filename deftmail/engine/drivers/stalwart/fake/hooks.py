"""What the fake asks and tells others: MTA hooks at `data`, webhooks of events."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import Sequence
from email import message_from_bytes, policy
from typing import Any

import httpx2

from deftmail.engine.drivers.stalwart.fake.mail import Refusal, now

Object = dict[str, Any]


def _headers(object_: Object) -> dict[str, str]:
    auth = object_.get("httpAuth") or {}
    headers = dict(object_.get("httpHeaders") or {})
    if auth.get("@type") == "Bearer":
        headers["Authorization"] = f"Bearer {auth['bearerToken']['secret']}"
    return headers


def _concerns(hook: Object, login: str) -> bool:
    """The expressions that are used here: none, any authenticated sender, one sender."""
    condition = hook["enable"]["else"]
    if condition.startswith("authenticated_as =="):
        return bool(condition.partition("==")[2].strip().strip("'") == login)
    return bool(condition in {"true", "!is_empty(authenticated_as)"})


def ask_hooks(hooks: Sequence[Object], login: str, sender: str, recipients: Sequence[str], content: bytes) -> None:
    """Ask each hook of the stage `data`, the only one the fake has. Raises Refusal as the hook says."""
    parsed = message_from_bytes(content, policy=policy.compat32)
    body = {
        "context": {
            "stage": "data",
            "client": {"ip": "127.0.0.1", "port": 0, "ptr": None, "helo": "localhost", "activeConnections": 1},
            "sasl": {"login": login},
            "server": {"name": "Stalwart v0.16.19", "port": 0, "ip": "127.0.0.1"},
            "queue": {"id": uuid.uuid4().hex[:15]},
            "protocol": {"version": 1},
        },
        "envelope": {"from": {"address": sender}, "to": [{"address": one} for one in recipients]},
        "message": {
            "headers": [[name, f" {value}\r\n"] for name, value in parsed.items()],
            "contents": content.partition(b"\r\n\r\n")[2].decode("utf-8", "replace"),
            "size": len(content),
        },
    }
    for hook in hooks:
        if not hook["stages"].get("data") or not _concerns(hook, login):
            continue
        try:
            response = httpx2.post(
                hook["url"], json=body, headers=_headers(hook), timeout=hook["timeout"] / 1000, trust_env=False
            )
            answer = response.json() if response.is_success else {}
        except (httpx2.HTTPError, ValueError):
            answer = {}
        action = answer.get("action")
        if action is None and hook["tempFailOnError"]:
            raise Refusal(451, "4.3.5 Unable to accept message at this time.")
        if action == "reject":
            told = answer.get("response") or {}
            if told.get("status") and told.get("message"):
                raise Refusal(int(told["status"]), f"{told.get('enhanced_status', '')} {told['message']}".strip())
            raise Refusal(503, "5.5.3 Message rejected.")


def tell_webhooks(webhooks: Sequence[Object], type_: str, data: Object) -> None:
    """Ship an event to each webhook that wants it, signed."""
    body = json.dumps({"events": [{"id": uuid.uuid4().hex, "createdAt": now(), "type": type_, "data": data}]}).encode()
    for webhook in webhooks:
        wanted = (type_ in webhook["events"]) == (webhook["eventsPolicy"] == "include")
        if not webhook["enable"] or not wanted:
            continue
        headers = _headers(webhook) | {"Content-Type": "application/json"}
        key = webhook["signatureKey"].get("secret")
        if key:
            digest = hmac.new(key.encode(), body, hashlib.sha256).digest()
            headers["X-Signature"] = base64.b64encode(digest).decode()
        try:
            httpx2.post(webhook["url"], content=body, headers=headers, timeout=5, trust_env=False)
        except httpx2.HTTPError:
            continue  # the real one tries again until `discardAfter`
