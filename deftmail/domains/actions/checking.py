"""Looking at a domain's records and drawing the conclusions."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.timezone import now

from deftmail.domains import looking, notices, policies, records, tasks
from deftmail.domains.access import domain_for
from deftmail.domains.actions import syncing
from deftmail.domains.models import Domain
from deftmail.domains.selectors import system
from deftmail.kit.jobs import enqueue
from deftmail.kit.tenancy import tenant_tx
from deftmail.mailproto.dnsanswer import Resolver
from deftmail.mailproto.dnschecks import Checks
from deftmail.tenants import audit
from deftmail.tenants.access import company_of, running_company
from deftmail.tenants.actor import Actor
from deftmail.tenants.models import Tenant
from deftmail.tenants.policies import Action

POKE_EVERY = timedelta(seconds=60)
"""A waiting message starts a look at most this often for one claim."""


def check_domain(
    *, actor: Actor, domain_id: UUID | str, asked: bool = True, resolver: Resolver | None = None
) -> Domain:
    """Look at the four records now and record what follows; returns the domain as it then is.

    `asked` is False for the looks of the schedule (see `policies.judge`). Call outside a transaction: a look takes up
    to `looking.BUDGET` seconds. Raises CompanySuspended (when asked), NotFound, Forbidden.
    """
    with tenant_tx(actor.tenant_id):
        domain = domain_for(actor, domain_id, need=Action.DOMAIN_MANAGE)
        if asked:
            running_company(actor)
        elif _stands_still(actor, domain):
            return domain
        expected = records.expected_of(domain)
    checks = looking.look(expected, resolver)
    with tenant_tx(actor.tenant_id):
        domain = domain_for(actor, domain_id, need=Action.DOMAIN_MANAGE, for_update=True)
        # Another key meanwhile: this look was at the old one.
        if records.expected_of(domain) == expected and not _stands_still(actor, domain):
            _record(actor, domain, checks, now(), asked=asked)
    return domain


def _stands_still(actor: Actor, domain: Domain) -> bool:
    """A company that was stopped takes no name and opens none. What is active is watched on: it still receives."""
    return domain.status != Domain.Status.ACTIVE and company_of(actor).status != Tenant.Status.ACTIVE


def _record(actor: Actor, domain: Domain, checks: Checks, moment: datetime, *, asked: bool) -> None:
    standing = policies.Standing(
        status=domain.status,
        proven=domain.is_proven,
        degraded=domain.is_degraded,
        failing_looks=domain.failing_looks,
        check_from=domain.check_from,
    )
    look = policies.Look({check.purpose: check.state for check in checks})
    verdict = policies.judge(standing, look, moment, asked=asked)
    columns = records.as_columns(checks, domain)
    for name, value in columns.items():
        setattr(domain, name, value)
    domain.check_count += 1
    domain.last_verified_at = moment
    domain.check_from = verdict.check_from
    domain.next_check_at = verdict.next_check_at
    domain.failing_looks = verdict.failing_looks
    was_held, domain.held_elsewhere_at = domain.held_elsewhere_at is not None, None
    fields = [
        *columns,
        "check_count",
        "last_verified_at",
        "check_from",
        "next_check_at",
        "failing_looks",
        "held_elsewhere_at",
        "updated_at",
    ]
    domain.save(update_fields=fields)
    if verdict.prove and not _prove(actor, domain, moment, known=was_held):
        _change_status(actor, domain, Domain.Status.PENDING)
        return
    _change_status(actor, domain, verdict.status)
    _change_degraded(actor, domain, verdict.degraded, moment)
    activate_if_ready(actor, domain)  # where its company was stopped when the engine was ready


def _prove(actor: Actor, domain: Domain, moment: datetime, *, known: bool) -> bool:
    """Take the name, or record that another company holds it: the partial unique index decides, also between two at
    once. `known`: the last look found the same, so the log has it."""
    try:
        with transaction.atomic():
            domain.ownership_proven_at = moment
            domain.save(update_fields=["ownership_proven_at", "updated_at"])
    except IntegrityError:
        domain.ownership_proven_at = None
        domain.held_elsewhere_at = moment
        domain.save(update_fields=["held_elsewhere_at", "updated_at"])
        if not known:
            audit.record(actor, "domain.claim_refused", domain)
        return False
    audit.record(actor, "domain.ownership_proven", domain, selector=domain.dkim_selector)
    syncing.request_sync(domain)
    return True


def _change_status(actor: Actor, domain: Domain, status: str) -> None:
    before = domain.status
    if status == before:
        return
    domain.status = status
    domain.save(update_fields=["status", "updated_at"])
    audit.record(actor, f"domain.{status}", domain, before={"status": before}, after={"status": status})
    if status == Domain.Status.FAILED:
        notices.tell_owner(domain, "failed")
    elif status == Domain.Status.VERIFIED:
        syncing.request_sync(domain)  # the engine opens the domain; when it has, `activate_if_ready` does here


def _change_degraded(actor: Actor, domain: Domain, degraded: bool, moment: datetime) -> None:
    if degraded == domain.is_degraded:
        return
    domain.degraded_since = moment if degraded else None
    domain.save(update_fields=["degraded_since", "updated_at"])
    broken = [check["purpose"] for check in domain.checks if check["state"] in ("fail", "missing")]
    audit.record(actor, "domain.degraded" if degraded else "domain.recovered", domain, records=broken)
    if degraded:
        notices.tell_owner(domain, "degraded")


def activate_if_ready(actor: Actor, domain: Domain) -> bool:
    """Open a verified domain of a running company once the engine is ready, and tell the owner. Call with the row
    locked."""
    if not policies.is_ready_to_activate(domain) or _stands_still(actor, domain):
        return False
    moment = now()
    domain.status = Domain.Status.ACTIVE
    domain.activated_at = domain.activated_at or moment
    domain.next_check_at = moment + policies.EVERY_LATER
    domain.save(update_fields=["status", "activated_at", "next_check_at", "updated_at"])
    audit.record(actor, "domain.activated", domain, before={"status": "verified"}, after={"status": "active"})
    notices.tell_owner(domain, "active")
    return True


def poke_checks(name: str) -> int:
    """Start a look for every claim of `name` that is not active: mail for it is waiting. How many were started.

    For the gate. Two bounds: a claim looked at within `POKE_EVERY` is left alone, and a look that already waits in the
    queue is not enqueued again.
    """
    started = 0
    for ref in system.claims_not_looked_at_since(name, now() - POKE_EVERY):
        started += enqueue(
            tasks.check_domain_job,
            queueing_lock=f"domain-check:{ref.domain_id}",
            tenant_id=str(ref.tenant_id),
            domain_id=str(ref.domain_id),
        )
    return started
