"""Nobody acts on the mailbox of someone stronger, whichever way he tries."""

from __future__ import annotations

from typing import Any

import pytest
from django.urls import reverse

from deftmail.domains.actions import delete_domain
from deftmail.domains.errors import DomainHoldsAddresses
from deftmail.domains.models import Domain
from deftmail.domains.testing import make_domain
from deftmail.kit.errors import Forbidden
from deftmail.kit.testing import waiting_jobs
from deftmail.mailboxes.actions import change_mailbox, retry_sync
from deftmail.mailboxes.actions.common import tidy_name
from deftmail.mailboxes.models import MailUser
from deftmail.mailboxes.tasks import sync_mailbox
from deftmail.mailboxes.testing import make_mailbox, make_mailbox_person, reload
from deftmail.tenants.actor import Actor
from deftmail.tenants.testing import Cast, audit_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def domain(cast: Cast) -> Domain:
    return make_domain(cast.acme, "acme.test", active=True)


@pytest.fixture
def owners(cast: Cast, domain: Domain) -> MailUser:
    return make_mailbox(domain, "olive", person=cast.owner.user, quota_mb=2048)


@pytest.mark.parametrize("changes", [{"display_name": "Mallory"}, {"quota_mb": 1}])
def test_name_and_size_of_an_owners_mailbox_are_not_an_admins_nor_a_keys(
    cast: Cast, owners: MailUser, changes: dict[str, Any]
) -> None:
    key = Actor.key(cast.acme.pk, "provisioning", ["mailboxes:write"], ip=None)
    for actor in (cast.admin.actor, key):
        with pytest.raises(Forbidden):
            change_mailbox(actor=actor, mailbox_id=owners.pk, **changes)
    assert reload(owners).display_name == owners.display_name
    changed = change_mailbox(actor=cast.owner.actor, mailbox_id=owners.pk, **changes)
    assert {name: getattr(changed, name) for name in changes} == changes


def test_the_page_of_an_owners_mailbox_offers_an_admin_nothing_that_would_be_refused(
    cast: Cast, owners: MailUser
) -> None:
    page = cast.admin.client.get(reverse("mailboxes:detail", args=[owners.pk])).content.decode()
    for name in ("change", "password", "disable", "delete"):
        assert reverse(f"mailboxes:{name}", args=[owners.pk]) not in page
    answer = cast.admin.client.post(
        reverse("mailboxes:change", args=[owners.pk]), {"change-display_name": "Mallory", "change-quota_mb": "1"}
    )
    assert answer.status_code == 403


def test_a_key_for_domains_neither_reads_nor_destroys_mailboxes(cast: Cast, domain: Domain) -> None:
    _person, box = make_mailbox_person(cast.acme, domain, "secret-project")
    key = Actor.key(cast.acme.pk, "dns tool", ["domains:write"], ip=None)
    with pytest.raises(DomainHoldsAddresses) as refused:
        delete_domain(actor=key, domain_id=domain.pk, confirm=domain.domain)
    assert "secret-project" not in repr(refused.value.data)
    with pytest.raises(Forbidden):
        delete_domain(actor=key, domain_id=domain.pk, confirm=domain.domain, addresses=[box.email])
    assert reload(box).email == box.email


@pytest.mark.parametrize(
    "typed", ["An\x1b[31mna", "Anna\r\nBcc: x@y.example", "Anna \u202egnp.exe", "\x00Anna\x85\u2028B"]
)
def test_a_name_holds_nothing_that_no_header_may_hold_or_that_turns_it_round(
    cast: Cast, domain: Domain, typed: str
) -> None:
    box = make_mailbox(domain, "alice")
    name = change_mailbox(actor=cast.owner.actor, mailbox_id=box.pk, display_name=typed).display_name
    assert name.isprintable()
    assert name.startswith("An")
    assert tidy_name("👩\u200d👩\u200d👧 Ana\u0301") == "👩\u200d👩\u200d👧 Ana\u0301"


def test_a_retry_is_written_down_and_starts_one_job(cast: Cast, domain: Domain) -> None:
    box = make_mailbox(domain, "alice")
    retry_sync(actor=cast.admin.actor, mailbox_id=box.pk)
    assert [row.user_id for row in audit_of(cast.acme, "mailbox.sync_retried")] == [cast.admin.user.pk]
    assert len(waiting_jobs(sync_mailbox)) == 1
