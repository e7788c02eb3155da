"""Secrets that the control plane and a mail engine share, each made from DEFTMAIL_SECRET_KEY: nothing more to keep.

After that key was changed, `deftmail engine setup` puts the new ones into the engine.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from enum import StrEnum

from deftmail.kit.conf import conf


class Purpose(StrEnum):
    """What a shared secret is for."""

    HOOK = "hook"  # the engine shows it when it asks about a message
    EVENTS = "events"  # the engine signs its reports with it
    SERVICE = "service"  # password of the service account
    METRICS = "metrics"  # password of the engine's figures


def secret_for(purpose: Purpose) -> str:
    """256 bits as URL-safe text, the same in every process of the installation. Begins with letters: a mail server may
    take text that begins with `$`, `{` or `_` for a hash."""
    key = conf.secret_key.get_secret_value().encode()
    digest = hmac.digest(key, b"deftmail engine secret: " + purpose.encode(), hashlib.sha256)
    return "dm" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def fingerprint(secret: str) -> str:
    """16 hex digits that say whether two secrets are the same without showing either: engines give none back."""
    return hmac.digest(secret.encode(), b"deftmail fingerprint", hashlib.sha256).hex()[:16]
