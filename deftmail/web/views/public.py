"""What anybody may read: what the product is, the terms, the privacy policy."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from deftmail.kit.middleware import limited
from deftmail.web import legal


@require_safe
@limited("page")
def landing(request: HttpRequest) -> HttpResponse:
    """The public front page."""
    return render(request, "web/landing.html", {"plans": ()})


@require_safe
@limited("page")
def terms(request: HttpRequest) -> HttpResponse:
    """Terms of service."""
    return render(request, "web/terms.html", {"version": legal.TERMS_VERSION})


@require_safe
@limited("page")
def privacy(request: HttpRequest) -> HttpResponse:
    """Privacy policy."""
    return render(request, "web/privacy.html", {"version": legal.PRIVACY_VERSION})
