"""Django's own error pages, in our words and for every kind of caller."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

from deftmail.kit.errors import Forbidden, Invalid, NotFound
from deftmail.kit.middleware import refuse


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400: what arrived could not be read (too many fields, a forged host)."""
    return refuse(request, Invalid(_("The request could not be read. Go back and try again.")))


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403 from below our own guards."""
    return refuse(request, Forbidden())


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404: absent, or not yours."""
    return refuse(request, NotFound())


def server_error(request: HttpRequest) -> HttpResponse:
    """500: a bug. Needs no database and no session."""
    if request.path.startswith("/api/"):
        body = {"type": "/docs/problems/server-error", "title": "Server error", "status": 500}
        return JsonResponse(body, status=500, content_type="application/problem+json")
    return render(request, "errors/500.html", status=500)
