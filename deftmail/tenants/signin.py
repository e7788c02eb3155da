"""Sign-in: one page for owners, admins and mailbox people (django-allauth under our rules)."""

from __future__ import annotations

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.auth_backends import AuthenticationBackend


class PasswordBackend(AuthenticationBackend):
    """allauth's e-mail sign-in."""


class AccountAdapter(DefaultAccountAdapter):
    """Our answers to allauth's questions."""
