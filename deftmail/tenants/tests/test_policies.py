"""The one table role × action: its shape, and that the actions obey it."""

import itertools

import pytest

from deftmail.kit.errors import Forbidden, NotFound, Refusal
from deftmail.kit.tenancy import tenant_tx
from deftmail.kit.testing import GOOD_PASSWORD
from deftmail.tenants import actions, selectors
from deftmail.tenants.actor import Actor
from deftmail.tenants.models import Role
from deftmail.tenants.policies import MATRIX, SCOPES, Action, may_act_on, rights_of, rights_of_scopes
from deftmail.tenants.testing import make_member

ROLES = [Role.USER, Role.ADMIN, Role.OWNER]


def test_every_role_and_every_action_is_decided():
    assert set(MATRIX) == set(Role)
    assert frozenset().union(*MATRIX.values()) == set(Action), "an action nobody may do"


def test_a_stronger_role_has_every_right_of_a_weaker_one():
    for weaker, stronger in itertools.pairwise(ROLES):
        assert MATRIX[weaker] < MATRIX[stronger]


@pytest.mark.parametrize("one", ROLES)
@pytest.mark.parametrize("other", ROLES)
def test_nobody_acts_on_somebody_stronger(one, other):
    assert may_act_on(rights_of(one), other) is (MATRIX[other] <= MATRIX[one])
    assert may_act_on(rights_of(one), other) is (ROLES.index(other) <= ROLES.index(one))


def test_a_key_never_exceeds_an_admin_and_an_unknown_role_or_scope_may_nothing():
    assert rights_of_scopes(list(SCOPES)) <= MATRIX[Role.ADMIN]
    assert rights_of_scopes(["everything"]) == rights_of("god") == frozenset()
    for scope in SCOPES:
        if scope.endswith(":read"):
            assert rights_of_scopes([scope]) < rights_of_scopes([scope.replace(":read", ":write")])


def _own_profile(actor, cast):
    person = next(p for p in (cast.owner, cast.admin, cast.user) if p.user.pk == actor.user_id)
    return actions.change_profile(actor=actor, user=person.user, name="New name", timezone="Asia/Kolkata")


# Each right of this room with an act that needs it. Rights of other rooms are walked there.
ACTS = {
    Action.COMPANY_CHANGE: lambda actor, cast: actions.rename_company(actor=actor, company_name="Acme Two"),
    Action.BILLING_MANAGE: lambda actor, cast: actions.apply_plan(actor=actor, plan=cast.acme.plan),
    Action.PEOPLE_VIEW: lambda actor, cast: list(selectors.members(actor)),
    Action.PEOPLE_MANAGE: lambda actor, cast: actions.set_password(
        actor=actor, user=make_colleague(cast).user, password="entirely other words here"
    ),
    Action.APIKEY_MANAGE: lambda actor, cast: actions.create_api_key(actor=actor, name="CRM", scopes=["domains:read"]),
    Action.AUDIT_VIEW: lambda actor, cast: selectors.logs(actor),
    Action.PROFILE_CHANGE: _own_profile,
}


def make_colleague(cast):
    return make_member(cast.acme, Role.USER, sign_in=False)


@pytest.mark.django_db
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("action", list(ACTS))
def test_an_act_is_done_exactly_by_the_roles_the_table_names(cast, role, action):
    person = {Role.OWNER: cast.owner, Role.ADMIN: cast.admin, Role.USER: cast.user}[role]
    with tenant_tx(cast.acme.pk):
        if action in MATRIX[role]:
            ACTS[action](person.actor, cast)
        else:
            with pytest.raises(Forbidden):
                ACTS[action](person.actor, cast)


@pytest.mark.django_db
@pytest.mark.parametrize("one", ROLES)
@pytest.mark.parametrize("other", ROLES)
def test_passwords_sessions_and_roles_of_others(cast, one, other):
    actor = {Role.OWNER: cast.owner, Role.ADMIN: cast.admin, Role.USER: cast.user}[one].actor
    target = make_member(cast.acme, other, sign_in=False)
    member_id = target.user.membership.pk
    allowed = Action.PEOPLE_MANAGE in MATRIX[one] and MATRIX[other] <= MATRIX[one]
    acts = [
        lambda: actions.set_password(actor=actor, user=target.user, password="entirely other words here"),
        lambda: actions.sign_out_member(actor=actor, member_id=member_id),
        lambda: actions.change_role(actor=actor, member_id=member_id, role=Role.USER),
    ]
    with tenant_tx(cast.acme.pk):
        for act in acts:
            if allowed:
                act()
            else:
                with pytest.raises(Forbidden):
                    act()


@pytest.mark.django_db
def test_an_admin_cannot_make_an_owner_and_nobody_changes_his_own_role(cast):
    with tenant_tx(cast.acme.pk):
        with pytest.raises(Forbidden):
            actions.change_role(actor=cast.admin.actor, member_id=cast.user.user.membership.pk, role=Role.OWNER)
        for person in (cast.owner, cast.admin):
            with pytest.raises(Refusal) as refused:
                actions.change_role(actor=person.actor, member_id=person.user.membership.pk, role=Role.USER)
            assert refused.value.status == 409
        changed = actions.change_role(actor=cast.admin.actor, member_id=cast.user.user.membership.pk, role=Role.ADMIN)
    assert changed.role == Role.ADMIN


@pytest.mark.django_db
def test_the_stranger_and_his_acts_find_nobody(cast):
    with tenant_tx(cast.other.pk):
        for act in (
            lambda: actions.set_password(actor=cast.stranger.actor, user=cast.user.user, password=GOOD_PASSWORD),
            lambda: actions.end_sessions(actor=cast.stranger.actor, user=cast.user.user),
            lambda: actions.sign_out_member(actor=cast.stranger.actor, member_id=cast.user.user.membership.pk),
            lambda: actions.change_role(
                actor=cast.stranger.actor, member_id=cast.user.user.membership.pk, role=Role.OWNER
            ),
        ):
            with pytest.raises(NotFound):
                act()
        assert [member.user for member in selectors.members(cast.stranger.actor)] == [cast.stranger.user]


@pytest.mark.django_db
def test_only_the_operator_grants_the_api_beyond_the_plan(cast):
    with tenant_tx(cast.acme.pk):
        with pytest.raises(Forbidden):
            actions.grant_api_access(actor=cast.owner.actor)
        key = Actor.key(cast.acme.pk, "k", list(SCOPES), ip=None)
        with pytest.raises(Forbidden):
            actions.grant_api_access(actor=key)
        assert actions.grant_api_access(actor=Actor.system(cast.acme.pk)).api_access_granted
