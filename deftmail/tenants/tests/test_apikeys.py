"""API keys: shown once, bounded by rights and plan, checked at every call."""

from datetime import timedelta

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.timezone import now

from deftmail.kit.errors import Conflict, Forbidden, Invalid
from deftmail.kit.tenancy import tenant_tx
from deftmail.tenants import actions, selectors
from deftmail.tenants.actions import apikeys
from deftmail.tenants.actor import Actor
from deftmail.tenants.errors import CompanyCancelled, CompanySuspended, NoApiAccess
from deftmail.tenants.models import ApiKey, Plan, Scope, Tenant
from deftmail.tenants.policies import SCOPES
from deftmail.tenants.testing import audit_of, make_client, set_columns, sign_in

pytestmark = pytest.mark.django_db


def make_key(person, **values):
    with tenant_tx(person.tenant.pk):
        return actions.create_api_key(**{"actor": person.actor, "name": "CRM", "scopes": ["domains:read"], **values})


def test_a_key_is_made_on_the_page_and_shown_once(cast):
    client = make_client()
    sign_in(client, cast.owner.email)
    form = {"name": "CRM", "scopes": ["domains:read", "mailboxes:write"], "expires": "90"}
    answer = client.post(reverse("tenants:apikeys"), form)
    assert answer.status_code == 201
    assert "no-store" in answer["Cache-Control"]
    raw = answer.context["raw"]
    assert raw in answer.content.decode()
    key = ApiKey.objects.get()
    assert key.scopes == ["domains:read", "mailboxes:write"]
    assert key.expires_at is not None
    assert timedelta(days=89) < key.expires_at - now() < timedelta(days=91)
    page = client.get(reverse("tenants:apikeys")).content.decode()
    assert key.prefix in page
    assert raw not in page
    assert raw not in str([row.details for row in audit_of(cast.acme)])
    assert selectors.api_key(raw) == key
    (row,) = audit_of(cast.acme, "api_key.created")
    assert row.actor == cast.owner.email


def test_making_one_asks_for_the_password_again(cast):
    form = {"name": "CRM", "scopes": ["domains:read"], "expires": "never"}
    answer = cast.owner.client.post(reverse("tenants:apikeys"), form)
    assert answer["Location"].startswith(reverse("account_reauthenticate"))
    assert not ApiKey.objects.exists()


@pytest.mark.parametrize(
    "form", [{"name": "", "scopes": ["domains:read"]}, {"name": "CRM"}, {"name": "CRM", "scopes": ["root"]}]
)
def test_a_bad_form_is_refused(cast, form):
    client = make_client()
    sign_in(client, cast.owner.email)
    assert client.post(reverse("tenants:apikeys"), {"expires": "never", **form}).status_code == 422
    assert not ApiKey.objects.exists()


def test_without_the_entitlement_the_page_says_which_plan_has_it(cast):
    set_columns(cast.acme, api_access=False)
    page = cast.owner.client.get(reverse("tenants:apikeys"))
    assert page.status_code == 200
    text = page.content.decode()
    for plan in Plan.objects.filter(api_access=True):
        assert plan.name in text
    assert "Make key" not in text
    assert cast.owner.client.post(reverse("tenants:apikeys"), {"name": "CRM"}).status_code == 403
    with pytest.raises(NoApiAccess):
        make_key(cast.owner)


def test_the_key_has_192_bits_and_only_its_hash_is_kept(cast):
    key, raw = make_key(cast.owner)
    assert raw.startswith("dm_live_")
    assert len(raw) == len("dm_live_") + 32
    assert raw not in (key.key_hash, key.prefix)
    assert key.key_hash == apikeys.hash_of(raw)


def test_a_key_gets_no_right_its_maker_lacks(cast):
    weak = Actor.key(cast.acme.pk, "k", ["domains:read"], ip=None)
    object.__setattr__(weak, "rights", weak.rights | {"apikey.manage"})
    with tenant_tx(cast.acme.pk), pytest.raises(Forbidden):
        actions.create_api_key(actor=weak, name="CRM", scopes=["domains:write"])
    with pytest.raises(Forbidden):
        make_key(cast.user)


@pytest.mark.parametrize("values", [{"name": " "}, {"name": "x" * 101}, {"scopes": []}, {"scopes": ["root"]}])
def test_the_action_refuses_what_the_form_does(cast, values):
    with pytest.raises(Invalid):
        make_key(cast.owner, **values)


def test_there_is_a_bound_to_keys(cast, monkeypatch):
    monkeypatch.setattr(apikeys, "MAX_KEYS", 2)
    first, _raw = make_key(cast.owner)
    make_key(cast.owner)
    with pytest.raises(Conflict):
        make_key(cast.owner)
    with tenant_tx(cast.acme.pk):
        actions.revoke_api_key(actor=cast.owner.actor, key_id=first.pk)
    make_key(cast.owner)


def test_unknown_revoked_and_expired_keys_are_no_keys(cast):
    assert selectors.api_key("dm_live_nothing") is None
    assert selectors.api_key("") is None
    key, raw = make_key(cast.owner, expires_at=now() + timedelta(days=1))
    assert selectors.api_key(raw) == key
    with time_machine.travel(now() + timedelta(days=1, minutes=1)):
        assert selectors.api_key(raw) is None
    with tenant_tx(cast.acme.pk):
        actions.revoke_api_key(actor=cast.admin.actor, key_id=key.pk)
        actions.revoke_api_key(actor=cast.admin.actor, key_id=key.pk)
    assert selectors.api_key(raw) is None
    assert len(audit_of(cast.acme, "api_key.revoked")) == 1


def test_the_entitlement_and_the_company_are_asked_at_every_call(cast):
    key, raw = make_key(cast.owner)
    set_columns(cast.acme, api_access=False)
    with pytest.raises(NoApiAccess):
        selectors.api_key(raw)
    set_columns(cast.acme, api_access=True, status=Tenant.Status.SUSPENDED)
    assert selectors.api_key(raw) == key, "a suspended company still reads"
    with pytest.raises(CompanySuspended):
        make_key(cast.owner)
    set_columns(cast.acme, status=Tenant.Status.CANCELLED)
    with pytest.raises(CompanyCancelled):
        selectors.api_key(raw)


def test_the_last_use_is_noted_once_a_minute(cast):
    key, raw = make_key(cast.owner)
    start = now()

    def used():
        return ApiKey.objects.get(pk=key.pk).last_used_at

    with time_machine.travel(start, tick=False):
        selectors.api_key(raw)
        first = used()
    with time_machine.travel(start + timedelta(seconds=50), tick=False), CaptureQueriesContext(connection) as found:
        selectors.api_key(raw)
    assert used() == first
    assert not any(query["sql"].startswith("UPDATE") for query in found)
    assert len(found) <= 6, "two reads and the company's transaction"
    with time_machine.travel(start + timedelta(seconds=61), tick=False):
        selectors.api_key(raw)
    assert used() > first


def test_a_plan_change_keeps_what_the_operator_granted(cast):
    starter = Plan.objects.get(pk="starter")
    system = Actor.system(cast.acme.pk)
    assert not actions.apply_plan(actor=system, plan=starter).api_access
    actions.grant_api_access(actor=system)
    assert actions.apply_plan(actor=system, plan=starter).api_access
    assert not actions.grant_api_access(actor=system, granted=False).api_access
    assert actions.apply_plan(actor=system, plan=Plan.objects.get(pk="business")).api_access
    rows = audit_of(cast.acme, "plan.applied")
    assert rows[0].details["before"]["max_domains"] == 5
    assert rows[0].details["after"]["max_domains"] == 1


def test_revoking_is_asked_by_typing(cast):
    key, raw = make_key(cast.owner)
    url = reverse("tenants:apikey_revoke", args=[key.pk])
    assert cast.admin.client.get(url).status_code == 200
    assert cast.admin.client.post(url, {"confirm": "other"}).status_code == 422
    assert selectors.api_key(raw) is not None
    assert cast.admin.client.post(url, {"confirm": "crm"}).status_code == 303
    assert selectors.api_key(raw) is None


def test_every_scope_has_words_on_the_form_and_in_the_list(cast):
    make_key(cast.owner, scopes=["domains:read", "mailboxes:write"])
    page = cast.owner.client.get(reverse("tenants:apikeys")).content.decode()
    for words in ("Read domains and their records", "Create, change and delete mailboxes"):
        assert f'<span class="block py-0.5">{words}</span>' in page
    assert set(Scope.values) == set(SCOPES)
