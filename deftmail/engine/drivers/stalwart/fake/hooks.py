"""What the fake asks and tells others: MTA hooks at `rcpt` and `data`, webhooks of events."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import uuid
from collections.abc import Mapping, Sequence
from email import message_from_bytes, policy
from typing import Any

import httpx2

from deftmail.engine.drivers.stalwart.fake import expressions
from deftmail.engine.drivers.stalwart.fake.mail import Refusal, now

Object = dict[str, Any]


def _headers(object_: Object) -> dict[str, str]:
    auth = object_.get("httpAuth") or {}
    headers = dict(object_.get("httpHeaders") or {})
    if auth.get("@type") == "Bearer":
        headers["Authorization"] = f"Bearer {auth['bearerToken']['secret']}"
    return headers


def ask_hooks(
    hooks: Sequence[Object],
    stage: str,
    facts: Mapping[str, str],
    sender: str,
    recipients: Sequence[str],
    content: bytes,
) -> None:
    """Ask each hook of a stage whose expression holds for `facts`. Raises Refusal as the hook says."""
    port = 0 if facts.get("door") == "jmap" else 587  # a JMAP submission has no connection
    context: Object = {
        "stage": stage,
        "client": {"ip": "127.0.0.1", "port": port and 40000, "ptr": None, "helo": "localhost", "activeConnections": 1},
        "server": {"name": "Stalwart v0.16.19", "port": port, "ip": "127.0.0.1"},
        "protocol": {"version": 1},
    }
    if facts.get("authenticated_as"):
        context["sasl"] = {"login": facts["authenticated_as"]}
    envelope = {"from": {"address": sender}, "to": [{"address": one} for one in recipients]}
    body: Object = {"context": context, "envelope": envelope}
    if stage == "data":
        context["queue"] = {"id": uuid.uuid4().hex[:15]}
        parsed = message_from_bytes(content, policy=policy.compat32)
        body["message"] = {
            "headers": [[name, f" {value}\r\n"] for name, value in parsed.items()],
            "contents": content.partition(b"\r\n\r\n")[2].decode("utf-8", "replace"),
            "size": len(content),
        }
    where = {"data": "DATA", "rcpt": "RCPT"}[stage]
    for hook in hooks:
        if not hook["stages"].get(stage) or not expressions.holds(hook["enable"], facts):
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
            raise Refusal(451, "4.3.5 Unable to accept message at this time.", where)
        if action == "reject":
            told = answer.get("response") or {}
            if told.get("status") and told.get("message"):
                text = f"{told.get('enhanced_status', '')} {told['message']}".strip()
                raise Refusal(int(told["status"]), text, where)
            raise Refusal(503, "5.5.3 Message rejected.", where)


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
