"""`deftmail engine reconcile`: differences are found, repaired, and nobody's mail is erased by a comparison."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from io import StringIO
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from deftmail.domains.models import Domain
from deftmail.domains.tasks import sync_domain_job
from deftmail.domains.testing import make_domain
from deftmail.engine.errors import EngineUnavailable
from deftmail.engine.sync import request_sync
from deftmail.engine.testing import FakeEngine, dkim_key, domain_spec, mailbox_spec
from deftmail.kit.models import SyncState
from deftmail.kit.tenancy import tenant_tx
from deftmail.mailboxes.models import MailUser
from deftmail.mailboxes.tasks import sync_mailbox
from deftmail.mailboxes.testing import make_mailbox
from deftmail.tenants.selectors import system
from deftmail.tenants.testing import Cast, audit_of

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "system"])


@pytest.fixture
def mailbox(cast: Cast, fake_engine: FakeEngine) -> MailUser:
    """Acme's mailbox anna@acme.test, which the engine holds as it should be."""
    domain = make_domain(cast.acme, "acme.test", active=True)
    made = make_mailbox(domain, "anna", quota_mb=50)
    for rows in (Domain.objects.filter(pk=domain.pk), MailUser.objects.filter(pk=made.pk)):
        with tenant_tx(cast.acme.pk):
            request_sync(rows)
    sync_domain_job(tenant_id=str(cast.acme.pk), domain_id=str(domain.pk))
    sync_mailbox(tenant_id=str(cast.acme.pk), mailbox_id=str(made.pk))
    return made


def reconcile(*options: str) -> tuple[int, dict[str, Any]]:
    out, code = StringIO(), 0
    try:
        call_command("engine", "reconcile", "--json", *options, stdout=out)
    except SystemExit as stopped:
        code = int(str(stopped.code))
    return code, json.loads(out.getvalue())


def kinds(report: dict[str, Any]) -> list[tuple[str, str]]:
    return [(item["kind"], item["name"]) for item in report["drift"]]


def test_agreement_is_no_drift(mailbox: MailUser) -> None:
    code, report = reconcile()
    assert (code, report["drift"], report["domains"], report["mailboxes"]) == (0, [], 1, 1)


def test_what_is_missing_is_reported_and_repaired(mailbox: MailUser, fake_engine: FakeEngine) -> None:
    fake_engine.mailboxes.clear()
    fake_engine.domains.clear()
    code, report = reconcile()
    assert code == 1
    assert kinds(report) == [("domain-missing", "acme.test"), ("mailbox-missing", "anna@acme.test")]
    assert fake_engine.mailboxes == {}, "a report changes nothing"
    code, report = reconcile("--repair")
    assert code == 0
    assert [item["repaired"] for item in report["drift"]] == [True, True]
    assert fake_engine.mailboxes["anna@acme.test"].spec.id == mailbox.pk


def test_a_changed_quota_and_key_are_reported_and_repaired(mailbox: MailUser, fake_engine: FakeEngine) -> None:
    box, domain = fake_engine.mailboxes["anna@acme.test"], fake_engine.domains["acme.test"]
    box.spec = replace(box.spec, quota_mb=7)
    domain.spec = replace(domain.spec, dkim=dkim_key("default", 9))
    _code, report = reconcile("--repair")
    assert kinds(report) == [("key-differs", "acme.test"), ("quota-differs", "anna@acme.test")]
    quota = report["drift"][1]
    assert (quota["wanted"], quota["found"], quota["repaired"]) == ("50", "7", True)
    assert report["remaining"] == 0
    assert box.spec.quota_mb == 50
    assert "PRIVATE" not in json.dumps(report)


def test_a_missing_key_is_reported(mailbox: MailUser, fake_engine: FakeEngine) -> None:
    domain = fake_engine.domains["acme.test"]
    domain.spec = replace(domain.spec, dkim=None)
    assert kinds(reconcile()[1]) == [("key-missing", "acme.test")]


def test_a_mailbox_of_an_earlier_row_is_replaced_by_repair(mailbox: MailUser, fake_engine: FakeEngine) -> None:
    box = fake_engine.mailboxes["anna@acme.test"]
    box.spec = replace(box.spec, id=uuid4())
    box.folders["inbox"].append(b"of the person before")
    _code, report = reconcile("--repair")
    assert kinds(report) == [("mailbox-of-another-row", "anna@acme.test")]
    assert fake_engine.mailboxes["anna@acme.test"].used == 0


def test_extras_are_kept_until_they_are_named(mailbox: MailUser, cast: Cast, fake_engine: FakeEngine) -> None:
    fake_engine.apply_domain(domain_spec("gone.test"))
    fake_engine.apply_mailbox(mailbox_spec("left@gone.test"))
    fake_engine.apply_mailbox(mailbox_spec("left@acme.test"))
    code, report = reconcile("--repair")
    assert code == 1
    assert kinds(report) == [
        ("mailbox-extra", "left@acme.test"),
        ("domain-extra", "gone.test"),
        ("mailbox-extra", "left@gone.test"),
    ]
    assert {"left@acme.test", "left@gone.test"} < set(fake_engine.mailboxes), "repair erases nobody's mail"
    code, report = reconcile("--delete-extra", "left@acme.test", "--delete-extra", "left@gone.test")
    assert report["erased"] == ["left@acme.test", "left@gone.test"]
    assert set(fake_engine.mailboxes) == {"anna@acme.test"}
    code, report = reconcile("--delete-extra", "gone.test")
    assert (code, report["remaining"]) == (0, 0)
    erased = [row.target for row in system.operator_log(10) if row.action == "engine.extra_erased"]
    assert erased == ["gone.test", "left@gone.test", "left@acme.test"]
    (row,) = audit_of(cast.acme, "engine.extra_erased")
    assert row.actor.startswith("Operator's command (")
    assert row.details["address"] == "left@acme.test"


def test_a_wanted_mailbox_cannot_be_erased_as_an_extra(mailbox: MailUser, fake_engine: FakeEngine) -> None:
    for name in ("anna@acme.test", "acme.test"):
        with pytest.raises(CommandError, match="is wanted"):
            reconcile("--delete-extra", name)
    assert "anna@acme.test" in fake_engine.mailboxes


def test_what_is_not_there_cannot_be_erased(mailbox: MailUser) -> None:
    with pytest.raises(CommandError, match="is not in the engine"):
        reconcile("--delete-extra", "nobody@acme.test")


def test_a_change_under_way_is_no_drift_until_it_is_old(mailbox: MailUser, fake_engine: FakeEngine) -> None:
    with tenant_tx(mailbox.tenant_id):
        rows = MailUser.objects.filter(pk=mailbox.pk)
        rows.update(sync_state=SyncState.PENDING, quota_mb=60, updated_at=timezone.now())
    _code, report = reconcile()
    assert (report["drift"], report["under_way"]) == ([], 1)
    with tenant_tx(mailbox.tenant_id):
        rows.update(updated_at=timezone.now() - timedelta(hours=1))
    assert kinds(reconcile()[1]) == [("quota-differs", "anna@acme.test")], "its job was lost"


def test_a_domain_that_is_only_claimed_is_not_wanted(mailbox: MailUser, cast: Cast) -> None:
    make_domain(cast.other, "claimed.test")
    code, report = reconcile()
    assert (code, report["domains"]) == (0, 1)


def test_an_engine_that_is_away_is_not_an_empty_engine(mailbox: MailUser, fake_engine: FakeEngine) -> None:
    for operation in ("list_domains", "list_mailboxes"):
        fake_engine.fail(EngineUnavailable("nobody there"), operation=operation)
        with pytest.raises(CommandError, match="could not be asked") as raised:
            reconcile("--repair")
        assert raised.value.returncode == 2
        fake_engine.heal()
    assert "anna@acme.test" in fake_engine.mailboxes


def test_health_names_the_part_that_is_away(fake_engine: FakeEngine) -> None:
    out = StringIO()
    call_command("engine", "health", stdout=out)
    assert "memory: ok" in out.getvalue()
    fake_engine.fail(EngineUnavailable("nobody there"))
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("engine", "health", "--json", stdout=out)
    assert json.loads(out.getvalue())["parts"] == {"memory": "nobody there"}
