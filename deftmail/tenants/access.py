"""The doors to a company and its people and keys: inside the company, and absent is the same as somebody else's."""

from __future__ import annotations

from uuid import UUID

from deftmail.kit.errors import NotFound
from deftmail.tenants.actor import Actor
from deftmail.tenants.errors import CompanySuspended
from deftmail.tenants.models import ApiKey, Membership, Tenant, User
from deftmail.tenants.policies import Action


def company_of(actor: Actor, *, for_update: bool = False) -> Tenant:
    """The actor's company. `for_update` takes the row's lock, which serialises whatever counts against a ceiling."""
    rows = Tenant.objects.select_for_update(no_key=True) if for_update else Tenant.objects.all()
    company = rows.filter(pk=actor.tenant_id).first()
    if company is None:
        raise NotFound
    return company


def running_company(actor: Actor, *, for_update: bool = False) -> Tenant:
    """The actor's company where it may change things. Raises CompanySuspended."""
    company = company_of(actor, for_update=for_update)
    if company.status != Tenant.Status.ACTIVE:
        raise CompanySuspended
    return company


def member_for(actor: Actor, member_id: UUID | str, *, for_update: bool = False) -> Membership:
    """A person of the actor's company by the membership's id. Raises NotFound, Forbidden."""
    actor.require(Action.PEOPLE_VIEW)
    rows = Membership.objects.filter(tenant_id=actor.tenant_id, pk=member_id).select_related("user")
    member = (rows.select_for_update(of=("self",)) if for_update else rows).first()
    if member is None:
        raise NotFound
    return member


def member_of(user: User) -> Membership | None:
    """The membership of a person; None for staff of the installation."""
    return Membership.objects.filter(user=user).first()


def role_of(actor: Actor) -> str:
    """The role the actor has now, which may be another than when his request began; "" for a key, a job, a stranger."""
    own = Membership.objects.filter(tenant_id=actor.tenant_id, user_id=actor.user_id) if actor.user_id else None
    return (own.values_list("role", flat=True).first() or "") if own is not None else ""


def apikey_for(actor: Actor, key_id: UUID | str, *, for_update: bool = False) -> ApiKey:
    """A key of the actor's company. Raises NotFound, Forbidden."""
    actor.require(Action.APIKEY_MANAGE)
    rows = ApiKey.objects.filter(tenant_id=actor.tenant_id, pk=key_id)
    key = (rows.select_for_update() if for_update else rows).first()
    if key is None:
        raise NotFound
    return key


def actor_for(user: User, *, ip: str | None = None, request_id: str = "") -> Actor | None:
    """The person as an actor; None without a company."""
    member = member_of(user)
    if member is None:
        return None
    return Actor.person(member.tenant_id, member.role, user.pk, user.email, ip=ip, request_id=request_id)
