"""The mail server's own door in the web: no session and no form token, a secret on every request."""

from __future__ import annotations

import hmac
from collections.abc import Callable
from functools import wraps
from uuid import uuid4

import redis
import structlog
from django.http import HttpRequest, JsonResponse
from django.utils.timezone import now
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from deftmail.engine.events import KEPT_FOR, record_events
from deftmail.engine.shared import Purpose, secret_for
from deftmail.gate import stalwart
from deftmail.gate.passwords import canonical
from deftmail.gate.stalwart import Malformed, Question
from deftmail.kit import ratelimit
from deftmail.kit.bodylimit import limit_of
from deftmail.kit.database import DATABASE_AWAY, forget_connections
from deftmail.kit.middleware import limited
from deftmail.kit.net import client_ip
from deftmail.sending import counters, decisions, facts
from deftmail.sending.decisions import Door, Verdict

log = structlog.get_logger(__name__)
Answer = Callable[[HttpRequest], JsonResponse]


def _bounded(view: Callable[[HttpRequest, bytes], JsonResponse]) -> Answer:
    """Read the body, however long it is said to be, up to the bound of the path; a broken one is 400."""

    @wraps(view)
    def read(request: HttpRequest) -> JsonResponse:
        limit = limit_of(request.path)
        # Not request.body: that has the bound of a form.
        body = request.read(limit + 1)
        if len(body) > limit:
            return JsonResponse({"error": "too large"}, status=413)
        try:
            return view(request, body)
        except Malformed as error:
            log.warning("engine_request_malformed", path=request.path, error=str(error))
            return JsonResponse({"error": str(error)}, status=400)

    return read


def _unproven(request: HttpRequest) -> JsonResponse:
    """401, counted: after 30 in a quarter of an hour from one address nothing is compared any more."""
    address = ratelimit.address_key(client_ip(request))
    verdict = ratelimit.hit("engine_failures", "address:" + address)
    log.warning("engine_secret_wrong", path=request.path, address=address, blocked=not verdict.allowed)
    if verdict.allowed:
        return JsonResponse({"error": "wrong secret"}, status=401)
    answer = JsonResponse({"error": "too many wrong secrets"}, status=429)
    answer["Retry-After"] = str(verdict.retry_after)
    return answer


@csrf_exempt
@limited("engine")
@require_POST
def hook(request: HttpRequest) -> JsonResponse:
    """May this message leave, may this recipient receive? Asked by Stalwart (its MtaHook, bearer token)."""
    given = request.headers.get("Authorization", "")
    wanted = f"Bearer {secret_for(Purpose.HOOK)}"
    if not hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode()):
        return _unproven(request)  # before a byte of the message is read
    return _answer_hook(request)


@_bounded
def _answer_hook(_request: HttpRequest, body: bytes) -> JsonResponse:
    question = stalwart.read_question(body)
    try:
        verdict = _decide(question)
    except (*DATABASE_AWAY, redis.RedisError) as error:
        log.error("hook_unavailable", error=type(error).__name__)
        forget_connections(error)
        verdict = decisions.UNAVAILABLE
    if not verdict.allowed:
        log.info(
            "hook_refused",
            door=question.door,
            reason=verdict.reason,
            code=verdict.code,
            account=question.account[:320],
            stage=question.stage,
            queue_id=question.queue_id,
        )
    return JsonResponse(stalwart.answer(verdict))


def _decide(question: Question) -> Verdict:
    if question.account:
        account = canonical(question.account)
        envelope_from = canonical(question.envelope_from) if question.envelope_from else ""
        verdict = decisions.may_send(question.door, account, facts.sender(account), envelope_from)
        if not verdict.allowed or question.stage != "data":
            return verdict
        # Asked once for a whole message, and the last question before it is queued: charged here. Without the queue's
        # id nothing could be recognised as asked twice, so it is charged as a message of its own.
        queue_id = f"stalwart:{question.queue_id or uuid4().hex}"
        return counters.decide(account, [canonical(each) for each in question.recipients], queue_id)
    if question.stage != "rcpt" or question.door is not Door.MX or not question.recipients:
        return decisions.OK
    recipient = facts.recipient(canonical(question.recipients[-1]))
    verdict = decisions.may_receive(recipient)
    if verdict.reason == "domain-not-active":
        facts.poke_checks(recipient.domain)
    # Whose domains are served is Stalwart's own to say: the operator's are not ours.
    return decisions.OK if verdict.reason == "not-our-domain" else verdict


@csrf_exempt
@limited("engine")
@require_POST
def events(request: HttpRequest) -> JsonResponse:
    """What became of messages and sign-ins, reported by Stalwart (its WebHook, `X-Signature`)."""
    return _take_events(request)


@_bounded
def _take_events(request: HttpRequest, body: bytes) -> JsonResponse:
    if not stalwart.is_signed(body, request.headers.get("X-Signature", ""), secret_for(Purpose.EVENTS)):
        return _unproven(request)
    reported = stalwart.read_events(body)
    oldest = now() - KEPT_FOR
    fresh = [event for event in reported if event.happened_at > oldest]
    return JsonResponse({"taken": record_events(fresh), "reported": len(reported)})
