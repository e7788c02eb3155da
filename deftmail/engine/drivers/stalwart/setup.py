"""Taking a Stalwart that answers with its administrator to what we need: read, plan, apply, check the reload.

`plan` is pure: from what was found and what is wanted to steps, so that `--dry-run` shows exactly what would be done
and a second run finds nothing to do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from deftmail.engine.drivers.stalwart.objects import password_patch
from deftmail.engine.drivers.stalwart.wanted import (
    API_KEYS,
    APP_PASSWORDS,
    EVENTS_PATH,
    HOOK_PATH,
    METRICS_USER,
    Wanted,
    differences,
    throttle_change,
)
from deftmail.engine.drivers.stalwart.wire import Management, set_error
from deftmail.engine.errors import EngineError, EngineRefused
from deftmail.engine.shared import Purpose, fingerprint, secret_for

Object = dict[str, Any]
SINGLETON = "singleton"
SERVICE_NAME = "deftmail-service"
KEY_LABEL = "DeftMail control plane"


@dataclass(frozen=True, slots=True)
class Found:
    """What a server holds of what concerns us. `domain`: where the service account lives, or shall."""

    authentication: Object
    metrics: Object
    stage_data: Object
    email: Object
    hooks: Sequence[Object]
    webhooks: Sequence[Object]
    throttles: Sequence[Object]
    domain: Object | None
    account: Object | None
    keys: Sequence[Object]


@dataclass(frozen=True, slots=True)
class Step:
    """One change. Ids that an earlier step makes are named in `refs`: property (or `accountId`) to step name."""

    sentence: str
    kind: str
    create: Object | None = None
    update: tuple[str, Object] | None = None
    destroy: str | None = None
    name: str = ""
    refs: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in their order, and what a person should know. `ids`: of what is there already, by step name."""

    steps: tuple[Step, ...]
    notes: tuple[str, ...]
    ids: dict[str, str]
    account: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done. `api_key`: shown by the server once, None when none was issued."""

    account: str
    done: tuple[str, ...]
    api_key: SecretStr | None


def read(server: Management, wanted: Wanted) -> Found:
    """Look at the server, change nothing. Raises EngineError; EngineRefused for a server before 0.16."""
    server.session()
    settings = ("Authentication", "Metrics", "MtaStageData", "Email", "SystemSettings")
    lists = ("MtaHook", "WebHook", "MtaInboundThrottle")
    told = server.ask(
        [(f"x:{kind}/get", {"ids": [SINGLETON]}) for kind in settings]
        + [(f"x:{kind}/get", {"ids": None}) for kind in lists]
    )
    authentication, metrics, stage_data, email, system = (_first(answer) for answer in told[:5])
    hooks, webhooks, throttles = (_objects(answer) for answer in told[5:])
    domain = _domain(server, wanted, system)
    account = None
    keys: list[Object] = []
    if domain is not None:
        account = next(iter(server.find("Account", {"name": SERVICE_NAME, "domainId": domain["id"]})), None)
    if account is not None:
        [answer] = server.ask([("x:ApiKey/get", {"accountId": account["id"], "ids": None})])
        keys = [key for key in _objects(answer) if key.get("description") == KEY_LABEL]
    return Found(authentication, metrics, stage_data, email, hooks, webhooks, throttles, domain, account, keys)


def answers(server: Management) -> bool:
    """Whether the server takes this sign-in."""
    try:
        server.session()
    except EngineError:
        return False
    return True


def _domain(server: Management, wanted: Wanted, system: Object) -> Object | None:
    """The server's default domain, else the operator's own, else none yet."""
    default = system.get("defaultDomainId")
    if isinstance(default, str) and default:
        known = server.get("Domain", [default])
        if known:
            return known[0]
    named = server.find("Domain", {"name": wanted.operator_domain})
    return next((domain for domain in named if domain.get("name") == wanted.operator_domain), None)


def plan(found: Found, wanted: Wanted, *, key_works: bool = False, new_key: bool = False) -> Plan:
    """What has to be done. `key_works`: the key in our settings is taken by the server; `new_key`: issue another."""
    steps: list[Step] = []
    notes: list[str] = []
    ids: dict[str, str] = {}
    domain_name = str(found.domain["name"]) if found.domain else wanted.operator_domain
    steps += _limits(found)
    steps += _identity(found, wanted, ids)
    steps += _callbacks("MtaHook", HOOK_PATH, wanted.hooks(), found.hooks)
    steps += _callbacks("WebHook", EVENTS_PATH, [wanted.webhook()], found.webhooks)
    for throttle in found.throttles:
        if change := throttle_change(throttle):
            title = throttle.get("description") or throttle["id"]
            steps.append(
                Step(f"inbound throttle {title!r} holds up signed-in people or large providers: {', '.join(change)}",
                     "MtaInboundThrottle", update=(str(throttle["id"]), change))
            )  # fmt: skip
    steps += _singleton(
        "MtaStageData", "the largest message is what our hook reads", wanted.message_size(), found.stage_data
    )
    folders = found.email.get("defaultFolders") or {}
    if "archive" not in folders:
        steps += _singleton("Email", "new mailboxes get an archive folder", wanted.folders(folders), found.email)
    prometheus = found.metrics.get("prometheus") or {}
    theirs = prometheus.get("@type") == "Enabled" and not str(prometheus.get("authUsername")).startswith(METRICS_USER)
    if not theirs:
        steps += _singleton("Metrics", "figures for Prometheus behind a password", wanted.metrics(), found.metrics)
    # Last: a key is shown once, and a step that fails after it would lose it.
    if new_key or not found.keys:
        steps += _new_key(found, ids)
    elif not key_works:
        notes.append(
            "The service account has a key, but DEFTMAIL_STALWART_API_KEY does not hold it. "
            "Put it there, or run the set-up with --new-key to replace it"
        )
    return Plan(tuple(steps), tuple(notes), ids, f"{SERVICE_NAME}@{domain_name}")


def _limits(found: Found) -> Iterator[Step]:
    change: Object = {}
    for name, least in (("maxAppPasswords", APP_PASSWORDS), ("maxApiKeys", API_KEYS)):
        # Absent: an answer without the property; null: no limit.
        now = found.authentication.get(name, 0)
        if now is not None and now < least:
            change[name] = least
    if change:
        told = ", ".join(f"{name} {value}" for name, value in change.items())
        yield Step(f"limits of app passwords and keys: {told}", "Authentication", update=(SINGLETON, change))


def _identity(found: Found, wanted: Wanted, ids: dict[str, str]) -> Iterator[Step]:
    secret = secret_for(Purpose.SERVICE)
    description = f"{KEY_LABEL} ({fingerprint(secret)})"
    if found.domain is None:
        name = wanted.operator_domain
        create = {"name": name, "dkimManagement": {"@type": "Manual"}}
        yield Step(f"domain {name} for the service account", "Domain", create=create, name="domain")
    else:
        ids["domain"] = str(found.domain["id"])
    if found.account is None:
        create = {
            "@type": "User",
            "name": SERVICE_NAME,
            "description": description,
            "roles": {"@type": "Admin"},
            "credentials": {"0": {"@type": "Password", "secret": secret}},
        }
        yield Step(
            f"service account {SERVICE_NAME}", "Account", create=create, name="account", refs={"domainId": "domain"}
        )
        return
    ids["account"] = str(found.account["id"])
    change: Object = {}
    if found.account.get("description") != description:
        change |= {"description": description, **password_patch(secret, found.account)}
    if found.account.get("roles", {}).get("@type") != "Admin":
        change["roles"] = {"@type": "Admin"}
    if found.account.get("permissions", {"@type": "Inherit"}).get("@type") != "Inherit":
        change["permissions"] = {"@type": "Inherit"}
    if change:
        told = ", ".join("password" if name.startswith("credentials/") else name for name in change)
        yield Step(f"service account {SERVICE_NAME}: {told}", "Account", update=(ids["account"], change))


def _new_key(found: Found, ids: dict[str, str]) -> Iterator[Step]:
    create = {"description": KEY_LABEL, "permissions": {"@type": "Inherit"}}
    yield Step("key of the service account", "ApiKey", create=create, name="key", refs={"accountId": "account"})
    for key in found.keys:
        yield Step("take the earlier key back", "ApiKey", destroy=str(key["id"]), refs={"accountId": "account"})


def _callbacks(kind: str, path: str, wanted: Sequence[Object], found: Sequence[Object]) -> Iterator[Step]:
    """Ours are those with our path; each wanted one takes the one of its stages, else any, and what is left goes."""
    ours = [each for each in found if str(each.get("url", "")).endswith(path)]
    for want in wanted:
        stages = want.get("stages")
        have = next((each for each in ours if stages is None or each.get("stages") == stages), None)
        title = f"{'hook at ' + next(iter(stages)) if stages else 'webhook'} to {want['url']}"
        if have is None:
            yield Step(title, kind, create=want)
            continue
        ours.remove(have)
        if changed := differences(want, have):
            yield Step(f"{title}: {', '.join(changed)}", kind, update=(str(have["id"]), want))
    for extra in ours:
        yield Step(f"one more of ours to {extra['url']} goes", kind, destroy=str(extra["id"]))


def _singleton(kind: str, sentence: str, wanted: Object, found: Object) -> Iterator[Step]:
    if differences(wanted, found):
        yield Step(sentence, kind, update=(SINGLETON, wanted))


def apply(server: Management, todo: Plan) -> Outcome:
    """Do the steps one after another and reload the settings, also without steps, since an earlier run may have ended
    between the two; keys come after that. Raises EngineError at the first that fails: run it again, what was done is
    found done."""
    ids = dict(todo.ids)
    key: SecretStr | None = None
    done: list[str] = []
    settings = [step for step in todo.steps if step.kind != "ApiKey"]
    for step in (*settings, None, *(step for step in todo.steps if step.kind == "ApiKey")):
        if step is None:
            reload_settings(server)
            continue
        made = _run(server, step, ids)
        if step.name:
            ids[step.name] = str(made.get("id", ""))
        if step.kind == "ApiKey" and step.create is not None:
            key = SecretStr(str(made.get("secret", "")))
        done.append(step.sentence)
    return Outcome(todo.account, tuple(done), key)


def _run(server: Management, step: Step, ids: dict[str, str]) -> Object:
    refs = {name: ids[target] for name, target in step.refs.items()}
    account_id = refs.pop("accountId", None)
    if step.create is not None:
        answer = server.set(step.kind, create={"new": {**step.create, **refs}}, account_id=account_id)
        if "new" not in answer.created:
            raise set_error(answer.not_created.get("new"), step.sentence)
        return answer.created["new"]
    if step.update is not None:
        id_, change = step.update
        answer = server.set(step.kind, update={id_: change}, account_id=account_id)
        if id_ not in answer.updated:
            raise set_error(answer.not_updated.get(id_), step.sentence)
        return {}
    gone = step.destroy or ""
    answer = server.set(step.kind, destroy=[gone], account_id=account_id)
    if gone not in answer.destroyed and answer.not_destroyed.get(gone, {}).get("type") != "notFound":
        raise set_error(answer.not_destroyed.get(gone), step.sentence)
    return {}


def reload_settings(server: Management) -> None:
    """Make the stored settings count. All or nothing: when one object does not build, none of them is applied."""
    answer = server.set("Action", create={"reload": {"@type": "ReloadSettings"}})
    if "reload" in answer.created:
        return
    told: EngineError = set_error(answer.not_created.get("reload"), "reloading the settings")
    raise EngineRefused(
        f"{told}. Nothing of it is in force: mend what it names (without DNS that is x:SpamPyzor, whose `enable` must "
        "be false) and run the set-up again",
        permanent=False,
    )


def _objects(answer: Object) -> list[Object]:
    listed = answer.get("list")
    return [each for each in listed if isinstance(each, dict) and each.get("id")] if isinstance(listed, list) else []


def _first(answer: Object) -> Object:
    listed = answer.get("list")
    return listed[0] if isinstance(listed, list) and listed and isinstance(listed[0], dict) else {}
