"""Stalwart's questions and reports as it writes them (its MTA hook and its webhook), and our answers in its words.

Pure: bytes in, values out. Stalwart asks once for a whole message (`data`), the only stage at which a JMAP submission
gets the sentence of a refusal and no recipient has left yet, and for each recipient of mail from outside (`rcpt`).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.timezone import is_aware

from deftmail.engine.events import Event
from deftmail.sending.decisions import Door, Verdict

EVENTS_AT_MOST = 20_000
"""In one report; its size is bounded too."""


class Malformed(Exception):
    """Not what Stalwart sends."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about. Addresses as Stalwart wrote them.

    account: who is signed in, empty for mail from outside; envelope_from: empty for `<>`
    recipients: at `rcpt` those accepted so far and the one asked about, which is the last
    queue_id: of the message, decimal as in reports (the hook writes it in hex); only at `data`
    """

    stage: str
    account: str
    door: Door
    envelope_from: str
    recipients: tuple[str, ...]
    queue_id: str


def read_question(body: bytes) -> Question:
    """The question of a hook call. Raises Malformed."""
    whole = _object(body)
    context, envelope = _mapping(whole, "context"), _mapping(whole, "envelope")
    client, sasl = _mapping(context, "client"), _mapping(context, "sasl")
    queue = _mapping(context, "queue") or _mapping(whole, "queue")
    stage = _text(context, "stage")
    if not stage:
        raise Malformed("no stage")
    recipients = envelope.get("to", [])
    if not isinstance(recipients, list) or not all(isinstance(each, dict) for each in recipients):
        raise Malformed("envelope.to is no list of objects")
    account = _text(sasl, "login")
    # A JMAP submission runs in a session without a connection: no port on either side.
    by_jmap = client.get("port") == 0
    outward = Door.JMAP if by_jmap else Door.SUBMISSION
    return Question(
        stage=stage,
        account=account,
        door=outward if account else Door.MX,
        envelope_from=_text(_mapping(envelope, "from"), "address"),
        recipients=tuple(_text(each, "address") for each in recipients),
        queue_id=_decimal(_text(queue, "id")),
    )


def answer(verdict: Verdict) -> dict[str, Any]:
    """The verdict as Stalwart reads it. `status` and `message` both, or it makes up words of its own."""
    if verdict.allowed:
        return {"action": "accept"}
    status, enhanced, message = verdict.reply.split(" ", 2)
    response = {"status": int(status), "enhanced_status": enhanced, "message": message, "disconnect": False}
    return {"action": "reject", "response": response}


def is_signed(body: bytes, signature: str, secret: str) -> bool:
    """Whether `X-Signature` is base64 of HMAC-SHA256 over exactly these bytes."""
    try:
        given = base64.b64decode(signature, validate=True)
    except (ValueError, binascii.Error):
        return False
    return hmac.compare_digest(given, hmac.digest(secret.encode(), body, hashlib.sha256))


def read_events(body: bytes) -> list[Event]:
    """The reports of one webhook call, in their order. Raises Malformed when any of them is broken."""
    listed = _object(body).get("events")
    if not isinstance(listed, list) or len(listed) > EVENTS_AT_MOST:
        raise Malformed("events is no list of a sensible length")
    return [_event(each) for each in listed]


def _event(each: object) -> Event:
    if not isinstance(each, dict):
        raise Malformed("an event is no object")
    event_id, kind, data = each.get("id"), each.get("type"), each.get("data", {})
    happened_at = _moment(each.get("createdAt"))
    if isinstance(event_id, int) and not isinstance(event_id, bool):
        event_id = str(event_id)
    if not (isinstance(event_id, str) and isinstance(kind, str) and isinstance(data, dict)) or happened_at is None:
        raise Malformed("an event without id, type, createdAt or data")
    if not 0 < len(event_id) <= 100 or not 0 < len(kind) <= 100:
        raise Malformed("an event's id or type is too long or empty")
    known = str(data.get("queueId", ""))
    queue_id = known if known.isascii() and known.isdecimal() and len(known) <= 20 else ""
    return Event(_plain(event_id), _plain(kind), happened_at, queue_id, _storable(data))


def _moment(text: object) -> datetime | None:
    try:
        moment = parse_datetime(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment if moment is not None and is_aware(moment) else None


def _object(body: bytes) -> dict[str, Any]:
    try:
        whole = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise Malformed("no JSON") from error
    if not isinstance(whole, dict):
        raise Malformed("no JSON object")
    return whole


def _no_constant(name: str) -> None:
    """NaN and Infinity: Python reads them, RFC 8259 has none, and PostgreSQL keeps none."""
    raise ValueError(name)


def _mapping(holder: Mapping[str, Any], name: str) -> dict[str, Any]:
    inner = holder.get(name) or {}
    if not isinstance(inner, dict):
        raise Malformed(f"{name} is no object")
    return inner


def _text(holder: Mapping[str, Any], name: str) -> str:
    value = holder.get(name) or ""
    if not isinstance(value, str):
        raise Malformed(f"{name} is no text")
    return value


def _decimal(queue_id: str) -> str:
    try:
        return str(int(queue_id, 16)) if queue_id else ""
    except ValueError:
        return ""


def _plain(text: str) -> str:
    """PostgreSQL keeps no NUL and no half of a surrogate pair."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return _plain(value)
    if isinstance(value, dict):
        return {_plain(str(key)): _storable(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_storable(inner) for inner in value]
    return value
