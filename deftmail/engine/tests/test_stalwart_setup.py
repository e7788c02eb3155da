"""Set-up and doctor of Stalwart on a server of a few objects that follows its rules: secrets come back as stars,
singletons want their id, a reload is all or nothing."""

from __future__ import annotations

import copy
import itertools
import json
from typing import Any

import httpx2
import pytest

from deftmail.engine.drivers.stalwart import doctor, setup
from deftmail.engine.drivers.stalwart.wanted import EVENTS, Wanted, differences, throttle_change
from deftmail.engine.drivers.stalwart.wire import Management
from deftmail.engine.errors import EngineAuthFailed, EngineError, EngineRefused, EngineUnavailable
from deftmail.engine.shared import Purpose, secret_for

WANTED = Wanted("https://app.acme.test", "acme.test")
MANAGED: dict[str, Any] = {"accounts": {"d333333": {"accountCapabilities": {"urn:stalwart:jmap": {}}}}}
THROTTLES = (
    {"description": "by address", "key": {"remoteIp": True}, "rate": {"count": 5, "period": 1000}},
    {"description": "by pair", "key": {"senderDomain": True, "rcpt": True}, "rate": {"count": 25, "period": 3_600_000}},
)


class Server:
    """Stalwart's management, as little as a set-up needs."""

    def __init__(self):
        self.objects: dict[str, dict[str, Any]] = {
            kind: {} for kind in ("Domain", "Account", "MtaHook", "WebHook", "MtaInboundThrottle")
        }
        self.keys = {}
        self.singletons = {
            "Authentication": {"maxAppPasswords": 5, "maxApiKeys": 5},
            "Metrics": {"prometheus": {"@type": "Disabled"}},
            "MtaStageData": {"maxMessageSize": {"else": "104857600", "match": {}}},
            "SystemSettings": {"defaultDomainId": ""},
            "Email": {"defaultFolders": {}},
        }
        self.reload_works = True
        self.reloads = 0
        self.changes = []
        self.fails_at = None
        self.status = 200
        self.managed = True
        self.session = MANAGED
        self._ids = itertools.count(1)
        for throttle in THROTTLES:
            self._add("MtaInboundThrottle", {"enable": True, "match": {"else": "true", "match": {}}, **throttle})

    def _add(self, kind, values):
        id_ = f"x{next(self._ids)}"
        self.objects[kind][id_] = {**copy.deepcopy(values), "id": id_}
        return id_

    def management(self, authorization="Basic x"):
        return Management("http://stalwart.test", authorization, transport=httpx2.MockTransport(self.handle))

    def handle(self, request):
        if self.status != 200:
            return httpx2.Response(self.status)
        if request.url.path == "/jmap/session":
            return httpx2.Response(200, json=self.session)
        calls = json.loads(request.content)["methodCalls"]
        answers: list[Any] = []
        seen: dict[str, Any] = {}
        for name, arguments, number in calls:
            kind, _slash, verb = name.removeprefix("x:").partition("/")
            if "#ids" in arguments:
                arguments["ids"] = seen[arguments["#ids"]["resultOf"]]["ids"]
            answer = getattr(self, verb)(kind, arguments)
            seen[number] = answer
            answers.append(["error" if "type" in answer else name, answer, number])
        return httpx2.Response(200, json={"methodResponses": answers})

    def _of(self, kind, arguments):
        if kind != "ApiKey":
            return self.objects[kind]
        assert arguments["accountId"] in self.objects["Account"]
        return self.keys.setdefault(arguments["accountId"], {})

    def get(self, kind, arguments):
        ids = arguments["ids"]
        if kind in self.singletons:
            return {"list": [self.singletons[kind]] if ids == ["singleton"] else []}
        known = self._of(kind, arguments)
        return {"list": [starred(known[id_]) for id_ in (known if ids is None else ids) if id_ in known]}

    def query(self, kind, arguments):
        if not self.managed:
            return {"type": "unknownMethod"}
        wanted = arguments.get("filter", {})
        ids = [id_ for id_, each in self.objects[kind].items() if all(each.get(n) == v for n, v in wanted.items())]
        return {"ids": ids}

    def set(self, kind, arguments):
        self.changes.append(kind)
        if kind == self.fails_at:
            return {"notCreated": {"new": {"type": "validationFailed", "description": "no"}}}
        if kind == "Action":
            if not self.reload_works:
                return {"notCreated": {"reload": {"type": "invalidProperties", "description": "SpamPyzor: no host"}}}
            self.reloads += 1
            return {"created": {"reload": {"id": "r"}}}
        if kind in self.singletons:
            self.singletons[kind] |= copy.deepcopy(arguments["update"]["singleton"])
            return {"updated": {"singleton": None}}
        known = self._of(kind, arguments)
        answer: dict[str, Any] = {}
        for name, values in arguments.get("create", {}).items():
            id_ = f"x{next(self._ids)}"
            known[id_] = {**copy.deepcopy(values), "id": id_}
            answer["created"] = {name: {"id": id_} | ({"secret": f"API_{id_}"} if kind == "ApiKey" else {})}
        for id_, values in arguments.get("update", {}).items():
            known[id_] |= {name: value for name, value in values.items() if "/" not in name}
            if "credentials/0/secret" in values:
                known[id_]["credentials"]["0"]["secret"] = values["credentials/0/secret"]
            answer["updated"] = {id_: None}
        for id_ in arguments.get("destroy", []):
            del known[id_]
            answer["destroyed"] = [id_]
        return answer


def starred(value):
    if isinstance(value, dict):
        return {name: "****" if name == "secret" else starred(inner) for name, inner in value.items()}
    return value


def run(server, **options):
    todo = setup.plan(setup.read(server.management(), WANTED), WANTED, **options)
    return setup.apply(server.management(), todo)


@pytest.fixture
def server():
    return Server()


def test_a_fresh_server_gets_all_we_need(server):
    outcome = run(server)
    assert outcome.account == "deftmail-service@acme.test"
    assert outcome.api_key.get_secret_value().startswith("API_")
    (account,) = server.objects["Account"].values()
    assert account["roles"] == {"@type": "Admin"}
    assert account["domainId"] == next(iter(server.objects["Domain"]))
    assert account["credentials"]["0"]["secret"] == secret_for(Purpose.SERVICE)
    hooks = list(server.objects["MtaHook"].values())
    assert [next(iter(hook["stages"])) for hook in hooks] == ["data", "rcpt"]
    assert {hook["url"] for hook in hooks} == {"https://app.acme.test/engine/stalwart/hook"}
    assert all(hook["tempFailOnError"] for hook in hooks)
    assert hooks[0]["httpAuth"]["bearerToken"]["secret"] == secret_for(Purpose.HOOK)
    (webhook,) = server.objects["WebHook"].values()
    assert webhook["eventsPolicy"] == "include"
    assert set(webhook["events"]) == set(EVENTS)
    assert webhook["signatureKey"]["secret"] == secret_for(Purpose.EVENTS)
    assert server.singletons["Authentication"]["maxAppPasswords"] == 100
    assert server.singletons["Metrics"]["prometheus"]["@type"] == "Enabled"
    assert server.singletons["MtaStageData"]["maxMessageSize"]["else"] == "41943040"
    assert server.singletons["Email"]["defaultFolders"]["archive"]["name"] == "Archive"
    for throttle in server.objects["MtaInboundThrottle"].values():
        assert throttle["match"]["else"] == "is_empty(authenticated_as)"
    assert server.reloads == 1


def test_a_second_run_changes_nothing_but_reloads(server):
    run(server)
    before = copy.deepcopy((server.objects, server.keys, server.singletons))
    server.changes.clear()
    outcome = run(server, key_works=True)
    assert outcome.done == ()
    assert outcome.api_key is None
    assert server.changes == ["Action"]
    assert (server.objects, server.keys, server.singletons) == before


def test_planning_alone_asks_and_never_sets(server):
    todo = setup.plan(setup.read(server.management(), WANTED), WANTED)
    assert len(todo.steps) == 12
    assert server.changes == []


def test_a_key_that_is_there_but_unknown_here_is_said_and_replaced_only_when_asked(server):
    run(server)
    todo = setup.plan(setup.read(server.management(), WANTED), WANTED, key_works=False)
    assert todo.steps == ()
    assert "--new-key" in todo.notes[0]
    outcome = run(server, new_key=True)
    (keys,) = server.keys.values()
    assert [f"API_{id_}" for id_ in keys] == [outcome.api_key.get_secret_value()]


def test_the_servers_default_domain_houses_the_service_account(server):
    server.singletons["SystemSettings"]["defaultDomainId"] = server._add("Domain", {"name": "mail.test"})
    assert run(server).account == "deftmail-service@mail.test"
    assert len(server.objects["Domain"]) == 1


def test_another_origin_moves_our_hooks_and_leaves_others(server):
    run(server)
    theirs = server._add("MtaHook", {"url": "https://other.test/hook", "stages": {"data": True}})
    double = server._add("WebHook", {"url": "https://old.test/engine/stalwart/events"})
    moved = Wanted("http://nginx:8081", "acme.test")
    setup.apply(server.management(), setup.plan(setup.read(server.management(), moved), moved, key_works=True))
    urls = [hook["url"] for hook in server.objects["MtaHook"].values()]
    assert sorted(urls) == ["http://nginx:8081/engine/stalwart/hook"] * 2 + ["https://other.test/hook"]
    assert theirs in server.objects["MtaHook"]
    assert double not in server.objects["WebHook"]


def test_an_edit_behind_our_back_is_put_right(server):
    run(server)
    hook = next(iter(server.objects["MtaHook"].values()))
    hook["tempFailOnError"] = False
    hook["httpHeaders"]["X-DeftMail-Secret"] = "another"  # as after a change of DEFTMAIL_SECRET_KEY
    account = next(iter(server.objects["Account"].values()))
    account |= {"roles": {"@type": "User"}, "description": "x"}
    account["credentials"]["0"]["secret"] = "typed by hand"
    throttle = next(iter(server.objects["MtaInboundThrottle"].values()))
    throttle["match"] = {"else": "remote_ip != '10.0.0.1'", "match": {}}
    done = run(server, key_works=True).done
    assert any("tempFailOnError, httpHeaders" in step for step in done)
    assert hook["tempFailOnError"] is True
    assert account["credentials"]["0"]["secret"] == secret_for(Purpose.SERVICE)
    assert throttle["match"]["else"] == "is_empty(authenticated_as) && (remote_ip != '10.0.0.1')"


def test_a_run_that_ended_half_way_is_taken_up(server):
    server.fails_at = "WebHook"
    with pytest.raises(EngineRefused, match="webhook"):
        run(server)
    assert server.reloads == 0
    server.fails_at = None
    done = run(server, key_works=True).done
    assert not any(step.startswith("service account") for step in done)
    assert done[-1] == "key of the service account"  # it had not been issued, so it is not lost
    assert len(server.objects["MtaHook"]) == 2
    assert server.reloads == 1


def test_a_reload_that_did_not_happen_is_an_error_that_names_the_cause(server):
    server.reload_works = False
    with pytest.raises(EngineRefused, match=r"SpamPyzor: no host.*Nothing of it is in force"):
        run(server)


def test_metrics_somebody_set_up_and_unlimited_app_passwords_are_left(server):
    server.singletons["Metrics"]["prometheus"] = {"@type": "Enabled", "authUsername": "grafana"}
    server.singletons["Authentication"]["maxAppPasswords"] = None
    run(server)
    assert server.singletons["Metrics"]["prometheus"]["authUsername"] == "grafana"
    assert server.singletons["Authentication"]["maxAppPasswords"] is None


def test_a_server_before_0_16_and_a_wrong_password_are_refused_clearly(server):
    server.session, server.managed = {"accounts": {"a": {"accountCapabilities": {}}}}, False
    with pytest.raises(EngineRefused, match=r"0\.16 or newer"):
        setup.read(server.management(), WANTED)
    server.status = 401
    with pytest.raises(EngineAuthFailed):
        setup.read(server.management(), WANTED)
    assert not setup.answers(server.management())


@pytest.mark.parametrize(
    ("throttle", "changed"),
    [
        ({"enable": False}, []),
        ({"match": {"else": "is_empty(authenticated_as)"}, "key": {"remoteIp": True}}, []),
        ({"match": {"else": "!is_empty(authenticated_as)"}, "key": {"authenticatedAs": True}}, []),
        ({"key": {"remoteIp": True}}, ["match"]),
        ({"key": {"senderDomain": True, "rcpt": True}, "rate": {"count": 25, "period": 3_600_000}}, ["match", "rate"]),
        ({"key": {"senderDomain": True, "rcpt": True}, "rate": {"count": 26, "period": 3_600_000}}, ["match"]),
    ],
)
def test_throttles_that_hold_up_signed_in_people_are_narrowed(throttle, changed):
    assert list(throttle_change(throttle)) == changed


def test_differences_know_sets_secrets_and_what_the_server_adds():
    wanted = {"stages": {"data": True}, "timeout": 1, "auth": {"@type": "Value", "secret": "s"}, "match": {}}
    same = {"stages": {"data": True}, "timeout": 1, "auth": {"@type": "Value", "secret": "****", "x": 1}, "more": 2}
    assert differences(wanted, same) == []
    assert differences(wanted, {**same, "stages": {"data": True, "mail": True}}) == ["stages"]
    assert differences(wanted, {**same, "match": {"0": {"if": "x"}}, "timeout": 2}) == ["timeout", "match"]
    assert differences(wanted, {**same, "auth": {"@type": "None"}}) == ["auth"]
    assert differences(wanted, {}) == ["stages", "timeout", "auth"]


def our_web(status=200):
    def handle(request):
        assert request.headers["Authorization"] == f"Bearer {secret_for(Purpose.HOOK)}"
        return httpx2.Response(status, json={"action": "accept"})

    return httpx2.MockTransport(handle)


def examined(server, **values):
    options = {"has_key": True, "account": "deftmail-service@acme.test", "transport": our_web()} | values
    return doctor.examine(server.management("Bearer API_x"), WANTED, **options)


def test_the_doctor_finds_nothing_after_a_set_up_and_everything_before_it(server):
    assert len(examined(server)) == 12
    run(server)
    assert examined(server) == []
    assert server.reloads == 1  # it changed nothing


def test_the_doctor_says_what_is_wrong_in_one_line_each(server):
    run(server)
    next(iter(server.objects["WebHook"].values()))["events"] = {}
    (line,) = examined(server)
    assert line.startswith("not as it should be: webhook")
    assert line.endswith(": events")
    lines = examined(server, has_key=False, transport=our_web(401), account="")
    assert [line.split()[0] for line in lines] == ["DEFTMAIL_STALWART_API_KEY", "our"]
    assert "HTTP 404" in examined(server, transport=our_web(404))[-1]
    assert "DEFTMAIL_STALWART_ACCOUNT is empty" in examined(server, account="")[1]
    server.status = 401
    assert "refuses our key" in examined(server)[0]
    server.status = 500
    assert "HTTP 500" in examined(server)[0]
    server.status, server.session, server.managed = 200, {}, False
    assert "0.16 or newer" in examined(server)[0]


def test_every_error_of_a_broken_server_is_one_of_the_ports(server):
    for handle in (
        lambda _request: httpx2.Response(200, text="<html>"),
        lambda _request: (_ for _ in ()).throw(httpx2.ConnectError("away")),
        lambda _request: httpx2.Response(503),
    ):
        broken = Management("http://stalwart.test", "Basic x", transport=httpx2.MockTransport(handle))
        with pytest.raises(EngineError) as caught:
            setup.read(broken, WANTED)
        assert isinstance(caught.value, EngineUnavailable)
