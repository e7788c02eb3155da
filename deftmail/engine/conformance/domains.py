"""Cases about domains and their keys."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from uuid import uuid4

from deftmail.engine.conformance.world import World, refusal_of
from deftmail.engine.errors import EngineRefused
from deftmail.engine.port import FoundDomain, FoundKey, MailEngine
from deftmail.engine.specimens import dkim_key


def _found(engine: MailEngine, name: str) -> FoundDomain | None:
    matches = [domain for domain in engine.list_domains() if domain.name == name]
    assert len(matches) <= 1, f"{name} is listed {len(matches)} times"
    return matches[0] if matches else None


def _signing(engine: MailEngine, name: str) -> FoundKey | None:
    found = _found(engine, name)
    assert found is not None, f"{name} is not listed"
    return found.signing


def domain_is_listed_with_its_id(engine: MailEngine, world: World) -> None:
    spec = world.domain()
    found = _found(engine, spec.name)
    assert found is not None, "an applied domain is not listed"
    assert found.id == spec.id, f"listed for {found.id}, made for {spec.id}"


def domain_applied_twice_is_one(engine: MailEngine, world: World) -> None:
    spec = world.domain()
    before = _found(engine, spec.name)
    engine.apply_domain(spec)
    assert _found(engine, spec.name) == before, "the second apply changed something"


def dkim_key_is_installed(engine: MailEngine, world: World) -> None:
    key = dkim_key("s1", 1)
    spec = world.domain(dkim=key)
    assert _signing(engine, spec.name) == FoundKey("s1", key.fingerprint), "the key does not sign"


def dkim_key_rotates_to_another_selector(engine: MailEngine, world: World) -> None:
    spec = world.domain(dkim=dkim_key("old", 1))
    fresh = dkim_key("new", 2)
    engine.apply_domain(replace(spec, dkim=fresh))
    found = _found(engine, spec.name)
    assert found is not None, "the domain went away"
    assert found.signing == FoundKey("new", fresh.fingerprint), "the new key does not sign"
    assert "old" not in {key.selector for key in found.keys}, "the old key is still there"


def dkim_key_is_replaced_under_the_same_selector(engine: MailEngine, world: World) -> None:
    spec = world.domain(dkim=dkim_key("default", 1))
    fresh = dkim_key("default", 2)
    engine.apply_domain(replace(spec, dkim=fresh))
    assert _signing(engine, spec.name) == FoundKey("default", fresh.fingerprint), "the old key still signs"


def domain_without_key_signs_nothing(engine: MailEngine, world: World) -> None:
    spec = world.domain()
    engine.apply_domain(replace(spec, dkim=None))
    assert _signing(engine, spec.name) is None, "a key that was taken away still signs"


def removed_domain_is_gone_with_its_key(engine: MailEngine, world: World) -> None:
    spec = world.domain()
    engine.remove_domain(spec.name, spec.id)
    assert _found(engine, spec.name) is None, "the domain or its key is still there"


def removing_an_absent_domain_is_success(engine: MailEngine, world: World) -> None:
    spec = world.domain()
    engine.remove_domain(spec.name, spec.id)
    engine.remove_domain(spec.name, spec.id)
    engine.remove_domain(world.new_name(), uuid4())


def removing_a_domain_for_another_id_touches_nothing(engine: MailEngine, world: World) -> None:
    spec = world.domain()
    before = _found(engine, spec.name)
    engine.remove_domain(spec.name, uuid4())
    assert _found(engine, spec.name) == before, "a late removal of an earlier owner took the present one's domain"


def domain_of_a_new_row_takes_the_name_over(engine: MailEngine, world: World) -> None:
    first = world.domain(dkim=dkim_key("s1", 1))
    key = dkim_key("s2", 2)
    second = world.domain(first.name, id=uuid4(), dkim=key)
    engine.remove_domain(first.name, first.id)  # the late job of the first owner
    found = _found(engine, first.name)
    assert found is not None, "the late removal took the new domain"
    assert (found.id, found.signing) == (second.id, FoundKey("s2", key.fingerprint)), "the first owner's key remains"


def subdomain_is_a_domain_of_its_own(engine: MailEngine, world: World) -> None:
    parent = world.domain(dkim=dkim_key("s1", 1))
    below = dkim_key("s1", 2)
    name = f"sub.{parent.name}"
    child = world.domain(name, dkim=below)
    try:
        assert _signing(engine, parent.name) == FoundKey("s1", dkim_key("s1", 1).fingerprint), "the parent's key"
        assert _signing(engine, name) == FoundKey("s1", below.fingerprint), "the child's key"
        engine.remove_domain(parent.name, parent.id)
        assert _found(engine, name) is not None, "removing the parent took the child"
    finally:
        engine.remove_domain(name, child.id)


def domain_with_an_international_name(engine: MailEngine, world: World) -> None:
    name = f"xn--bcher-kva.{world.new_name()}"
    spec = world.domain(name)
    try:
        assert _found(engine, name) is not None, "an A-label is not listed as it was given"
        box = world.mailbox("alice", domain=name)
        assert [found.address for found in engine.list_mailboxes(name)] == [box.address]
    finally:
        world.clean(name)
        engine.remove_domain(name, spec.id)


def hostile_domain_names_are_refused(engine: MailEngine, world: World) -> None:
    for name in (
        "",
        "*",
        "a",
        "acme.test\r\nx",
        'a"b.test',
        "../acme.test",
        "acme.test ",
        "ACME.TEST",
        "b\u00fccher.test",
    ):
        for call in (partial(engine.remove_domain, name, uuid4()), partial(engine.list_mailboxes, name)):
            error = refusal_of(EngineRefused, call, f"{name!r} was taken for a domain")
            assert error.permanent, f"{name!r}: trying again cannot help"


CASES = (
    domain_is_listed_with_its_id,
    domain_applied_twice_is_one,
    dkim_key_is_installed,
    dkim_key_rotates_to_another_selector,
    dkim_key_is_replaced_under_the_same_selector,
    domain_without_key_signs_nothing,
    removed_domain_is_gone_with_its_key,
    removing_an_absent_domain_is_success,
    removing_a_domain_for_another_id_touches_nothing,
    domain_of_a_new_row_takes_the_name_over,
    subdomain_is_a_domain_of_its_own,
    domain_with_an_international_name,
    hostile_domain_names_are_refused,
)
