"""What one person of a company may do to another."""

from __future__ import annotations

from uuid import UUID

from django.db import transaction
from django.utils.translation import gettext as _

from deftmail.kit.errors import Conflict, Forbidden, Invalid
from deftmail.tenants import audit
from deftmail.tenants.access import member_for, role_of, running_company
from deftmail.tenants.actions.passwords import end_sessions
from deftmail.tenants.actor import Actor
from deftmail.tenants.models import Membership, Role
from deftmail.tenants.policies import Action


@transaction.atomic
def change_role(*, actor: Actor, member_id: UUID | str, role: str) -> Membership:
    """Give a person another role, none stronger than the actor's own.

    Raises NotFound, Forbidden (somebody stronger, or a role beyond one's own), Conflict (oneself), Invalid.
    """
    actor.require(Action.PEOPLE_MANAGE)
    # One change at a time, by rights of this moment: two owners who demote each other must leave one owner.
    running_company(actor, for_update=True)
    if actor.user_id is not None and role_of(actor) != actor.role:
        raise Forbidden
    member = member_for(actor, member_id, for_update=True)
    if role not in Role.values:
        raise Invalid(_("Choose a role."), field="role")
    actor.require_not_stronger(member.role)
    actor.require_not_stronger(role)
    if member.user_id == actor.user_id:
        # Otherwise the last owner could lock the company out; so there is always one left.
        raise Conflict(_("You cannot change your own role. Ask another owner."))
    if role != member.role:
        before = {"role": member.role}
        member.role = role
        member.save(update_fields=["role"])
        audit.record(actor, "person.role_changed", member.user, before=before, after={"role": role})
    return member


def sign_out_member(*, actor: Actor, member_id: UUID | str) -> Membership:
    """Sign a person out of every browser. Raises NotFound, Forbidden."""
    member = member_for(actor, member_id)
    end_sessions(actor=actor, user=member.user)
    return member
