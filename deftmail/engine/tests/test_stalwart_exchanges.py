"""The fake Stalwart answers every recorded exchange as the real one did."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import bcrypt
import httpx2
import pytest

from deftmail.engine.drivers.stalwart.fake.server import FakeStalwart
from deftmail.engine.specimens import private_key

EXCHANGES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "data" / "stalwart_exchanges.json").read_text(encoding="utf-8")
)
ADMIN = "admin:s3cret-admin-pw"
# Values that differ from run to run: the fake's must be of the same type.
PASSING = {
    *("state", "newState", "oldState", "sessionState", "createdAt", "sendAt", "secret", "publicKey", "dnsZoneFile"),
    *("size", "blobId", "threadId"),
}
OLD, NEW = "the first password", "the second password"
# The passwords behind the recorded hashes are not known: ours are sent in their place.
HASHES = {
    "$2b$12$qTYp.OM4lvYwUtHrBFDvSO.sF.QZLBG58/xeBGcMr5mJSb29fHJ7u": OLD,
    "$2b$12$B1j1Y.OySt.f1IQQ80gK0.QwSa3ehWAdgh.eOpCxOqiLHrg7f/J4C": NEW,
}


def _header(pair: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}


def _same(recorded: Any, ours: Any, path: str = "") -> None:
    """Raises AssertionError where our answer is not the recorded one."""
    name = path.rsplit("/", 1)[-1]
    if name in PASSING:
        assert type(ours) is type(recorded), f"{path}: {ours!r} for {recorded!r}"
    elif name == "id" and len(recorded) > 7:
        assert len(ours) > 7, f"{path}: {ours!r} is no id made of a clock"
    elif name == "id" and "/created/r/" in path:
        assert isinstance(ours, str), path  # an action's id stands for nothing
    elif isinstance(recorded, dict):
        assert isinstance(ours, dict), path
        assert set(ours) == set(recorded), f"{path}: {sorted(set(ours) ^ set(recorded))}"
        for key, value in recorded.items():
            _same(value, ours[key], f"{path}/{key}")
    elif isinstance(recorded, list) and recorded and isinstance(recorded[0], dict):
        assert len(ours) == len(recorded), path
        key = "id" if "id" in recorded[0] else None
        pairs = zip(
            *(sorted(items, key=lambda one: str(one.get(key))) if key else items for items in (recorded, ours)),
            strict=True,
        )
        for place, (one, other) in enumerate(pairs):
            _same(one, other, f"{path}[{place}]")
    elif isinstance(recorded, list):
        assert len(ours) == len(recorded), path
        for place, (one, other) in enumerate(zip(recorded, ours, strict=True)):
            _same(one, other, f"{path}[{place}]")
    else:
        assert ours == recorded, f"{path}: {ours!r} for {recorded!r}"


@pytest.fixture(scope="module")
def outcomes() -> dict[str, str]:
    """Every exchange in order on one server: "" or what differed."""
    fake = FakeStalwart(ADMIN)
    client = httpx2.Client(transport=fake.transport(), base_url="http://stalwart.test")
    found: dict[str, str] = {}
    for exchange in EXCHANGES:
        try:
            _play(fake, client, exchange)
        except AssertionError as error:
            found[exchange["title"]] = str(error).splitlines()[0]
        else:
            found[exchange["title"]] = ""
    return found


def _play(fake: FakeStalwart, client: httpx2.Client, exchange: dict[str, Any]) -> None:
    title, request, recorded = exchange["title"], exchange["request"], exchange["response"]
    if isinstance(request, str):
        pair = {
            "old password": f"jane@acme.test:{OLD}",
            "new password": f"jane@acme.test:{NEW}",
            "sign in while suspended": f"jane@acme.test:{NEW}",
            "wrong administrator password": "admin:wrong",
        }.get(title, ADMIN)
        method, path = ("POST", "/jmap/") if request.startswith("POST") else ("GET", "/jmap/session")
        response = client.request(method, path, headers=_header(pair))
        assert response.status_code == exchange["status"]
        if isinstance(recorded, str):
            assert response.json() == json.loads(recorded)
        elif recorded is not None:
            _session(recorded, response.json())
        return
    text = json.dumps(request).replace("(PKCS#8 PEM)", json.dumps(private_key())[1:-1])
    for recorded_hash, password in HASHES.items():
        text = text.replace(recorded_hash, bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode())
    if title == "install a Sieve script":
        blob = request["methodCalls"][0][1]["create"]["s"]["blobId"]
        fake.add_blob(b"keep;", "b", blob)
    response = client.post("/jmap/", headers=_header(ADMIN), content=text)
    assert response.status_code == exchange["status"]
    _same(recorded, response.json())


def _session(recorded: dict[str, Any], ours: dict[str, Any]) -> None:
    """The parts a client reads: where things are, the limits, whose account it is, and that management is announced."""
    assert set(ours) == set(recorded)
    for name in ("username", "apiUrl", "downloadUrl", "uploadUrl", "eventSourceUrl"):
        assert ours[name] == recorded[name]
    core = "urn:ietf:params:jmap:core"
    assert recorded["capabilities"][core].items() >= ours["capabilities"][core].items()
    assert set(recorded["capabilities"]) >= set(ours["capabilities"])
    assert recorded["primaryAccounts"].items() >= ours["primaryAccounts"].items()
    assert ours["primaryAccounts"]["urn:stalwart:jmap"] == "d333333"
    for account_id, account in ours["accounts"].items():
        told = recorded["accounts"][account_id]
        assert set(told["accountCapabilities"]) >= set(account["accountCapabilities"])
        assert {**told, "accountCapabilities": 0} == {**account, "accountCapabilities": 0}


@pytest.mark.parametrize("title", [exchange["title"] for exchange in EXCHANGES])
def test_the_fake_answers_as_recorded(title: str, outcomes: dict[str, str]) -> None:
    assert outcomes[title] == ""
