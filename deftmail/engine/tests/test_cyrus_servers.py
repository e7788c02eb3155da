"""What only the real Cyrus, rspamd's Redis and their own people can show."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import pytest
import redis

from deftmail.engine.conformance.sessions import OTHER_HASH
from deftmail.engine.conformance.world import message
from deftmail.engine.drivers.cyrus.admin import NOTE_ENTRY, AdminSession, Note
from deftmail.engine.drivers.cyrus.driver import CyrusEngine
from deftmail.engine.drivers.cyrus.keys import DOMAINS, KEYS, SELECTORS
from deftmail.engine.drivers.cyrus.sieve import compose
from deftmail.engine.drivers.cyrus.world import CyrusWorld, as_person
from deftmail.engine.errors import EngineAuthFailed
from deftmail.engine.observed import ObservedEngine
from deftmail.engine.registry import world_of
from deftmail.engine.specimens import dkim_key
from deftmail.jmap import AuthFailed, JmapClient, MailAccount
from deftmail.kit.conf import conf

pytestmark = pytest.mark.servers


@pytest.fixture
def world() -> Iterator[CyrusWorld]:
    made = world_of("cyrus")
    assert isinstance(made, CyrusWorld)
    with made.cleaned():
        yield made
    made.engine.close()


def admin(password: str | None = None) -> AdminSession:
    host, _, port = conf.cyrus_admin.rpartition(":")
    return AdminSession(
        host, int(port), conf.cyrus_admin_user, password or conf.cyrus_admin_password.get_secret_value()
    )


def rspamd_keys() -> redis.Redis:
    return redis.Redis.from_url(conf.redis_url, decode_responses=True)


def test_keys_lie_where_rspamd_looks(world: CyrusWorld) -> None:
    key = dkim_key("s1", 1)
    spec = world.domain(dkim=key)
    store = rspamd_keys()
    assert store.hget(SELECTORS, spec.name) == "s1"
    assert store.hget(KEYS, f"s1.{spec.name}") == key.private_key.get_secret_value()
    world.engine.apply_domain(replace(spec, dkim=dkim_key("s2", 2)))
    assert store.hget(SELECTORS, spec.name) == "s2"
    assert store.hget(KEYS, f"s1.{spec.name}") is None, "the replaced key is still there"
    world.engine.remove_domain(spec.name, spec.id)
    assert store.hmget(KEYS, [f"s1.{spec.name}", f"s2.{spec.name}"]) == [None, None]
    assert store.hget(SELECTORS, spec.name) is None
    assert store.hget(DOMAINS, spec.name) is None


def test_the_operators_own_key_is_not_a_customers_domain(world: CyrusWorld) -> None:
    assert rspamd_keys().hget(SELECTORS, conf.operator_domain), "the stack installs it"
    assert conf.operator_domain not in {domain.name for domain in world.engine.list_domains()}


def test_a_key_installed_by_hand_is_listed_as_nobodys(world: CyrusWorld) -> None:
    name, store = world.new_name(), rspamd_keys()
    store.hset(SELECTORS, name, "x")
    store.hset(KEYS, f"x.{name}", "no key at all")
    try:
        found = next(domain for domain in world.engine.list_domains() if domain.name == name)
        assert found.id is None
        assert found.signing is not None
        assert found.signing.fingerprint == ""
    finally:
        store.hdel(SELECTORS, name)
        store.hdel(KEYS, f"x.{name}")


def test_a_mailbox_made_by_hand_is_taken_over_with_its_mail(world: CyrusWorld) -> None:
    domain = world.domain().name
    address = f"hand@{domain}"
    with admin() as session:
        session._run("CREATE", f'"user/{address}"')
    world.deliver(address, message("before"))
    assert [box.id for box in world.engine.list_mailboxes(domain)] == [None]
    world.engine.remove_mailbox(address, uuid4())
    assert world.engine.list_mailboxes(domain), "what we did not make, we do not erase"
    spec = world.mailbox("hand", domain=domain)
    assert [box.id for box in world.engine.list_mailboxes(domain)] == [spec.id]
    assert world.subjects(address)["inbox"] == ["before"]


def test_a_person_can_neither_see_nor_change_whose_mailbox_it_is(world: CyrusWorld) -> None:
    spec = world.mailbox()
    with as_person(spec.address) as person:
        _kind, answer = person._simple_command("GETMETADATA", "INBOX", f"({NOTE_ENTRY})")
        assert str(spec.id) not in str(answer) + str(person.response("METADATA"))
        for entry in (NOTE_ENTRY, "/shared/comment"):
            person._simple_command("SETMETADATA", "INBOX", f'({entry} "{uuid4()}")')
    assert [box.id for box in world.engine.list_mailboxes(spec.address.partition("@")[2])] == [spec.id]
    with admin() as session:
        note = session.find(spec.address)
    assert note is not None
    assert note.made_for == spec.id


def test_the_script_is_ours_and_comes_back_when_it_was_changed(world: CyrusWorld) -> None:
    spec = world.mailbox()
    account = MailAccount(world.engine.jmap_access(spec.address), client=JmapClient())
    assert account.sieve_get() == compose()
    account.sieve_put("discard;")
    world.engine.apply_mailbox(spec)
    assert account.sieve_get() == compose()
    world.deliver(spec.address, message("not discarded"))
    assert world.subjects(spec.address)["inbox"] == ["not discarded"]


def test_spam_finds_the_junk_folder_also_when_it_was_renamed(world: CyrusWorld) -> None:
    spec = world.mailbox()
    account = MailAccount(world.engine.jmap_access(spec.address), client=JmapClient())
    junk = account.folders().role("junk")
    assert junk is not None
    account.rename_folder(junk.id, "Unwanted")
    world.deliver(spec.address, message("cheap pills", headers={"X-Spam": "Yes"}))
    assert world.subjects(spec.address)["junk"] == ["cheap pills"]


def test_a_folder_that_was_deleted_comes_back(world: CyrusWorld) -> None:
    spec = world.mailbox()
    account = MailAccount(world.engine.jmap_access(spec.address), client=JmapClient())
    archive = account.folders().role("archive")
    assert archive is not None
    account.delete_folder(archive.id)
    assert "archive" not in world.subjects(spec.address)
    world.engine.apply_mailbox(spec)
    assert "archive" in world.subjects(spec.address)


def test_a_token_of_another_key_opens_nothing(world: CyrusWorld) -> None:
    spec = world.mailbox()
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=")
    claims = json.dumps({"sub": spec.address, "iat": int(time.time()) - 5}).encode()
    body = head + b"." + base64.urlsafe_b64encode(claims).rstrip(b"=")
    forged = base64.urlsafe_b64encode(hmac.new(b"x" * 32, body, hashlib.sha256).digest()).rstrip(b"=")
    headers = {"Authorization": f"Bearer {(body + b'.' + forged).decode()}"}
    access = replace(world.engine.jmap_access(spec.address), headers=headers, refresh=None)
    with pytest.raises(AuthFailed):
        MailAccount(access, client=JmapClient()).folders()


def test_an_expired_token_is_renewed_by_itself(world: CyrusWorld) -> None:
    spec = world.mailbox()
    observed = world.engine
    assert isinstance(observed, ObservedEngine)
    driver = observed.driver
    assert isinstance(driver, CyrusEngine)
    expired = driver._tokens._sign(spec.address, int(time.time()) - 4_000)
    driver._tokens._kept[spec.address] = (time.time(), expired)
    folders = MailAccount(driver.jmap_access(spec.address), client=JmapClient()).folders()
    assert folders.role("inbox") is not None
    assert driver._tokens.token(spec.address) != expired


def test_the_stacks_cyrus_ends_sessions(world: CyrusWorld) -> None:
    assert world.engine.capabilities.ends_sessions, "the promises about sessions are not tried"
    assert world.engine.health().parts["sessions"] == ""


def test_a_mailbox_of_an_earlier_release_signs_everybody_out_once(world: CyrusWorld) -> None:
    """Nothing is known of the password its people came in with, and the first change may be a lost phone's."""
    spec = world.mailbox()
    fresh = replace(spec, password_hash=OTHER_HASH)
    with admin() as session:
        session.set_note(spec.address, Note(spec.id))
    with world.program(spec.address, idle=True) as works:
        world.engine.apply_mailbox(fresh)
        assert not works()
    with world.program(spec.address, idle=True) as works:
        world.engine.apply_mailbox(replace(fresh, quota_mb=7))
        assert works()


def test_a_wrong_administrators_password_is_said_so() -> None:
    with pytest.raises(EngineAuthFailed), admin("wrong"):
        pass
