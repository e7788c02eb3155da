"""What every template may use."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from deftmail.kit.conf import conf

THEMES = ("light", "dark", "system")


def page(request: HttpRequest) -> dict[str, Any]:
    """The nonce (under Django 6's name, which django-htmx reads), the theme, the operator's names."""
    theme = request.COOKIES.get("dm_theme", "system")
    return {
        "csp_nonce": getattr(request, "csp_nonce", ""),
        "theme": theme if theme in THEMES else "system",
        "operator": {"name": "DeftMail", "domain": conf.operator_domain, "support": conf.support_email},
        "dev_pages": not conf.is_production,
    }
