"""The API as a stranger's program meets it: over HTTP, against the running stack, until mail programs can sign in."""

from __future__ import annotations

import concurrent.futures
import imaplib
import secrets

import pytest

from tests.world import World, until

pytestmark = pytest.mark.servers
PASSWORD, OTHER = "plum orbit ledger quay", "quiet harbour tram sixteen"


def may_sign_in(world: World, address: str, password: str) -> bool:
    try:
        with world.imap(address, password):
            return True
    except imaplib.IMAP4.error:
        return False


def test_from_a_company_to_a_mailbox_and_back_to_nothing():
    world, tag = World(), secrets.token_hex(4)
    name = f"api{tag}.test"
    company = world.company("API", f"owner@{tag}.example", PASSWORD, plan="starter")
    with company.api as api:
        made = api.post("/domains", json={"domain": name}, headers={"Idempotency-Key": "domain"})
        assert made.status_code == 201, made.text
        domain = f"/domains/{made.json()['id']}"
        again = api.post("/domains", json={"domain": name}, headers={"Idempotency-Key": "domain"})
        assert (again.json(), again.headers["Idempotency-Replayed"]) == (made.json(), "true")

        early = api.post("/mailboxes", json={"email": f"anna@{name}", "password": PASSWORD})
        assert early.json()["type"].endswith("/domain-not-proven")
        assert api.get(early.json()["type"]).status_code == 200, "the problem's type is a page"

        world.zone(name)
        world.publish(name, made.json()["dns_records"])
        seen = []

        def active() -> bool:
            body = api.post(domain + "/verify").json()
            seen.append(body)
            return bool(body["status"] == "active")

        until(active, "the domain becomes active")
        assert {check["state"] for check in seen[-1]["checks"]} == {"pass"}
        assert api.get(domain).json()["provisioning"] == "ready"

        address = f"anna@{name}"
        new = {"email": address, "password": PASSWORD, "display_name": "Anna", "quota_mb": 100}
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            both = list(
                pool.map(lambda _: api.post("/mailboxes", json=new, headers={"Idempotency-Key": "anna"}), range(2))
            )
        assert [answer.status_code for answer in both] == [201, 201], [answer.text for answer in both]
        assert both[0].json()["id"] == both[1].json()["id"]
        assert len(api.get("/mailboxes").json()["items"]) == 1
        mailbox = f"/mailboxes/{both[0].json()['id']}"
        until(lambda: api.get(mailbox).json()["provisioning"] == "ready", "the mailbox is provisioned")
        assert may_sign_in(world, address, PASSWORD)

        assert api.post(mailbox + "/password", json={"password": OTHER}).status_code == 204
        assert may_sign_in(world, address, OTHER)
        assert not may_sign_in(world, address, PASSWORD)

        assert api.patch(mailbox, json={"status": "disabled"}).json()["status"] == "disabled"
        assert not may_sign_in(world, address, OTHER)
        assert api.patch(mailbox, json={"status": "active"}).json()["status"] == "active"
        assert may_sign_in(world, address, OTHER)

        held = api.delete(domain)
        assert (held.status_code, held.json()["addresses"]) == (409, [address])
        assert api.delete(mailbox).status_code == 204
        assert not may_sign_in(world, address, OTHER)
        assert api.delete(domain).status_code == 204
        assert api.get("/domains").json() == {"items": [], "next": None}


def test_errors_of_the_server_in_front_are_problems_too():
    world = World()
    company = world.company("API", f"owner@{secrets.token_hex(4)}.example", PASSWORD)
    with company.api as api:
        large = api.post("/domains", content=b"x" * 70_000, headers={"Content-Type": "application/json"})
        chunked = api.post("/domains", content=iter([b"x" * 40_000] * 2), headers={"Content-Type": "application/json"})
        unknown = api.get("/nothing")
        method = api.put("/domains", json={})
        for answer, status in ((large, 413), (chunked, 413), (unknown, 404), (method, 405)):
            assert answer.status_code == status
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert answer.json()["status"] == status
        assert api.get("/domains").status_code == 200, "the connection, or a new one, goes on"
