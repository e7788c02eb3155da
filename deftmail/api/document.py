"""The OpenAPI document: what ninja knows from the types, and what only we know: scopes, headers, error media types.

Served at /api/v1/openapi.json and committed as docs/openapi.json; it depends on no setting of the installation.
"""

from __future__ import annotations

import json
from typing import Any

from ninja.openapi.schema import OpenAPISchema

from deftmail.api import examples
from deftmail.api.auth import ApiKeyAuth
from deftmail.api.idempotency import HEADER, LONGEST
from deftmail.kit.problems import MEDIA_TYPE

_MEANINGS = {
    200: "Done.",
    201: "Created.",
    204: "Done; there is nothing to answer.",
    400: "The body is not JSON.",
    401: "No API key, or one that is unknown, revoked or expired.",
    403: "The key lacks the scope, the company has no API access or is suspended, or the object belongs to somebody "
    "stronger than an API key.",
    404: "Absent, or not your company's: the two are the same answer.",
    409: "The present state does not allow it: taken, not proven yet, a limit of the plan, an Idempotency-Key in use.",
    413: "The body is larger than 64 KiB.",
    415: "The body is not sent as `application/json`.",
    422: "A member of the request cannot be used; `errors` names each.",
    429: "Too many requests of this key or address.",
    503: "A part that is needed is away. Nothing was changed.",
}
_RETRY = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
_HEADERS: dict[int, dict[str, Any]] = {
    401: {"WWW-Authenticate": {"description": "RFC 6750 §3.", "schema": {"type": "string"}}},
    429: _RETRY,
    503: _RETRY,
}
_PARAMETERS = {  # what ninja loses of the parameters' own words
    "domain_id": "Id of the domain.",
    "mailbox_id": "Id of the mailbox.",
    "limit": "Rows of one page.",
    "q": "Part of the address or of the display name.",
}
_IDEMPOTENCY = {
    "in": "header",
    "name": HEADER,
    "required": False,
    "schema": {"type": "string", "maxLength": LONGEST},
    "description": "Any text of your own, new for each act. A repetition with the same key within 24 hours gets the "
    "first answer again (`Idempotency-Replayed: true`) instead of acting twice.",
}


def finish(document: OpenAPISchema, operations: dict[str, Any]) -> dict[str, Any]:
    """Complete ninja's document. `operations`: operation id → ninja's operation."""
    # Through JSON: statuses become strings, and parts that ninja shares between operations are separate.
    plain: dict[str, Any] = json.loads(json.dumps(document))
    for path in plain["paths"].values():
        for described in path.values():
            _finish_operation(described, operations[described["operationId"]])
    return plain


def _finish_operation(described: dict[str, Any], operation: Any) -> None:
    name = described["operationId"]
    for auth in operation.auth_callbacks:
        if isinstance(auth, ApiKeyAuth):
            described["security"] = [{ApiKeyAuth.__name__: [auth.scope]}]
            described["description"] = f"{described.get('description', '').strip()}\n\nScope: `{auth.scope}`."
    for parameter in described["parameters"]:
        _flatten(parameter)
        if text := _PARAMETERS.get(parameter["name"]):
            parameter.setdefault("description", text)
    if getattr(operation.view_func, "takes_idempotency_key", False):
        described["parameters"].append(_IDEMPOTENCY)
        described["responses"].setdefault("409", _problem())
        described["responses"].setdefault("422", _problem())
    if name in examples.BODIES:
        described["requestBody"]["content"]["application/json"]["example"] = examples.BODIES[name]
    for text, answer in described["responses"].items():
        status = int(text)
        answer["description"] = _MEANINGS[status]
        if headers := _HEADERS.get(status):
            answer["headers"] = headers
        if status >= 400:
            answer["content"] = {MEDIA_TYPE: answer["content"].popitem()[1]}
            answer["content"][MEDIA_TYPE]["example"] = examples.problem(status, described["tags"][0])
        elif name in examples.ANSWERS:
            answer["content"]["application/json"]["example"] = examples.ANSWERS[name]
    described["responses"] = dict(sorted(described["responses"].items()))


def _flatten(parameter: dict[str, Any]) -> None:
    """An optional parameter comes as "this, or null" around the type it has: take the type, and its words outside."""
    schema = parameter["schema"]
    while len(options := [kind for kind in schema.get("anyOf", []) if kind != {"type": "null"}]) == 1:
        kept = {name: value for name, value in schema.items() if name != "anyOf"}
        schema = kept | options[0]
    parameter["schema"] = schema
    if text := schema.get("description"):
        parameter["description"] = text


def _problem() -> dict[str, Any]:
    return {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}}


def as_text(document: dict[str, Any]) -> str:
    """The form that is committed."""
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=False) + "\n"
