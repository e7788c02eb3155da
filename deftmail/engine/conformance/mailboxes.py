"""Cases about mailboxes: existence, identity, quota, listing, many at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from uuid import uuid4

from deftmail.engine.conformance.world import World, message, refusal_of
from deftmail.engine.errors import EngineRefused
from deftmail.engine.names import domain_of
from deftmail.engine.port import FoundMailbox, MailboxSpec, MailboxState, MailEngine
from deftmail.engine.specimens import mailbox_spec

MIB = 1024 * 1024
ROLES = {"inbox", "drafts", "sent", "junk", "trash", "archive"}


def _found(engine: MailEngine, address: str) -> FoundMailbox | None:
    matches = [box for box in engine.list_mailboxes(domain_of(address)) if box.address == address]
    assert len(matches) <= 1, f"{address} is listed {len(matches)} times"
    return matches[0] if matches else None


def _quota(engine: MailEngine, address: str) -> int | None:
    found = _found(engine, address)
    assert found is not None, f"{address} is not listed"
    usage = engine.usage([address])[address]
    expected = None if found.quota_mb is None else found.quota_mb * MIB
    assert usage.limit_bytes == expected, f"listing says {expected}, usage says {usage.limit_bytes}"
    return found.quota_mb


def _all_at_once(calls: Sequence[Callable[[], None]]) -> None:
    with ThreadPoolExecutor(len(calls)) as pool:
        for future in [pool.submit(call) for call in calls]:
            future.result()


def mailbox_is_listed_with_its_id(engine: MailEngine, world: World) -> None:
    spec = world.mailbox()
    found = _found(engine, spec.address)
    assert found is not None, "an applied mailbox is not listed"
    assert found.id == spec.id, f"listed for {found.id}, made for {spec.id}"


def mailbox_has_its_folders_by_role(engine: MailEngine, world: World) -> None:
    spec = world.mailbox()
    assert set(world.subjects(spec.address)) == ROLES, "a new mailbox has not exactly the usual folders"


def mailbox_applied_twice_changes_nothing(engine: MailEngine, world: World) -> None:
    spec = world.mailbox()
    world.deliver(spec.address, message("kept"))
    world.add_folder(spec.address, "Projects")
    before = (_found(engine, spec.address), world.subjects(spec.address))
    engine.apply_mailbox(spec)
    assert (_found(engine, spec.address), world.subjects(spec.address)) == before, "the second apply changed something"
    assert before[1]["inbox"] == ["kept"]
    assert "Projects" in before[1], "the person's own folder"


def quota_is_set(engine: MailEngine, world: World) -> None:
    assert _quota(engine, world.mailbox(quota_mb=25).address) == 25


def quota_is_changed_up_and_down(engine: MailEngine, world: World) -> None:
    spec = world.mailbox(quota_mb=25)
    for size in (1_000_000, 1):
        engine.apply_mailbox(replace(spec, quota_mb=size))
        assert _quota(engine, spec.address) == size


def quota_is_taken_away_and_given_back(engine: MailEngine, world: World) -> None:
    spec = world.mailbox(quota_mb=25)
    for size in (None, 30):
        engine.apply_mailbox(replace(spec, quota_mb=size))
        assert _quota(engine, spec.address) == size


def unlimited_mailbox_tells_its_usage(engine: MailEngine, world: World) -> None:
    spec = world.mailbox(quota_mb=None)
    world.deliver(spec.address, message("large", size=100_000))
    usage = engine.usage([spec.address])[spec.address]
    assert usage.limit_bytes is None
    assert usage.used_bytes >= 100_000, f"{usage.used_bytes} bytes"


def usage_grows_with_mail(engine: MailEngine, world: World) -> None:
    spec = world.mailbox()
    before = engine.usage([spec.address])[spec.address].used_bytes
    world.deliver(spec.address, message("large", size=200_000))
    grown = engine.usage([spec.address])[spec.address].used_bytes - before
    assert 195_000 <= grown <= 230_000, f"200,000 bytes of mail count as {grown}"


def usage_leaves_out_who_is_not_there(engine: MailEngine, world: World) -> None:
    spec = world.mailbox()
    nobody = f"nobody@{domain_of(spec.address)}"
    assert set(engine.usage([nobody, spec.address])) == {spec.address}
    assert engine.usage([]) == {}


def removed_mailbox_is_gone(engine: MailEngine, world: World) -> None:
    spec = world.mailbox()
    world.deliver(spec.address, message("secret"))
    engine.remove_mailbox(spec.address, spec.id)
    assert _found(engine, spec.address) is None, "still listed"
    assert engine.usage([spec.address]) == {}, "still has usage"


def removing_an_absent_mailbox_is_success(engine: MailEngine, world: World) -> None:
    spec = world.mailbox()
    for _ in range(2):
        engine.remove_mailbox(spec.address, spec.id)
    engine.remove_mailbox(f"nobody@{domain_of(spec.address)}", uuid4())
    engine.remove_mailbox(f"nobody@{world.new_name()}", uuid4())


def removing_a_mailbox_for_another_id_touches_nothing(engine: MailEngine, world: World) -> None:
    spec = world.mailbox()
    world.deliver(spec.address, message("kept"))
    engine.remove_mailbox(spec.address, uuid4())
    assert world.subjects(spec.address)["inbox"] == ["kept"], "a late removal took another incarnation's mail"


def recreated_address_is_empty(engine: MailEngine, world: World) -> None:
    spec = world.mailbox()
    world.deliver(spec.address, message("of the person before"))
    engine.remove_mailbox(spec.address, spec.id)
    engine.apply_mailbox(replace(spec, id=uuid4()))
    seen = world.subjects(spec.address)
    assert set(seen) == ROLES
    assert not any(seen.values()), f"old mail is shown: {seen}"


def address_of_a_new_row_is_empty_without_a_removal(engine: MailEngine, world: World) -> None:
    spec = world.mailbox(quota_mb=7)
    world.deliver(spec.address, message("of the person before"))
    world.add_folder(spec.address, "Old")
    fresh = replace(spec, id=uuid4(), quota_mb=8)
    engine.apply_mailbox(fresh)
    seen = world.subjects(spec.address)
    assert set(seen) == ROLES
    assert not any(seen.values()), f"old mail is shown: {seen}"
    assert _quota(engine, spec.address) == 8
    engine.remove_mailbox(spec.address, spec.id)  # the late job of the first row
    found = _found(engine, spec.address)
    assert found is not None, "the late removal took the new mailbox"
    assert found.id == fresh.id


def listing_is_exact(engine: MailEngine, world: World) -> None:
    name, other = world.domain().name, world.domain().name
    below = world.domain(f"sub.{name}")
    locals_ = ["a.b", "a_b", "ab", "a-b", "b", "0", "user"]
    specs = [mailbox_spec(f"{local}@{name}") for local in locals_]
    outcomes = engine.apply_mailboxes(specs)
    world.mailbox("elsewhere", domain=other)
    world.mailbox("below", domain=below.name)
    try:
        assert all(outcomes[spec.id] is None for spec in specs), f"bulk: {outcomes}"
        listed = {box.address: box.id for box in engine.list_mailboxes(name)}
        assert listed == {spec.address: spec.id for spec in specs}
        assert len(engine.list_mailboxes(below.name)) == 1
    finally:
        world.clean(below.name)


def longest_address_works_and_a_longer_one_is_refused(engine: MailEngine, world: World) -> None:
    name = world.domain().name
    longest = min(64, engine.capabilities.max_address - len(f"@{name}"))
    spec = world.mailbox("x" * longest, domain=name)
    world.deliver(spec.address, message("long"))
    assert world.subjects(spec.address)["inbox"] == ["long"]
    assert [box.address for box in engine.list_mailboxes(name)] == [spec.address]
    if longest < 64:
        over = mailbox_spec(f"{'x' * (longest + 1)}@{name}")
        error = refusal_of(EngineRefused, partial(engine.apply_mailbox, over), "an address longer than promised")
        assert error.permanent


def reserved_names_are_refused(engine: MailEngine, world: World) -> None:
    name = world.domain().name
    for local in engine.capabilities.reserved:
        refusal_of(EngineRefused, partial(engine.apply_mailbox, mailbox_spec(f"{local}@{name}")), f"{local} as a name")
    assert engine.list_mailboxes(name) == []


def listing_of_an_unknown_domain_is_empty(engine: MailEngine, world: World) -> None:
    assert engine.list_mailboxes(world.new_name()) == []


def similar_addresses_are_different_mailboxes(engine: MailEngine, world: World) -> None:
    name = world.domain().name
    first, second = (world.mailbox(local, domain=name) for local in ("a.b", "a_b"))
    world.deliver(first.address, message("for the dot"))
    engine.remove_mailbox(second.address, second.id)
    assert world.subjects(first.address)["inbox"] == ["for the dot"]


def applies_at_once_make_one_mailbox(engine: MailEngine, world: World) -> None:
    name = world.domain().name
    spec = mailbox_spec(f"alice@{name}", quota_mb=12)
    _all_at_once([partial(engine.apply_mailbox, spec)] * 4)
    assert [(box.address, box.id) for box in engine.list_mailboxes(name)] == [(spec.address, spec.id)]
    assert set(world.subjects(spec.address)) == ROLES, "two workers made a folder twice"
    assert _quota(engine, spec.address) == 12


def mailboxes_at_once_do_not_disturb_each_other(engine: MailEngine, world: World) -> None:
    name = world.domain().name
    specs = [mailbox_spec(f"m{number}@{name}") for number in range(4)]
    _all_at_once([partial(engine.apply_mailbox, spec) for spec in specs])
    assert {box.address: box.id for box in engine.list_mailboxes(name)} == {spec.address: spec.id for spec in specs}


def removals_at_once_are_success(engine: MailEngine, world: World) -> None:
    spec = world.mailbox()
    _all_at_once([partial(engine.remove_mailbox, spec.address, spec.id)] * 4)
    assert _found(engine, spec.address) is None


def bulk_tells_an_outcome_for_each(engine: MailEngine, world: World) -> None:
    name = world.domain().name
    specs = [mailbox_spec(f"{local}@{name}", quota_mb=5) for local in ("a", "b", "c")]
    engine.apply_mailbox(specs[1])
    outcomes = engine.apply_mailboxes(specs)
    assert outcomes == {spec.id: None for spec in specs}, f"{outcomes}"
    assert [_quota(engine, spec.address) for spec in specs] == [5, 5, 5]
    assert engine.apply_mailboxes([]) == {}


def display_name_in_any_script(engine: MailEngine, world: World) -> None:
    spec = replace(world.mailbox(), display_name='Zoë "Ζ" Ивано́ва \u5c71\u7530 \U0001f33f, Ltd.')
    engine.apply_mailbox(spec)
    found = _found(engine, spec.address)
    assert found is not None
    expected = spec.display_name if engine.capabilities.keeps_display_name else None
    assert found.display_name == expected


def state_is_kept_where_the_engine_enforces_it(engine: MailEngine, world: World) -> None:
    spec = world.mailbox()
    world.deliver(spec.address, message("before"))
    for state in (MailboxState.DISABLED, MailboxState.SUSPENDED, MailboxState.ACTIVE):
        engine.apply_mailbox(replace(spec, state=state))
        found = _found(engine, spec.address)
        assert found is not None, f"{state} took the mailbox away"
        assert found.state == (state if engine.capabilities.enforces_state else None)
        assert world.subjects(spec.address)["inbox"] == ["before"], f"{state} took mail away"


def hostile_addresses_are_refused(engine: MailEngine, world: World) -> None:
    name = world.domain().name
    local_parts = (
        "",
        "a b",
        "*",
        "%",
        "a/b",
        "a^b",
        'a"b',
        "a\\b",
        "a\r\nA1 DELETE user/b",
        "..",
        "A",
        "a\0",
        "\u0430",
    )
    hash_ = mailbox_spec("a@acme.test").password_hash
    for address in (*(f"{local}@{name}" for local in local_parts), f"{'x' * 65}@{name}", "a@", "a", "a@b@c.test"):
        calls: list[Callable[[], object]] = [
            partial(MailboxSpec, uuid4(), address, hash_),
            partial(engine.remove_mailbox, address, uuid4()),
            partial(engine.usage, [address]),
            partial(engine.jmap_access, address),
        ]
        for call in calls:
            error = refusal_of(EngineRefused, call, f"{address!r} was taken for an address")
            assert error.permanent, f"{address!r}: trying again cannot help"
    assert engine.list_mailboxes(name) == []


CASES = (
    mailbox_is_listed_with_its_id,
    mailbox_has_its_folders_by_role,
    mailbox_applied_twice_changes_nothing,
    quota_is_set,
    quota_is_changed_up_and_down,
    quota_is_taken_away_and_given_back,
    unlimited_mailbox_tells_its_usage,
    usage_grows_with_mail,
    usage_leaves_out_who_is_not_there,
    removed_mailbox_is_gone,
    removing_an_absent_mailbox_is_success,
    removing_a_mailbox_for_another_id_touches_nothing,
    recreated_address_is_empty,
    address_of_a_new_row_is_empty_without_a_removal,
    listing_is_exact,
    longest_address_works_and_a_longer_one_is_refused,
    reserved_names_are_refused,
    listing_of_an_unknown_domain_is_empty,
    similar_addresses_are_different_mailboxes,
    applies_at_once_make_one_mailbox,
    mailboxes_at_once_do_not_disturb_each_other,
    removals_at_once_are_success,
    bulk_tells_an_outcome_for_each,
    display_name_in_any_script,
    state_is_kept_where_the_engine_enforces_it,
    hostile_addresses_are_refused,
)
