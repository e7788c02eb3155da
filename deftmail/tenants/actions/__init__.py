"""Writes of this room: each checks the actor's rights, and writes its audit row and its jobs in one transaction."""

from deftmail.tenants.actions.account import (
    change_profile,
    confirm_address,
    follow_browser,
    forget_pending,
    request_email,
    request_recovery,
)
from deftmail.tenants.actions.apikeys import create_api_key, grant_api_access, revoke_api_key
from deftmail.tenants.actions.company import apply_plan, create_company, rename_company
from deftmail.tenants.actions.passwords import end_sessions, reset_own_password, set_password
from deftmail.tenants.actions.people import change_role, sign_out_member
from deftmail.tenants.actions.signup import begin_signup, complete_signup, send_signup_again

__all__ = [
    "apply_plan",
    "begin_signup",
    "change_profile",
    "change_role",
    "complete_signup",
    "confirm_address",
    "create_api_key",
    "create_company",
    "end_sessions",
    "follow_browser",
    "forget_pending",
    "grant_api_access",
    "rename_company",
    "request_email",
    "request_recovery",
    "reset_own_password",
    "revoke_api_key",
    "send_signup_again",
    "set_password",
    "sign_out_member",
]
