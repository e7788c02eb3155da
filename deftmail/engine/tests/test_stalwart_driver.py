"""The Stalwart driver on the fake: bad answers, half-done work, objects edited behind our back, many at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import bcrypt
import httpx2
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import SecretStr

from deftmail.engine.drivers.stalwart import objects
from deftmail.engine.drivers.stalwart.driver import StalwartEngine
from deftmail.engine.drivers.stalwart.fake.mail import Refusal
from deftmail.engine.drivers.stalwart.fake.server import FakeStalwart
from deftmail.engine.drivers.stalwart.fake.world import engine_on
from deftmail.engine.drivers.stalwart.wire import Management
from deftmail.engine.errors import EngineAuthFailed, EngineBusy, EngineError, EngineRefused, EngineUnavailable
from deftmail.engine.port import DkimKeySpec, GroupSpec, MailboxState
from deftmail.engine.specimens import dkim_key, domain_spec, mailbox_spec

NAME = "acme.test"


@pytest.fixture
def fake() -> FakeStalwart:
    return FakeStalwart()


@pytest.fixture
def engine(fake: FakeStalwart) -> StalwartEngine:
    made = engine_on(fake)
    made.apply_domain(domain_spec(NAME))
    return made


# what a server may answer


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (httpx2.Response(200, text="<html>Welcome to nginx</html>"), EngineUnavailable),
        (httpx2.Response(200, json=["not", "an", "object"]), EngineUnavailable),
        (httpx2.Response(200, json={"methodResponses": []}), EngineUnavailable),
        (httpx2.Response(401, json={"status": 401}), EngineAuthFailed),
        (httpx2.Response(403, json={"status": 403}), EngineAuthFailed),
        (httpx2.Response(404, text="<html>"), EngineUnavailable),
        (httpx2.Response(429, headers={"retry-after": "7"}), EngineUnavailable),
        (httpx2.Response(502, text="<html>Bad gateway"), EngineUnavailable),
        (httpx2.Response(400, json={"type": "urn:ietf:params:jmap:error:limit"}), EngineRefused),
    ],
)
def test_a_bad_answer_is_a_typed_error(
    fake: FakeStalwart, engine: StalwartEngine, response: httpx2.Response, kind: type[EngineError]
) -> None:
    fake.answer_next = [response]
    with pytest.raises(kind) as caught:
        engine.apply_mailbox(mailbox_spec(f"a@{NAME}"))
    if response.status_code == 429:
        assert isinstance(caught.value, EngineUnavailable)
        assert caught.value.retry_after == 7
    engine.apply_mailbox(mailbox_spec(f"a@{NAME}"))  # and the next attempt is not the worse for it


def test_no_answer_in_time_is_unavailable(fake: FakeStalwart, engine: StalwartEngine) -> None:
    def silent(request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ReadTimeout("no answer")

    away = StalwartEngine("http://stalwart.test", "Bearer x", transport=httpx2.MockTransport(silent))
    with pytest.raises(EngineUnavailable):
        away.list_domains()


def test_a_server_before_0_16_is_refused_in_words_and_tried_again() -> None:
    old = FakeStalwart(old=True)
    engine = StalwartEngine("http://stalwart.test", "Basic YWRtaW46czNjcmV0LWFkbWluLXB3", transport=old.transport())
    with pytest.raises(EngineRefused, match=r"0\.16 or newer") as caught:
        engine.list_domains()
    assert not caught.value.permanent
    assert "too old" in str(caught.value.reason)
    assert not engine.health().ok


def test_unknown_members_of_a_newer_server_do_no_harm(fake: FakeStalwart, engine: StalwartEngine) -> None:
    engine.apply_mailbox(mailbox_spec(f"a@{NAME}"))
    fake.account(f"a@{NAME}")["inventedLater"] = {"@type": "Surprise"}
    assert [box.address for box in engine.list_mailboxes(NAME)] == [f"a@{NAME}"]


def test_a_silent_set_answer_counts_as_not_done(fake: FakeStalwart, engine: StalwartEngine) -> None:
    spec = mailbox_spec(f"a@{NAME}")
    fake.answer_next = [
        httpx2.Response(200, json={"methodResponses": [["x:Domain/query", {"ids": ["c"]}, "0"],
                                                       ["x:Domain/get", {"list": [{"id": "c", "name": NAME}]}, "1"]]}),
        httpx2.Response(200, json={"methodResponses": [["x:Account/set", {"accountId": "b"}, "0"]]}),
    ]  # fmt: skip
    with pytest.raises(EngineUnavailable, match="does not mention"):
        engine.apply_mailbox(spec)


# half done, edited, taken


def test_a_lost_answer_is_made_good_by_the_next_attempt(fake: FakeStalwart, engine: StalwartEngine) -> None:
    spec = mailbox_spec(f"a@{NAME}")

    original = fake.registry.set

    def losing(*arguments: Any) -> Any:
        answer = original(*arguments)
        fake.registry.set = original  # type: ignore[method-assign]
        fake.lose_next = True
        return answer

    fake.registry.set = losing  # type: ignore[method-assign,assignment]
    with pytest.raises(EngineUnavailable):
        engine.apply_mailbox(spec)
    engine.apply_mailbox(spec)
    assert [box.id for box in engine.list_mailboxes(NAME)] == [spec.id]


def test_what_was_made_by_hand_becomes_ours_with_its_mail(fake: FakeStalwart, engine: StalwartEngine) -> None:
    by_hand = {"@type": "User", "name": "a", "domainId": "c", "quotas": {"maxEmails": 7}}
    account_id = fake.registry.create("Account", by_hand)["id"]
    fake.mailbox(account_id).deliver(b"Subject: kept\r\n\r\nx")
    spec = mailbox_spec(f"a@{NAME}", quota_mb=3)
    engine.apply_mailbox(spec)
    [found] = engine.list_mailboxes(NAME)
    assert (found.id, found.quota_mb) == (spec.id, 3)
    assert fake.account(f"a@{NAME}")["id"] == account_id
    assert fake.account(f"a@{NAME}")["quotas"]["maxEmails"] == 7, "a quota of another kind is somebody else's"
    assert len(fake.mailbox(account_id).emails) == 1


def test_app_passwords_outlive_a_password_that_an_account_did_not_have(
    fake: FakeStalwart, engine: StalwartEngine
) -> None:
    admin = _admin(fake)
    id_ = admin.set("Account", create={"a": {"@type": "User", "name": "a", "domainId": "c"}}).created["a"]["id"]
    made = [
        admin.set("AppPassword", create={"p": {"description": label}}, account_id=id_).created["p"]
        for label in ("phone", "laptop")
    ]
    [overwritten] = admin.set("Account", update={id_: {"credentials/0/secret": "a long password"}}).not_updated.values()
    assert overwritten["type"] == "invalidPatch", "the first credential is an app password"
    spec = mailbox_spec(f"a@{NAME}")
    for applied in (
        spec,
        replace(spec, password_hash=SecretStr(bcrypt.hashpw(b"new one", bcrypt.gensalt(4)).decode())),
    ):
        engine.apply_mailbox(applied)
        assert all(fake.signs_in(spec.address, one["secret"]) for one in made)
    assert fake.signs_in(spec.address, "new one")
    engine.revoke_app_password(spec.address, spec.id, made[0]["id"])
    engine.apply_mailbox(spec)  # the password is in another place now
    assert not fake.signs_in(spec.address, made[0]["secret"])
    assert fake.signs_in(spec.address, made[1]["secret"])
    assert not fake.signs_in(spec.address, "new one")


def test_a_quota_of_nothing_leaves_room_for_the_script(fake: FakeStalwart, engine: StalwartEngine) -> None:
    spec = mailbox_spec(f"a@{NAME}", quota_mb=0)
    engine.apply_mailbox(spec)
    engine.apply_mailbox(spec)
    [found] = engine.list_mailboxes(NAME)
    assert found.quota_mb == 0
    with pytest.raises(Refusal, match="over quota"):
        fake.mailbox(fake.account(spec.address)["id"]).deliver(b"Subject: large\r\n\r\n" + b"x" * objects.SCRIPT_ROOM)


@pytest.mark.parametrize("u_labels", [False, True])
def test_an_international_name_is_found_in_whichever_form_it_is_kept(
    fake: FakeStalwart, engine: StalwartEngine, u_labels: bool
) -> None:
    fake.registry.u_labels = u_labels
    domain = domain_spec("xn--bcher-kva.test")
    box = mailbox_spec(f"a@{domain.name}")
    group = GroupSpec(uuid4(), f"team@{domain.name}", (box.address,), "Team")
    for _ in range(2):
        engine.apply_domain(domain)
        engine.apply_mailbox(box)
        engine.apply_group(group)
    kept = {one["name"] for one in fake.registry.objects["Domain"].values()}
    assert ("b\u00fccher.test" in kept) is u_labels
    assert [(found.name, found.id) for found in engine.list_domains() if found.id == domain.id] == [
        (domain.name, domain.id)
    ]
    assert [(found.address, found.id) for found in engine.list_mailboxes(domain.name)] == [(box.address, box.id)]
    assert set(engine.usage([box.address])) == {box.address}
    engine.remove_group(group.address, group.id)
    assert not fake.registry.objects["MailingList"]
    engine.remove_mailbox(box.address, box.id)
    engine.remove_domain(domain.name, domain.id)
    assert domain.name not in {found.name for found in engine.list_domains()}


def test_an_address_of_another_object_is_refused_for_good(fake: FakeStalwart, engine: StalwartEngine) -> None:
    engine.apply_mailbox(replace(mailbox_spec(f"a@{NAME}"), aliases=(f"b@{NAME}",)))
    with pytest.raises(EngineRefused) as caught:
        engine.apply_mailbox(mailbox_spec(f"b@{NAME}"))
    assert caught.value.permanent
    with pytest.raises(EngineRefused):
        engine.apply_mailbox(replace(mailbox_spec(f"c@{NAME}"), aliases=("x@not-here.test",)))


def test_states_keep_permissions_that_others_gave_or_took(fake: FakeStalwart, engine: StalwartEngine) -> None:
    spec = mailbox_spec(f"a@{NAME}")
    engine.apply_mailbox(spec)
    account = fake.account(f"a@{NAME}")
    theirs = {"enabledPermissions": {"sieveAuthenticate": True}, "disabledPermissions": {"pop3Authenticate": True}}
    account["permissions"] = {"@type": "Merge", **theirs}
    for state, taken in (
        (MailboxState.SUSPENDED, {"emailSend"}),
        (MailboxState.DISABLED, {"emailSend", "authenticate"}),
        (MailboxState.ACTIVE, set()),
    ):
        engine.apply_mailbox(replace(spec, state=state))
        now = fake.account(f"a@{NAME}")["permissions"]
        assert now["@type"] == "Merge"
        assert now["enabledPermissions"] == {"sieveAuthenticate": True}
        assert set(now["disabledPermissions"]) == {"pop3Authenticate", *taken}
    fake.account(f"a@{NAME}")["permissions"] = {"@type": "Inherit"}
    engine.apply_mailbox(spec)
    assert fake.account(f"a@{NAME}")["permissions"] == {"@type": "Inherit"}


def test_what_was_edited_behind_our_back_is_listed_as_it_is(fake: FakeStalwart, engine: StalwartEngine) -> None:
    spec = mailbox_spec(f"a@{NAME}", quota_mb=5)
    engine.apply_mailbox(replace(spec, state=MailboxState.SUSPENDED))
    account = fake.account(f"a@{NAME}")
    account["permissions"] = {"@type": "Inherit"}
    account["quotas"] = {}
    [found] = engine.list_mailboxes(NAME)
    assert (found.state, found.quota_mb) == (MailboxState.ACTIVE, None)


def test_a_hash_that_is_none_never_reaches_the_server(fake: FakeStalwart, engine: StalwartEngine) -> None:
    spec = mailbox_spec(f"a@{NAME}")
    before = len(fake.requests)
    for text in ("pbkdf2_sha256$1000000$salt$hash", "argon2$argon2id$v=19$m=1", "$2b$10$abc", "plain", "{PLAIN}x"):
        with pytest.raises(EngineRefused):
            replace(spec, password_hash=SecretStr(text))
        # Also one that slipped past the spec.
        object.__setattr__(spec, "password_hash", SecretStr(text))
        with pytest.raises(EngineRefused):
            objects.new_account(spec, {NAME: "c"}, True)
    assert len(fake.requests) == before


# lists


def test_a_list_in_pages_is_complete() -> None:
    fake = FakeStalwart(page=3)
    engine = engine_on(fake)
    engine.apply_domain(domain_spec(NAME))
    specs = [mailbox_spec(f"m{number}@{NAME}") for number in range(10)]
    assert set(engine.apply_mailboxes(specs).values()) == {None}
    assert len(engine.list_mailboxes(NAME)) == 10
    for number in range(5):
        engine.apply_domain(domain_spec(f"d{number}.test"))
    assert len(engine.list_domains()) == 6


def test_a_list_that_changes_while_it_is_read_is_read_again_or_refused() -> None:
    fake = FakeStalwart(page=3)
    engine = engine_on(fake)
    engine.apply_domain(domain_spec(NAME))
    engine.apply_mailboxes([mailbox_spec(f"m{number}@{NAME}") for number in range(30)])
    original, pages = fake.registry.query, 0

    def shrinking(kind: str, arguments: Any, account_id: str) -> Any:
        nonlocal pages
        answer = original(kind, arguments, account_id)
        if kind == "Account" and answer["position"] and pages < times:
            pages += 1
            newest = next(iter(sorted(fake.registry.objects["Account"], reverse=True)))
            fake.registry.destroy("Account", newest)  # everything behind it moves up by one
        return answer

    fake.registry.query = shrinking  # type: ignore[method-assign]
    times = 1
    listed = {box.address for box in engine.list_mailboxes(NAME)}
    domain_id = next(id_ for id_, one in fake.registry.objects["Domain"].items() if one["name"] == NAME)
    there = [one for one in fake.registry.objects["Account"].values() if one["domainId"] == domain_id]
    assert listed == {fake.registry.address(one) for one in there}
    pages, times = 0, 100
    with pytest.raises(EngineBusy):
        engine.list_mailboxes(NAME)


# keys


def _ed25519(selector: str) -> DkimKeySpec:
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return DkimKeySpec(selector, SecretStr(pem.decode()))


def _stages(fake: FakeStalwart) -> dict[str, str]:
    return {key["selector"]: key["stage"] for key in fake.registry.objects["DkimSignature"].values()}


def test_keys_rotate_with_one_that_signs_and_one_that_retires(fake: FakeStalwart, engine: StalwartEngine) -> None:
    spec = domain_spec(NAME, dkim=dkim_key("s1", 1))
    engine.apply_domain(spec)
    assert _stages(fake) == {"s1": "active"}
    engine.apply_domain(replace(spec, dkim=_ed25519("s2"), retiring=(dkim_key("s1", 1),)))
    assert _stages(fake) == {"s1": "retiring", "s2": "active"}
    engine.apply_domain(spec)
    assert _stages(fake) == {"s1": "active"}
    assert engine.list_domains()[0].signing is not None


def test_a_selector_that_was_taken_twice_is_made_unique(fake: FakeStalwart, engine: StalwartEngine) -> None:
    spec = domain_spec(NAME, dkim=dkim_key("s1", 1))
    engine.apply_domain(spec)
    [held] = list(fake.registry.objects["DkimSignature"].values())
    fake.registry.objects["DkimSignature"]["zz"] = {**held, "id": "zz"}
    engine.apply_domain(spec)
    assert len(fake.registry.objects["DkimSignature"]) == 1


def test_a_domain_with_mailboxes_goes_later_and_keeps_its_keys(fake: FakeStalwart, engine: StalwartEngine) -> None:
    spec, box = domain_spec(NAME), mailbox_spec(f"a@{NAME}")
    engine.apply_domain(spec)
    engine.apply_mailbox(box)
    with pytest.raises(EngineBusy):
        engine.remove_domain(NAME, spec.id)
    assert _stages(fake) == {"default": "active"}
    engine.remove_mailbox(box.address, box.id)
    engine.remove_domain(NAME, spec.id)
    assert engine.list_domains() == []


# many


@pytest.mark.parametrize(("makes_archive", "shared_blobs"), [(True, True), (False, True), (True, False)])
def test_many_mailboxes_take_few_requests_and_lack_nothing(makes_archive: bool, shared_blobs: bool) -> None:
    fake = FakeStalwart(makes_archive=makes_archive)
    fake.shared_blobs = shared_blobs
    engine = engine_on(fake)
    engine.apply_domain(domain_spec(NAME))
    fake.http.clear()
    fake.requests.clear()
    specs = [mailbox_spec(f"m{number}@{NAME}") for number in range(60)]
    assert set(engine.apply_mailboxes(specs).values()) == {None}
    assert max(len(calls) for calls in fake.requests) <= 16
    if shared_blobs:
        assert len(fake.http) <= (10 if makes_archive else 14)
    for mailbox in fake.mailboxes.values():
        assert {box["role"] for box in mailbox.mailboxes.values()} >= {"archive", "inbox", "junk"}
        assert [script["isActive"] for script in mailbox.scripts.values()] == [True]
    # and once more, with one that is new, one of another row and one that is refused
    specs[0] = mailbox_spec(specs[0].address)
    specs.append(mailbox_spec(f"new@{NAME}"))
    wrong = replace(mailbox_spec(f"wrong@{NAME}"), aliases=(f"m1@{NAME}",))
    outcomes = engine.apply_mailboxes([*specs, wrong])
    assert isinstance(outcomes[wrong.id], EngineRefused)
    assert {outcomes[spec.id] for spec in specs} == {None}
    assert {box.id for box in engine.list_mailboxes(NAME)} == {spec.id for spec in specs}


def test_requests_stay_within_500_objects(fake: FakeStalwart, engine: StalwartEngine) -> None:
    answer = engine.management.set("Account", destroy=[f"x{number}" for number in range(1100)])
    assert len(answer.not_destroyed) == 1100
    assert fake.requests[-1] == ["x:Account/set"] * 3


@pytest.mark.parametrize("id_", ["#s", "", "a/b", "..", "a b"])
def test_a_reference_is_never_sent_as_an_account(engine: StalwartEngine, id_: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: engine.management.set("ApiKey", create={"k": {}}, account_id=id_),
        lambda: engine.management.upload(id_, b"x", "text/plain"),
    ]
    for call in calls:
        with pytest.raises(EngineRefused):
            call()


# the fake's traps, so that the driver's care is not for nothing


def _admin(fake: FakeStalwart) -> Management:
    return Management("http://stalwart.test", "Basic YWRtaW46czNjcmV0LWFkbWluLXB3", transport=fake.transport())


def test_the_fake_has_the_traps(fake: FakeStalwart) -> None:
    admin = _admin(fake)
    account: dict[str, Any] = {"@type": "User", "name": "svc", "domainId": "b", "roles": {"@type": "Admin"}}
    account["credentials"] = {"0": {"@type": "Password", "secret": "pbkdf2_sha256$1000000$salt$hash"}}
    id_ = admin.set("Account", create={"a": account}).created["a"]["id"]
    assert fake.signs_in("svc@mail.test", "pbkdf2_sha256$1000000$salt$hash"), "an unknown hash is the password"
    secret = admin.set("AppPassword", create={"p": {"description": "x"}}, account_id=id_).created["p"]["secret"]
    admin.set("Account", update={id_: {"credentials/0/secret": "another long password"}})
    assert fake.signs_in("svc@mail.test", secret)
    admin.set("Account", update={id_: {"credentials": {"0": {"@type": "Password", "secret": "a third password"}}}})
    assert not fake.signs_in("svc@mail.test", secret), "replacing credentials drops app passwords"
    [answer] = admin.ask([("x:ApiKey/set", {"accountId": "#a", "create": {"k": {"description": "x"}}})])
    assert answer["accountId"] == "d333333", "a reference means the caller"
    assert answer["notCreated"]["k"]["type"] == "notFound"
    [none] = admin.ask([("x:Authentication/get", {"ids": None})])
    [one] = admin.ask([("x:Authentication/get", {"ids": ["singleton"]})])
    assert (none["list"], len(one["list"])) == ([], 1)
    admin.set("SpamPyzor", update={"singleton": {"enable": True}})
    admin.set("MtaHook", create={"h": {"url": "http://127.0.0.1:1/"}})
    refused = admin.set("Action", create={"r": {"@type": "ReloadSettings"}})
    assert "r" in refused.not_created
    assert fake.registry.applied["MtaHook"] == [], "nothing of the settings is applied"
    with pytest.raises(EngineRefused):
        admin._request([("x:Domain/get", {"ids": []})] * 17, ())


def test_app_passwords_run_out(fake: FakeStalwart, engine: StalwartEngine) -> None:
    spec = mailbox_spec(f"a@{NAME}")
    engine.apply_mailbox(spec)
    for _ in range(5):
        engine.issue_app_password(spec.address, spec.id, "phone")
    with pytest.raises(EngineRefused) as caught:
        engine.issue_app_password(spec.address, spec.id, "phone")
    assert caught.value.permanent, "no attempt of ours makes room"
    assert "as many app passwords as it may have" in str(caught.value.reason)
    with pytest.raises(EngineRefused):
        engine.issue_app_password(spec.address, uuid4(), "phone")
