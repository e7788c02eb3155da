"""Is it alive, and what mail was caught here."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from deftmail.kit.conf import conf
from deftmail.kit.errors import NotFound
from deftmail.kit.middleware import limited
from deftmail.ops import outbox
from deftmail.ops.health import health


@limited("probe")
@require_safe
def healthz(request: HttpRequest) -> JsonResponse:
    """200 when every part answers, 503 with the part that does not; `?part=web` asks for this process alone."""
    if request.GET.get("part") == "web":
        return JsonResponse({"web": {"ok": True}})
    report = health.report()
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
