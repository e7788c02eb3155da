"""Is it alive, and what mail was caught here."""

from __future__ import annotations

import time
from collections.abc import Callable

from django.core.cache import cache
from django.db import connections
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from deftmail.engine.errors import EngineUnavailable
from deftmail.engine.registry import engine
from deftmail.kit import ratelimit
from deftmail.kit.conf import conf
from deftmail.kit.errors import NotFound
from deftmail.kit.middleware import limited
from deftmail.ops import outbox


def _database() -> None:
    with connections["default"].cursor() as cursor:
        cursor.execute("select 1")


def _redis() -> None:
    ratelimit.client().ping()


def _cache() -> None:
    cache.get("health")


def _engine() -> None:
    health = engine().health()
    if not health.ok:  # it reports what is away, it does not raise
        raise EngineUnavailable(", ".join(part for part, trouble in health.parts.items() if trouble))


PARTS: dict[str, Callable[[], None]] = {"database": _database, "redis": _redis, "cache": _cache, "engine": _engine}


@limited("probe")
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """200 when every part answers, 503 with the part that does not; `?part=web` asks for this process alone."""
    if request.GET.get("part") == "web":
        return JsonResponse({"web": {"ok": True}})
    report: dict[str, dict[str, object]] = {}
    for name, probe in PARTS.items():
        started = time.monotonic()
        try:
            probe()
            report[name] = {"ok": True, "ms": round((time.monotonic() - started) * 1000, 1)}
        except Exception as error:  # whatever it is, the probe's answer is that this part is down
            report[name] = {"ok": False, "error": type(error).__name__}
    return JsonResponse(report, status=200 if all(part["ok"] for part in report.values()) else 503)


@limited("page")
@require_safe
def outbox_list(request: HttpRequest) -> HttpResponse:
    """Caught mail, newest first. Local and test mode only."""
    if conf.is_production:
        raise NotFound
    return render(request, "ops/outbox.html", {"messages_caught": outbox.latest()})


@limited("page")
@require_safe
def outbox_message(request: HttpRequest, name: str) -> HttpResponse:
    """One caught message as text, its links live: verification mails are read here."""
    message = None if conf.is_production else outbox.read(name)
    if message is None:
        raise NotFound
    return render(request, "ops/outbox_message.html", {"message": message})
