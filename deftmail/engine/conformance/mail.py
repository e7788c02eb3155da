"""Cases about mail in mailboxes, groups, app passwords, and an engine that is away."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from uuid import uuid4

from deftmail.engine.conformance.world import DeliveryRefused, World, message, refusal_of
from deftmail.engine.errors import EngineUnavailable, NotSupported
from deftmail.engine.names import domain_of
from deftmail.engine.port import GroupSpec, MailEngine
from deftmail.engine.specimens import domain_spec, mailbox_spec


def delivered_mail_is_read_by_its_mailbox(engine: MailEngine, world: World) -> None:
    spec = world.mailbox()
    world.deliver(spec.address, message("hello"))
    seen = world.subjects(spec.address)
    assert seen["inbox"] == ["hello"], f"{seen}"
    assert engine.jmap_access(spec.address).username == spec.address


def one_mailbox_does_not_open_another(engine: MailEngine, world: World) -> None:
    domain = world.domain().name
    alice, bob = (world.mailbox(local, domain=domain) for local in ("alice", "bob"))
    world.deliver(alice.address, message("private"))
    assert not any(world.subjects(bob.address).values())
    assert world.reads_other(alice.address, alice.address), "the probe itself does not work"
    # Where one key acts for all, an access is kept to its mailbox by the account it names.
    assert not world.reads_other(bob.address, alice.address), "one mailbox's access opens another"


def spam_is_filed_to_junk(engine: MailEngine, world: World) -> None:
    spec = world.mailbox()
    world.deliver(spec.address, message("cheap pills", headers={"X-Spam": "Yes"}))
    world.deliver(spec.address, message("lunch", headers={"X-Spam": "No"}))
    seen = world.subjects(spec.address)
    assert seen["junk"] == ["cheap pills"], f"{seen}"
    assert seen["inbox"] == ["lunch"], f"{seen}"


def full_mailbox_defers_mail(engine: MailEngine, world: World) -> None:
    spec = world.mailbox(quota_mb=1)
    world.deliver(spec.address, message("fits", size=700_000))

    def deliver_more() -> None:
        for _ in range(3):  # an engine may take the message that fills the mailbox up, and refuse from then on
            world.deliver(spec.address, message("too much", size=700_000))

    refused = refusal_of(DeliveryRefused, deliver_more, "a full mailbox takes mail without end")
    assert refused.temporary, "a full mailbox must not lose mail: the sender has to try again"
    assert "fits" in world.subjects(spec.address)["inbox"]


def mail_for_nobody_is_refused(engine: MailEngine, world: World) -> None:
    name = world.domain().name
    refusal_of(
        DeliveryRefused,
        lambda: world.deliver(f"nobody@{name}", message("lost")),
        "mail for an address without a mailbox was taken",
    )


def quota_lowered_below_usage_keeps_the_mail(engine: MailEngine, world: World) -> None:
    spec = world.mailbox(quota_mb=10)
    world.deliver(spec.address, message("large", size=2_000_000))
    engine.apply_mailbox(mailbox_spec(spec.address, id=spec.id, quota_mb=1))
    assert world.subjects(spec.address)["inbox"] == ["large"]
    usage = engine.usage([spec.address])[spec.address]
    assert usage.limit_bytes is not None
    assert usage.used_bytes > usage.limit_bytes


def group_is_applied_and_removed_any_number_of_times(engine: MailEngine, world: World) -> None:
    box = world.mailbox()
    group = GroupSpec(uuid4(), f"team@{domain_of(box.address)}", (box.address,), "Team")
    for _ in range(2):
        engine.apply_group(group)
    assert [found.address for found in engine.list_mailboxes(domain_of(box.address))] == [box.address]
    for _ in range(2):
        engine.remove_group(group.address, group.id)


def app_passwords_are_as_capabilities_say(engine: MailEngine, world: World) -> None:
    box = world.mailbox()
    if not engine.capabilities.app_passwords:
        issue = partial(engine.issue_app_password, box.address, box.id, "phone")
        assert refusal_of(NotSupported, issue, "an ability that is not announced").permanent
        return
    made = engine.issue_app_password(box.address, box.id, "phone")
    assert len(made.secret.get_secret_value()) >= 16
    for _ in range(2):
        engine.revoke_app_password(box.address, box.id, made.id)


def engine_away_is_unavailable_not_refused(engine: MailEngine, world: World) -> None:
    away = world.unreachable()
    name = world.new_name()
    box = mailbox_spec(f"alice@{name}")
    calls: dict[str, Callable[[], object]] = {
        "apply_domain": lambda: away.apply_domain(domain_spec(name)),
        "remove_domain": lambda: away.remove_domain(name, uuid4()),
        "apply_mailbox": lambda: away.apply_mailbox(box),
        "apply_mailboxes": lambda: away.apply_mailboxes([box]),
        "remove_mailbox": lambda: away.remove_mailbox(box.address, box.id),
        "usage": lambda: away.usage([box.address]),
        "list_domains": away.list_domains,
        "list_mailboxes": lambda: away.list_mailboxes(name),
    }
    for operation, call in calls.items():
        error = refusal_of(EngineUnavailable, call, f"{operation} succeeded on an engine that is away")
        assert not error.permanent, operation
        assert str(error.reason), operation


def health_says_what_is_well_and_what_is_not(engine: MailEngine, world: World) -> None:
    health = engine.health()
    assert health.ok, f"{health.parts}"
    assert health.version, "the version is not known"
    away = world.unreachable().health()
    assert not away.ok
    assert set(away.parts) == set(health.parts)


CASES = (
    delivered_mail_is_read_by_its_mailbox,
    one_mailbox_does_not_open_another,
    spam_is_filed_to_junk,
    full_mailbox_defers_mail,
    mail_for_nobody_is_refused,
    quota_lowered_below_usage_keeps_the_mail,
    group_is_applied_and_removed_any_number_of_times,
    app_passwords_are_as_capabilities_say,
    engine_away_is_unavailable_not_refused,
    health_says_what_is_well_and_what_is_not,
)
