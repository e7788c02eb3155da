"""Answers that belong to no room."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _

from deftmail.kit.errors import Forbidden
from deftmail.kit.middleware import refuse


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form that outlived its page: say so, with the way on (go back, reload, send again).

    A script hears what it hears when nobody is signed in: signing in again in another tab mends either, and what is
    typed stays.
    """
    if getattr(request, "htmx", False):
        return HttpResponse(status=401)
    return refuse(request, Forbidden(_("This form is out of date. Go back, reload the page and send it again.")))
