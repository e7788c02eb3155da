"""The fake Stalwart is as strict as the real one was seen to be, and the driver gets along with that."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from deftmail.engine.conformance.listener import Listener
from deftmail.engine.drivers.stalwart import objects, setup, wire
from deftmail.engine.drivers.stalwart.driver import StalwartEngine
from deftmail.engine.drivers.stalwart.fake import expressions, fields
from deftmail.engine.drivers.stalwart.fake.mail import Refusal
from deftmail.engine.drivers.stalwart.fake.patches import MethodRefused, SetRefused
from deftmail.engine.drivers.stalwart.fake.server import FakeStalwart
from deftmail.engine.drivers.stalwart.fake.world import engine_on
from deftmail.engine.drivers.stalwart.wanted import Wanted
from deftmail.engine.drivers.stalwart.wire import CORE, MAIL, Management
from deftmail.engine.errors import EngineBusy, EngineRefused
from deftmail.engine.port import MailboxState
from deftmail.engine.specimens import domain_spec, mailbox_spec

NAME = "acme.test"
ADMIN = "Basic YWRtaW46czNjcmV0LWFkbWluLXB3"
MESSAGE = b"From: x@outside.test\r\nSubject: hello\r\n\r\nHello.\r\n"
BOX = f"a@{NAME}"


@pytest.fixture
def fake() -> FakeStalwart:
    return FakeStalwart()


@pytest.fixture
def admin(fake: FakeStalwart) -> Management:
    return Management("http://stalwart.test", ADMIN, transport=fake.transport())


@pytest.fixture
def engine(fake: FakeStalwart) -> StalwartEngine:
    made = engine_on(fake)
    made.apply_domain(domain_spec(NAME))
    made.apply_mailbox(mailbox_spec(BOX))
    return made


# properties and the shapes of their values

HOOK: dict[str, Any] = {"url": "http://x.test/", "stages": {"data": True}}


@pytest.mark.parametrize(
    ("kind", "new"),
    [
        ("MtaHook", {**HOOK, "colour": "red"}),
        ("MtaHook", {**HOOK, "stages": ["data"]}),
        ("MtaHook", {**HOOK, "stages": {"date": True}}),
        ("MtaHook", {**HOOK, "stages": {"data": False}}),
        ("MtaHook", {**HOOK, "timeout": "5s"}),
        ("MtaHook", {**HOOK, "url": ""}),
        ("MtaHook", {**HOOK, "enable": "true"}),
        ("MtaHook", {**HOOK, "enable": {"else": "true", "match": [{"if": "true", "then": "true"}]}}),
        ("MtaHook", {**HOOK, "httpAuth": {"bearerToken": {"@type": "Value", "secret": "s"}}}),
        ("MtaHook", {**HOOK, "httpAuth": {"@type": "Bearer", "bearerToken": "s"}}),
        ("MtaInboundThrottle", {"rate": {"count": 0, "period": 1000}}),
        ("MtaRoute", {"name": "x", "address": "192.0.2.1"}),
        ("Account", {"@type": "User", "name": "x", "domainId": "b", "emailAddress": "x@y.test"}),
        ("Account", {"@type": "User", "name": "x", "domainId": "b", "quotas": {"maxSize": 1}}),
        ("Account", {"@type": "User", "name": "x", "domainId": "b", "aliases": {"1": {"name": "y", "domainId": "b"}}}),
        ("MailingList", {"name": "x", "domainId": "b", "recipients": {"nobody": True}}),
    ],
)
def test_what_the_schema_does_not_know_is_refused(admin: Management, kind: str, new: dict[str, Any]) -> None:
    answer = admin.set(kind, create={"n": new})
    assert answer.not_created["n"]["type"] in {"invalidPatch", "validationFailed"}


@pytest.mark.parametrize(
    "patch",
    [
        {"quotas/maxDiskQuota": "1 GB"},
        {"aliases/0": {"domainId": "b", "local": "y"}},
        {"permissions": {"disabledPermissions": {"emailSend": True}}},
        {"emailAddress": "b@acme.test"},
        {"usedDiskQuota": 0},
        {"nickname": "x"},
    ],
)
def test_a_patch_of_another_shape_is_refused(engine: StalwartEngine, fake: FakeStalwart, patch: dict[str, Any]) -> None:
    answer = engine.management.set("Account", update={fake.account(BOX)["id"]: patch})
    assert [error["type"] for error in answer.not_updated.values()] == ["invalidPatch"]


def test_an_expression_that_does_not_compile_is_refused(admin: Management) -> None:
    for text in ("is_empty(authenticated_as", "nobody == 'x'", "sends(rcpt)", "true false", "§"):
        answer = admin.set("MtaHook", create={"n": {**HOOK, "enable": {"else": text, "match": {}}}})
        assert answer.not_created["n"]["type"] == "validationFailed", text
    facts = {"authenticated_as": "a@x.test", "rcpt_domain": "y.test"}
    assert expressions.value_of("!is_empty(authenticated_as) && (rcpt_domain == 'y.test' || false)", facts)
    assert not expressions.value_of("!ends_with(rcpt_domain, 'y.test') || rcpt_domain != 'y.test'", facts)
    branch = {"0": {"if": "rcpt_domain == 'y.test'", "then": "false"}}
    assert not expressions.holds({"else": "true", "match": branch}, facts)


@pytest.mark.parametrize("file", ["first-start.json", "trial-start.json"])
def test_the_files_of_a_first_start_are_of_the_right_shapes(file: str) -> None:
    path = Path(__file__).parents[3] / "deploy/stalwart" / file
    for name, arguments, _number in json.loads(path.read_text())["methodCalls"]:
        kind = name.removeprefix("x:").partition("/")[0]
        assert kind in fields.shapes().properties
        for new in arguments.get("create", {}).values():
            fields.check_new(kind, new)
        for patch in arguments.get("update", {}).values():
            fields.check_patch(kind, patch)
            for name_, value in patch.items():
                if isinstance(value, dict) and "else" in value and name_ != "saslMechanisms":
                    expressions.check(name_, value)
    with pytest.raises(SetRefused):
        fields.check_new("Certificate", {"certificate": {"@type": "Text", "secret": "…"}})


# two at once


def test_of_two_writers_the_second_is_tried_again(fake: FakeStalwart, engine: StalwartEngine) -> None:
    original, refused = fake.registry.set, 2

    def meeting(kind: str, *arguments: Any) -> Any:
        nonlocal refused
        if kind == "Account" and refused:
            refused -= 1
            raise MethodRefused("serverUnavailable")
        return original(kind, *arguments)

    fake.registry.set = meeting  # type: ignore[method-assign,assignment]
    spec = mailbox_spec(BOX, id=engine.list_mailboxes(NAME)[0].id, quota_mb=7)
    engine.apply_mailbox(spec)
    assert (refused, engine.list_mailboxes(NAME)[0].quota_mb) == (0, 7)


def test_a_writer_that_never_gets_its_turn_is_busy(
    fake: FakeStalwart, engine: StalwartEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "PAUSES", (0.0, 0.0))

    def meeting(*_: Any) -> Any:
        raise MethodRefused("serverUnavailable")

    fake.registry.set = meeting  # type: ignore[method-assign,assignment]
    with pytest.raises(EngineBusy):
        engine.apply_mailbox(mailbox_spec(BOX))


def test_the_fake_refuses_what_was_read_before_another_wrote(fake: FakeStalwart, engine: StalwartEngine) -> None:
    id_ = fake.account(BOX)["id"]
    change = {"using": [CORE], "methodCalls": [["x:Account/set", {"update": {id_: {"description": "x"}}}, "0"]]}
    caller = fake._caller(ADMIN)
    fake.registry.seen = fake.registry.writes
    assert fake._api(change, caller)["methodResponses"][0][0] == "x:Account/set"
    assert fake._api(change, caller)["methodResponses"][0][1]["type"] == "serverUnavailable"
    fake.registry.seen = None
    spec = mailbox_spec(f"b@{NAME}")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: engine.apply_mailbox(spec), range(4)))
    assert len(engine.list_mailboxes(NAME)) == 2


# mail


def test_a_mailbox_that_is_full_keeps_mail_waiting_in_the_queue(fake: FakeStalwart, engine: StalwartEngine) -> None:
    spec = mailbox_spec(BOX, id=engine.list_mailboxes(NAME)[0].id, quota_mb=0)
    engine.apply_mailbox(spec)
    fake.smtp_receive("x@outside.test", [BOX], MESSAGE + b"x" * objects.SCRIPT_ROOM)  # taken all the same
    [queued] = fake.registry.objects["QueuedMessage"].values()
    status = queued["recipients"][BOX]["status"]
    assert (status["@type"], status["responseMessage"]) == ("TemporaryFailure", "Mailbox over quota.")


def test_a_fresh_server_takes_five_messages_a_second_and_after_the_set_up_more_of_signed_in_people(
    fake: FakeStalwart, engine: StalwartEngine, admin: Management
) -> None:
    account_id = fake.account(BOX)["id"]
    fake.queue.clock = lambda: 1000.0  # all within one second
    for _ in range(5):
        fake.queue.session(account_id, BOX, [BOX], MESSAGE)
    with pytest.raises(Refusal, match=r"4\.4\.5"):
        fake.queue.session(account_id, BOX, [BOX], MESSAGE)
    wanted = Wanted("http://127.0.0.1:1", "acme.test")
    setup.apply(admin, setup.plan(setup.read(admin, wanted), wanted))
    fake.registry.applied["MtaHook"] = []
    for _ in range(8):
        fake.queue.session(account_id, BOX, [BOX], MESSAGE)


def test_the_hook_at_rcpt_is_asked_of_mail_from_outside_before_it_is_known_who_there_is(
    fake: FakeStalwart, engine: StalwartEngine, admin: Management
) -> None:
    told = {"status": 550, "enhanced_status": "5.7.1", "message": "This mailbox takes no mail"}
    with Listener("127.0.0.1", {"action": "reject", "response": told}) as listener:
        hook = {**HOOK, "url": listener.url, "stages": {"rcpt": True}}
        hook["enable"] = {"else": "is_empty(authenticated_as)", "match": {}}
        admin.set("MtaHook", create={"h": hook})
        setup.reload_settings(admin)
        with pytest.raises(Refusal, match="takes no mail"):
            fake.smtp_receive("x@outside.test", [f"nobody@{NAME}"], MESSAGE)
        fake.queue.session(fake.account(BOX)["id"], BOX, [BOX], MESSAGE)
    [(body, _signature)] = listener.bodies
    question = json.loads(body)
    assert question["context"]["stage"] == "rcpt"
    assert "sasl" not in question["context"]
    assert [to["address"] for to in question["envelope"]["to"]] == [f"nobody@{NAME}"]


def test_a_stranger_may_not_relay(fake: FakeStalwart, engine: StalwartEngine) -> None:
    with pytest.raises(Refusal, match="Relay not allowed"):
        fake.smtp_receive("x@outside.test", ["y@elsewhere.test"], MESSAGE)


def test_suspension_stops_mail_programs_and_the_hook_is_what_stops_a_jmap_submission(
    fake: FakeStalwart, engine: StalwartEngine
) -> None:
    box = engine.list_mailboxes(NAME)[0]
    assert box.id is not None
    engine.apply_mailbox(mailbox_spec(BOX, id=box.id, state=MailboxState.SUSPENDED))
    outcomes = fake.queue.session(fake.account(BOX)["id"], BOX, [BOX], MESSAGE, door="jmap")
    assert outcomes == {BOX: None}


def test_identities_are_the_addresses_that_act_and_never_our_mark(fake: FakeStalwart, engine: StalwartEngine) -> None:
    assert any(alias["name"].startswith("deftmail-") for alias in fake.account(BOX)["aliases"].values())
    calls = [("Identity/get", {"accountId": fake.account(BOX)["id"], "ids": None})]
    [found] = engine.management.ask(calls, using=(CORE, "urn:ietf:params:jmap:submission"))
    assert [one["email"] for one in found["list"]] == [BOX]
    with pytest.raises(EngineRefused, match="unknownMethod"):
        engine.management.ask(calls, using=(CORE, MAIL))


def test_default_folders_are_those_of_the_last_reload(fake: FakeStalwart, admin: Management) -> None:
    wanted = Wanted("http://127.0.0.1:1", "acme.test")
    admin.set("Email", update={"singleton": {"defaultFolders": {"sent": {"name": "Gesendet"}}}})
    setup.apply(admin, setup.plan(setup.read(admin, wanted), wanted))
    assert set(fake.registry.singletons["Email"]["defaultFolders"]) == {"archive", "sent"}, "the operator's stays"
    account = admin.set("Account", create={"a": {"@type": "User", "name": "x", "domainId": "b"}}).created["a"]["id"]
    folders = {box["role"]: box["name"] for box in fake.mailbox(account).mailboxes.values()}
    assert (folders["archive"], folders["sent"]) == ("Archive", "Gesendet")
