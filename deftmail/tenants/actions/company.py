"""A company: made, named, put on a plan."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

from allauth.account.models import EmailAddress
from django.db import IntegrityError, transaction
from django.utils.timezone import now
from django.utils.translation import gettext as _

from deftmail.kit.errors import Invalid
from deftmail.kit.names import one_line
from deftmail.kit.tenancy import tenant_tx
from deftmail.tenants import audit
from deftmail.tenants.access import company_of, running_company
from deftmail.tenants.actor import Actor
from deftmail.tenants.errors import AddressTaken
from deftmail.tenants.models import Membership, Plan, Role, Tenant, User
from deftmail.tenants.policies import Action

TRIAL = timedelta(days=14)
TRIAL_SENDS_LIKE = "free"  # so that a trial is no gift to spammers
_CEILINGS = ("max_domains", "max_mailboxes", "max_users_per_domain", "mailbox_quota_mb")
_SENDING = (
    "recipients_per_mailbox_day",
    "recipients_per_domain_day",
    "recipients_per_mailbox_hour",
    "recipients_per_minute",
    "first_recipients_per_day",
)


def create_company(
    *,
    actor_label: str,
    company_name: str,
    owner_email: str,
    owner_name: str,
    stored_password: str,
    plan: Plan,
    trial: bool,
    terms_version: str = "",
    privacy_version: str = "",
    ip: str | None = None,
    request_id: str = "",
) -> tuple[Tenant, User]:
    """Make a company and its owner. The address is proven (link) or vouched for (operator), in canonical form.

    stored_password: Django's stored form. Raises AddressTaken.
    """
    tenant = Tenant(
        id=uuid4(), company_name=tidy_name(company_name), owner_email=owner_email, owner_name=owner_name, plan=plan
    )
    user = User(
        email=owner_email,
        name=owner_name,
        password=stored_password,
        terms_version=terms_version,
        privacy_version=privacy_version,
        terms_accepted_at=now() if terms_version else None,
    )
    try:
        with tenant_tx(tenant.pk):
            tenant.save(force_insert=True)
            user.save(force_insert=True)
            EmailAddress.objects.create(user=user, email=owner_email, verified=True, primary=True)
            Membership.objects.create(tenant=tenant, user=user, role=Role.OWNER)
            actor = Actor(tenant.pk, actor_label, Actor.system(tenant.pk).rights, Role.OWNER, user.pk, ip, request_id)
            audit.record(
                actor,
                "company.created",
                tenant,
                owner=owner_email,
                terms_version=terms_version,
                privacy_version=privacy_version,
            )
            apply_plan(actor=actor, plan=plan, trial=trial)
            tenant.refresh_from_db()
    except IntegrityError:
        raise AddressTaken from None
    return tenant, user


def tidy_name(name: str, *, field: str = "company_name") -> str:
    """The name as it is kept. Raises Invalid when nothing, or more than 255 characters, is left."""
    tidy = one_line(name)
    if not 0 < len(tidy) <= 255:
        raise Invalid(_("Enter a name of at most 255 characters."), field=field)
    return tidy


@transaction.atomic
def apply_plan(*, actor: Actor, plan: Plan, trial: bool = False) -> Tenant:
    """Copy the plan's ceilings to the company. A trial has the plan's room for 14 days but sends at Free's limits.

    What an operator granted beyond the plan (`api_access_granted`) stays. Raises Forbidden.
    """
    actor.require(Action.BILLING_MANAGE)
    with tenant_tx(actor.tenant_id):
        company = company_of(actor, for_update=True)
        columns = ("plan_id", *_CEILINGS, *_SENDING, "api_access", "trial_ends_at")
        before = {name: getattr(company, name) for name in columns}
        sending = Plan.objects.get(pk=TRIAL_SENDS_LIKE) if trial else plan
        company.plan = plan
        for name in _CEILINGS:
            setattr(company, name, getattr(plan, name))
        for name in _SENDING:
            setattr(company, name, getattr(sending, name))
        company.api_access = plan.api_access or company.api_access_granted
        company.trial_ends_at = now() + TRIAL if trial else None
        company.save(update_fields=["plan", *columns[1:], "updated_at"])
        audit.record(
            actor, "plan.applied", company, before=before, after={name: getattr(company, name) for name in columns}
        )
    return company


@transaction.atomic
def rename_company(*, actor: Actor, company_name: str) -> Tenant:
    """Change the company's name. Raises Invalid, Forbidden, CompanySuspended."""
    actor.require(Action.COMPANY_CHANGE)
    company = running_company(actor, for_update=True)
    name = tidy_name(company_name)
    if name != company.company_name:
        before = {"company_name": company.company_name}
        company.company_name = name
        company.save(update_fields=["company_name", "updated_at"])
        audit.record(actor, "company.renamed", company, before=before, after={"company_name": name})
    return company
