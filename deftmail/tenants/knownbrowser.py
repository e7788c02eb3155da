"""A browser in which an account was signed in before has a limit of wrong passwords of its own.

Otherwise anybody could keep a person out of his account by guessing at it ten times in a quarter of an hour. The gate
does the same for mail programs (gate.passwords.KNOWN). A cookie that was stolen gains ten guesses and no more.
"""

from __future__ import annotations

import secrets

from django.conf import settings
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.utils.crypto import salted_hmac

COOKIE = "dm_known"
LIVES = 180 * 24 * 3600  # seconds
_SALT = "deftmail.tenants.known-browser"


def counted_as(request: HttpRequest, email: str) -> str:
    """What wrong passwords of `email` are counted against: the account, or the account in this browser."""
    try:
        known, mark = signing.loads(request.COOKIES.get(COOKIE, ""), salt=_SALT, max_age=LIVES)
    except (signing.BadSignature, ValueError, TypeError):
        return email
    return f"{email} {mark}" if known == _name(email) else email


def _name(email: str) -> str:
    # Whoever uses the same computer must not read from the cookie who was here.
    return salted_hmac(_SALT, email, algorithm="sha256").hexdigest()[:32]


def remember(response: HttpResponse, email: str) -> None:
    """Mark this browser as known to `email`, in the form in which addresses are counted, with a new mark each time."""
    response.set_cookie(
        COOKIE,
        signing.dumps([_name(email), secrets.token_urlsafe(9)], salt=_SALT),
        max_age=LIVES,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
