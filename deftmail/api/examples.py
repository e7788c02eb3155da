"""Examples in the OpenAPI document: one company's real-looking calls. A test holds each against its schema."""

from __future__ import annotations

from typing import Any

_KEY = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA…"
_DOMAIN_ID = "2f0c5a4e-8a53-4f0e-9d0b-6c1f1d3f7a10"
_MAILBOX_ID = "7d9a0c52-1f6b-4c55-8a3e-0b6f3d2e9c41"
_RECORDS: list[dict[str, Any]] = [
    {"purpose": "mx", "type": "MX", "name": "acme.example", "value": "mail.host.example", "priority": 10},
    {
        "purpose": "spf",
        "type": "TXT",
        "name": "acme.example",
        "value": "v=spf1 mx include:host.example ~all",
        "priority": None,
    },
    {
        "purpose": "dkim",
        "type": "TXT",
        "name": "default._domainkey.acme.example",
        "value": f"v=DKIM1; k=rsa; p={_KEY}",
        "priority": None,
    },
    {
        "purpose": "dmarc",
        "type": "TXT",
        "name": "_dmarc.acme.example",
        "value": "v=DMARC1; p=quarantine; rua=mailto:dmarc@host.example",
        "priority": None,
    },
]


def _check(record: dict[str, Any], state: str) -> dict[str, Any]:
    expected = f"{record['priority']} {record['value']}" if record["priority"] else record["value"]
    passed = state == "pass"
    return {
        "purpose": record["purpose"],
        "state": state,
        "found": [expected] if passed else [],
        "expected": expected,
        "code": "ok" if passed else "not_looked",
        "message": "This record is right." if passed else "Not looked yet.",
        "todo": "",
        "warnings": [],
    }


def _domain(status: str, state: str) -> dict[str, Any]:
    passed = state == "pass"
    return {
        "id": _DOMAIN_ID,
        "domain": "acme.example",
        "status": status,
        "ownership_proven": passed,
        "degraded": False,
        "provisioning": "ready" if status == "active" else "pending",
        "provisioning_error": "",
        "dns_records": _RECORDS,
        "checks": [_check(record, state) for record in _RECORDS],
        "last_checked_at": "2026-03-02T09:14:03.120Z" if passed else None,
        "created_at": "2026-03-02T09:12:41.507Z",
    }


def _mailbox(**changed: Any) -> dict[str, Any]:
    return {
        "id": _MAILBOX_ID,
        "email": "anna@acme.example",
        "display_name": "Anna Berg",
        "status": "active",
        "provisioning": "ready",
        "provisioning_error": "",
        "quota_mb": 51200,
        "used_quota_mb": 318,
        "last_login_at": "2026-03-04T07:58:12.004Z",
        "created_at": "2026-03-02T09:20:18.733Z",
        **changed,
    }


BODIES: dict[str, Any] = {
    "create_domain": {"domain": "acme.example"},
    "create_mailbox": {
        "email": "anna@acme.example",
        "password": "plum orbit ledger quay",
        "display_name": "Anna Berg",
        "quota_mb": 51200,
    },
    "change_mailbox": {"status": "disabled"},
    "set_mailbox_password": {"password": "quiet harbour tram sixteen"},
}
ANSWERS: dict[str, Any] = {
    "create_domain": _domain("pending", "pending"),
    "get_domain": _domain("active", "pass"),
    "verify_domain": _domain("verified", "pass"),
    "list_domains": {"items": [_domain("active", "pass")], "next": None},
    "create_mailbox": _mailbox(provisioning="pending", used_quota_mb=0, last_login_at=None),
    "get_mailbox": _mailbox(),
    "change_mailbox": _mailbox(status="disabled", provisioning="pending"),
    "may_send": {
        "allowed": False,
        "detail": "Limit reached: 500 of 500 recipients in 24 hours for this mailbox used, this message needs 1. "
        "Room again at 2 Mar 2026 15:00 UTC. See https://app.host.example/sending",
        "limit": "mailbox_day",
        "used": 500,
        "maximum": 500,
        "frees_at": "2026-03-02T15:00:00Z",
    },
    "list_mailboxes": {"items": [_mailbox()], "next": "YW5uYUBhY21lLmV4YW1wbGU"},
}

_PROBLEMS: dict[int, tuple[str, str, str]] = {
    400: (
        "bad-request",
        "The request could not be read.",
        "The body is not JSON: line 1, column 9",
    ),
    401: ("unauthorized", "A valid API key is needed.", "Send a valid API key as `Authorization: Bearer …`."),
    403: ("missing-scope", "Your role does not allow this.", "This API key lacks the scope {tag}:write."),
    404: (
        "not-found",
        "There is nothing here, or you have no access to it.",
        "There is nothing here, or you have no access to it.",
    ),
    409: ("conflict", "This is not possible in the present state.", "This is not possible in the present state."),
    413: ("too-large", "The request is too large. Nothing was changed.", "The request is larger than 65536 bytes."),
    415: (
        "unsupported-media-type",
        "Send the body as `Content-Type: application/json`.",
        "Send the body as `Content-Type: application/json`.",
    ),
    422: ("invalid", "Please check what you entered.", "{field}: Field required"),
    429: ("too-many-requests", "Too many requests. Wait a moment and try again.", "Too many requests."),
    503: (
        "unavailable",
        "This part is unavailable at the moment.",
        "The database is not answering.",
    ),
}


def problem(status: int, tag: str) -> dict[str, Any]:
    """An error as an operation tagged `tag` would answer it."""
    code, title, detail = _PROBLEMS[status]
    field = "domain" if tag == "domains" else "email"
    body: dict[str, Any] = {
        "type": f"https://mail.host.example/docs/problems/{code}",
        "title": title,
        "status": status,
        "detail": detail.format(tag=tag, field=field),
    }
    if status == 422:
        body["errors"] = [{"field": field, "detail": "Field required"}]
    return body
