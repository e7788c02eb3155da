"""The pages that the `type` of a problem points to (RFC 9457 §3.1.1: it should resolve to something readable)."""

from __future__ import annotations

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from deftmail.api.glossary import entries
from deftmail.kit.middleware import limited


@limited("page")
@require_safe
def problem_list(request: HttpRequest) -> HttpResponse:
    """Every code."""
    return render(request, "api/problems.html", {"entries": entries().values()})


@limited("page")
@require_safe
def problem_page(request: HttpRequest, code: str) -> HttpResponse:
    """One code."""
    entry = entries().get(code)
    if entry is None:
        raise Http404
    return render(request, "api/problem.html", {"entry": entry})
