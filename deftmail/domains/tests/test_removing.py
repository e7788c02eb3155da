"""Giving a name up: by typing, with every mailbox named, and out of the engine for the right row only."""

from __future__ import annotations

from uuid import UUID

import pytest

from deftmail.domains import errors, hooks, tasks
from deftmail.domains.actions import addresses_in, delete_domain
from deftmail.domains.models import Domain
from deftmail.domains.testing import make_domain
from deftmail.engine.testing import domain_spec
from deftmail.kit.errors import Conflict, Forbidden, NotFound
from deftmail.kit.tenancy import tenant_tx
from deftmail.kit.testing import run_jobs, waiting_jobs
from deftmail.tenants.errors import CompanySuspended
from deftmail.tenants.testing import audit_of, set_columns

pytestmark = pytest.mark.django_db


def exists(domain: Domain) -> bool:
    with tenant_tx(domain.tenant_id):
        return Domain.objects.filter(pk=domain.pk).exists()


@pytest.fixture
def held(monkeypatch):
    """Two mailboxes that some room above hangs on every domain; what its hook was called with."""
    calls = []
    monkeypatch.setattr(hooks, "domain_address_sources", [])
    monkeypatch.setattr(hooks, "domain_deletion_hooks", [])
    hooks.domain_address_sources.append(lambda domain: [f"b@{domain.domain}", f"a@{domain.domain}"])
    hooks.domain_deletion_hooks.append(lambda *arguments: calls.append(arguments))
    return calls


def test_a_deleted_domain_leaves_the_engine_and_frees_its_name(cast, fake_engine):
    domain = make_domain(cast.acme, "acme.test", active=True)
    fake_engine.apply_domain(domain_spec("acme.test", id=domain.pk))
    delete_domain(actor=cast.owner.actor, domain_id=domain.pk, confirm="acme.test")
    assert not exists(domain)
    run_jobs(tasks.remove_domain_job)
    assert fake_engine.domains == {}
    assert make_domain(cast.other, "acme.test", active=True).is_proven  # at once, for another company
    entry = audit_of(cast.acme, "domain.deleted")[0]
    assert (entry.target, entry.details["before"]["status"]) == ("acme.test", "active")


def test_a_late_removal_does_not_touch_the_next_owner_of_the_name(cast, fake_engine):
    domain = make_domain(cast.acme, "acme.test", active=True)
    delete_domain(actor=cast.owner.actor, domain_id=domain.pk, confirm="acme.test")
    other = UUID("00000000-0000-4000-8000-000000000001")
    fake_engine.apply_domain(domain_spec("acme.test", id=other))
    run_jobs(tasks.remove_domain_job)
    assert fake_engine.domains["acme.test"].spec.id == other


def test_a_claim_the_engine_never_saw_asks_nothing_of_it(cast):
    domain = make_domain(cast.acme, "acme.test")
    delete_domain(actor=cast.owner.actor, domain_id=domain.pk, confirm=" ACME.test. ")
    assert waiting_jobs(tasks.remove_domain_job) == []


def test_either_spelling_of_the_name_confirms(cast):
    for typed in ("büro.example", "xn--bro-hoa.example"):
        domain = make_domain(cast.acme, "xn--bro-hoa.example", domain_unicode="büro.example")
        delete_domain(actor=cast.owner.actor, domain_id=domain.pk, confirm=typed)
        assert not exists(domain)


@pytest.mark.parametrize("typed", ["", "acme", "acme.tes", "other.test", "delete"])
def test_anything_else_typed_changes_nothing(cast, typed):
    domain = make_domain(cast.acme, "acme.test")
    with pytest.raises(errors.ConfirmationMismatch):
        delete_domain(actor=cast.owner.actor, domain_id=domain.pk, confirm=typed)
    assert exists(domain)


def test_mailboxes_that_are_not_named_refuse_the_deletion(cast, held, monkeypatch):
    domain = make_domain(cast.acme, "acme.test", active=True)
    monkeypatch.setattr("deftmail.domains.actions.removing.domain_address_sources", hooks.domain_address_sources)
    monkeypatch.setattr("deftmail.domains.actions.removing.domain_deletion_hooks", hooks.domain_deletion_hooks)
    with pytest.raises(errors.DomainHoldsAddresses) as refused:
        delete_domain(actor=cast.owner.actor, domain_id=domain.pk, confirm="acme.test", addresses=["a@acme.test"])
    assert refused.value.data["addresses"] == ["b@acme.test"]
    assert held == []
    assert exists(domain)

    named = ["A@acme.test", "b@acme.test"]
    delete_domain(actor=cast.owner.actor, domain_id=domain.pk, confirm="acme.test", addresses=named)
    (call,) = held
    assert call[2] == frozenset({"a@acme.test", "b@acme.test"})
    assert not exists(domain)


def test_what_a_hook_refuses_undoes_everything(cast, held, monkeypatch):
    domain = make_domain(cast.acme, "acme.test", active=True)

    def refuse(*_arguments):
        raise Conflict("not now")

    monkeypatch.setattr("deftmail.domains.actions.removing.domain_address_sources", [])
    monkeypatch.setattr("deftmail.domains.actions.removing.domain_deletion_hooks", [refuse])
    with pytest.raises(Conflict):
        delete_domain(actor=cast.owner.actor, domain_id=domain.pk, confirm="acme.test")
    assert exists(domain)
    assert waiting_jobs(tasks.remove_domain_job) == []


def test_addresses_are_listed_by_name(cast, held, monkeypatch):
    monkeypatch.setattr("deftmail.domains.actions.removing.domain_address_sources", hooks.domain_address_sources)
    assert addresses_in(make_domain(cast.acme, "acme.test")) == ["a@acme.test", "b@acme.test"]


def test_strangers_and_mailbox_people_delete_nothing(cast):
    domain = make_domain(cast.acme, "acme.test")
    with pytest.raises(NotFound):
        delete_domain(actor=cast.stranger.actor, domain_id=domain.pk, confirm="acme.test")
    with pytest.raises(Forbidden):
        delete_domain(actor=cast.user.actor, domain_id=domain.pk, confirm="acme.test")
    assert exists(domain)


def test_a_suspended_company_deletes_nothing(cast):
    domain = make_domain(cast.acme, "acme.test")
    set_columns(cast.acme, status="suspended")
    with pytest.raises(CompanySuspended):
        delete_domain(actor=cast.owner.actor, domain_id=domain.pk, confirm="acme.test")
    assert exists(domain)
