"""Factories and the cast of every test: people with a fixed meaning, signed in, under row-level security.

Acme has an owner, an admin and a user; the stranger owns Other. What belongs to Acme must look absent to the stranger.
Registered for the whole suite by `pytest_plugins` in conftest.py.
"""

from __future__ import annotations

import itertools
import re
import secrets
from dataclasses import dataclass, field
from typing import Any, NoReturn
from uuid import uuid4

import pytest
import redis
from allauth.account.models import EmailAddress
from django.test import Client
from django.urls import reverse

from deftmail.kit import ratelimit, testing
from deftmail.kit.conf import conf
from deftmail.kit.passwords import from_hash
from deftmail.kit.tenancy import tenant_tx
from deftmail.kit.testing import GOOD_PASSWORD, cheap_hash
from deftmail.tenants.actor import Actor
from deftmail.tenants.models import AuditLog, Membership, Plan, Role, Tenant, User

_number = itertools.count(1)
_good_hash = from_hash(cheap_hash(GOOD_PASSWORD))
CEILINGS = (
    "max_domains",
    "max_mailboxes",
    "max_users_per_domain",
    "mailbox_quota_mb",
    "recipients_per_mailbox_day",
    "recipients_per_domain_day",
    "recipients_per_mailbox_hour",
    "recipients_per_minute",
    "first_recipients_per_day",
    "api_access",
)


def make_client(**defaults: Any) -> Client:
    """A browser from a network of its own, so that limits per address never join two tests."""
    network = f"2001:db8:{secrets.randbelow(0xFFFF):x}:{secrets.randbelow(0xFFFF):x}::7"
    return Client(REMOTE_ADDR=network, **defaults)


@dataclass
class Person:
    """Somebody of a company and his browser. `password` is what he types."""

    user: User
    tenant: Tenant
    role: str
    password: str = GOOD_PASSWORD
    client: Client = field(default_factory=make_client)

    @property
    def email(self) -> str:
        return self.user.email

    @property
    def actor(self) -> Actor:
        """He as the doer of an action."""
        return Actor.person(self.tenant.pk, self.role, self.user.pk, self.user.email, ip="192.0.2.7")


@dataclass
class Cast:
    """owner, admin, user of `acme`; stranger: the owner of `other`."""

    owner: Person
    admin: Person
    user: Person
    stranger: Person

    @property
    def acme(self) -> Tenant:
        return self.owner.tenant

    @property
    def other(self) -> Tenant:
        return self.stranger.tenant


def make_user(email: str = "", *, name: str = "", verified: bool = True, **values: Any) -> User:
    """A person with `GOOD_PASSWORD` and a verified address, of no company yet."""
    email = email or f"person{next(_number)}@example.com"
    user: User = User.objects.create(
        email=email, name=name or email.split("@")[0].title(), password=_good_hash, **values
    )
    EmailAddress.objects.create(user=user, email=email, primary=True, verified=verified)
    return user


def make_member(
    tenant: Tenant, role: str = Role.USER, email: str = "", *, sign_in: bool = True, **values: Any
) -> Person:
    """A person of `tenant`, in his own browser, signed in."""
    user = make_user(email, **values)
    Membership.objects.create(tenant=tenant, user=user, role=role)
    person = Person(user, tenant, role)
    if sign_in:
        person.client.force_login(user)
    return person


def make_company(name: str = "", owner_email: str = "", *, plan: str = "business", **values: Any) -> Person:
    """A company on `plan` with that plan's ceilings (override any column by keyword). Returns its owner, signed in."""
    number = next(_number)
    owner_email = owner_email or f"owner{number}@company{number}.example"
    bought = Plan.objects.get(pk=plan)
    columns = {column: getattr(bought, column) for column in CEILINGS} | values
    tenant = Tenant(
        id=uuid4(),
        company_name=name or f"Company {number}",
        owner_email=owner_email,
        owner_name="Olive",
        plan=bought,
        **columns,
    )
    with tenant_tx(tenant.pk):
        tenant.save(force_insert=True)
    return make_member(tenant, Role.OWNER, owner_email)


def set_columns(tenant: Tenant, **values: Any) -> None:
    """Change columns of a company inside its own transaction."""
    for name, value in values.items():
        setattr(tenant, name, value)
    with tenant_tx(tenant.pk):
        tenant.save(update_fields=[*values, "updated_at"])


def audit_of(tenant: Tenant, action: str = "") -> list[AuditLog]:
    """The company's log, oldest first; only `action` when given."""
    with tenant_tx(tenant.pk):
        rows = AuditLog.objects.order_by("created_at", "id")
        return list(rows.filter(action=action) if action else rows)


@pytest.fixture
def cast(db: None) -> Cast:
    """Acme's owner, admin and user, and the stranger who owns Other; each `.client` is signed in."""
    owner = make_company("Acme", "olive@acme-signup.example")
    return Cast(
        owner=owner,
        admin=make_member(owner.tenant, Role.ADMIN, "adam@acme-signup.example"),
        user=make_member(owner.tenant, Role.USER, "ursula@acme-signup.example"),
        stranger=make_company("Other", "stan@other-signup.example"),
    )


def run_jobs(*tasks: Any) -> int:
    """Run the waiting jobs of these tasks here (all of this room when none is named), until none is left."""
    from deftmail.tenants import tasks as room

    every = (room.send_signup_mail, room.send_reset_mail, room.ask_admin, room.send_address_mail, room.tell_person)
    return testing.run_jobs(*(tasks or every))


def links_in(text: str) -> list[str]:
    """The paths of our own links in a mail."""
    return re.findall(re.escape(conf.base_url) + r"(/[^\s\"<]+)", text)


def sign_in(client: Client, email: str, password: str = GOOD_PASSWORD, **values: str) -> Any:
    """Type address and password on the sign-in page. Returns the answer."""
    return client.post(reverse("account_login"), {"login": email, "password": password, **values})


@pytest.fixture
def guest() -> Client:
    """A browser nobody is signed in with."""
    return make_client()


@pytest.fixture(autouse=True)
def _limits_of_this_test(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the stack every test starts with fresh limits in memory; tests marked `servers` use the real Redis."""
    if request.node.get_closest_marker("servers") is None:

        def away(**_kwargs: Any) -> NoReturn:
            raise redis.ConnectionError("tests without servers count in memory")

        monkeypatch.setattr(ratelimit, "_script", lambda: away)
        monkeypatch.setattr(ratelimit, "_local", ratelimit.LocalBuckets())
