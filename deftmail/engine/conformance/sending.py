"""Cases about people: signing in, sending by JMAP and by a mail program, states, routes, Sieve, hooks, events.

They need an engine that does these things itself (Stalwart), where others leave them to the gate and the MTA.
"""

from __future__ import annotations

import secrets
import time
from abc import abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from uuid import uuid4

import bcrypt
from pydantic import SecretStr

from deftmail.engine.conformance.listener import Listener
from deftmail.engine.conformance.world import THROTTLED, DeliveryRefused, Skipped, World, message, refusal_of
from deftmail.engine.names import domain_of
from deftmail.engine.port import GroupSpec, MailboxSpec, MailboxState, MailEngine
from deftmail.engine.specimens import mailbox_spec
from deftmail.jmap import Address, MailAccount, OutgoingMessage, SendRefused, new_message_id

EVENT_PATIENCE = 20.0  # seconds
RULE = """require ["fileinto"];
if header :contains "Subject" "invoice" {
  fileinto "Invoices";
  stop;
}
"""


@dataclass(frozen=True, slots=True)
class Person:
    """A mailbox whose password is known."""

    spec: MailboxSpec
    password: str

    @property
    def address(self) -> str:
        return self.spec.address


class SendingWorld(World):
    """A world in which people sign in and send.

    remote_recipient: an address elsewhere whose mail is caught; None where there is no such thing
    """

    remote_recipient: str | None = None

    def person(self, local: str = "alice", *, domain: str | None = None) -> Person:
        """A mailbox with a password."""
        password = secrets.token_urlsafe(15)
        spec = mailbox_spec(f"{local}@{domain or self.domain().name}")
        spec = replace(spec, password_hash=hashed(password))
        self.engine.apply_mailbox(spec)
        return Person(spec, password)

    def wait_for(self, seen: Callable[[], bool], seconds: float = 30.0) -> bool:
        """Has `seen` come true within this time?"""
        until = time.monotonic() + seconds
        while not seen():
            if time.monotonic() > until:
                return False
            time.sleep(0.2)
        return True

    def finish(self) -> list[str]:
        """Take away what the run as a whole made; what could not be, in words."""
        return []

    @abstractmethod
    def account(self, address: str) -> MailAccount:
        """The mailbox by JMAP, as the webmail has it."""

    @abstractmethod
    def submit(self, login: str, password: str, sender: str, recipient: str, content: bytes) -> None:
        """Send as a mail program does. Raises DeliveryRefused."""

    @abstractmethod
    def route(self, address: str, content: bytes) -> None:
        """Bring a message from outside to an address that is not a mailbox's own; it may arrive later. Raises
        DeliveryRefused."""

    @abstractmethod
    def signs_in(self, address: str, password: str) -> bool:
        """Does this password open the mailbox?"""

    @abstractmethod
    def hook(self, login: str, status: int, enhanced: str, sentence: str) -> AbstractContextManager[Listener]:
        """While it is open, mail of `login` is refused at `data` with this answer, which the listener gives."""

    @abstractmethod
    def events(self) -> AbstractContextManager[Listener]:
        """While it is open, the listener is told of deliveries."""


def hashed(password: str) -> SecretStr:
    """bcrypt, as the control plane would hand it over."""
    return SecretStr(bcrypt.hashpw(password.encode(), bcrypt.gensalt(10)).decode())


def two_people(world: SendingWorld) -> tuple[Person, Person]:
    name = world.domain().name
    return world.person("alice", domain=name), world.person("bob", domain=name)


def make_letter(sender: str, recipient: str, subject: str) -> OutgoingMessage:
    return OutgoingMessage(
        sender=Address(sender),
        to=(Address(recipient),),
        subject=subject,
        text="Hello.",
        message_id=new_message_id(domain_of(sender)),
    )


def send_by_jmap(world: SendingWorld, sender: str, recipient: str, subject: str) -> None:
    """Send as the webmail does; where the server holds up many at once, again. Raises SendRefused."""
    letter = make_letter(sender, recipient, subject)
    until = time.monotonic() + 10
    while True:
        try:
            world.account(sender).send(letter)
        except SendRefused as error:
            if error.enhanced_code != THROTTLED or time.monotonic() > until:
                raise
            time.sleep(0.5)
        else:
            return


def must_arrive(world: SendingWorld, address: str, subject: str, role: str = "inbox") -> None:
    found = world.wait_for(lambda: subject in world.subjects(address).get(role, []))
    assert found, f"{subject!r} is not in {role} of {address}: {world.subjects(address)}"


def submit(world: SendingWorld, person: Person, recipient: str, subject: str) -> None:
    content = message(subject, headers={"To": recipient})
    world.submit(person.address, person.password, person.address, recipient, content)


def mail_sent_by_jmap_arrives_and_is_filed(engine: MailEngine, world: SendingWorld) -> None:
    alice, bob = two_people(world)
    send_by_jmap(world, alice.address, bob.address, "by jmap")
    must_arrive(world, bob.address, "by jmap")
    assert world.subjects(alice.address)["sent"] == ["by jmap"], "no copy in Sent"


def mail_submitted_by_a_mail_program_arrives(engine: MailEngine, world: SendingWorld) -> None:
    alice, bob = two_people(world)
    submit(world, alice, bob.address, "by smtp")
    must_arrive(world, bob.address, "by smtp")


def wrong_password_neither_signs_in_nor_sends(engine: MailEngine, world: SendingWorld) -> None:
    alice, bob = two_people(world)
    wrong = replace(alice, password="not " + alice.password)
    assert not world.signs_in(alice.address, wrong.password)
    refusal_of(DeliveryRefused, lambda: submit(world, wrong, bob.address, "forged"), "a wrong password sent mail")


def hash_is_not_the_password(engine: MailEngine, world: SendingWorld) -> None:
    alice = world.person()
    assert world.signs_in(alice.address, alice.password), "the password does not sign in"
    text = alice.spec.password_hash.get_secret_value()
    assert not world.signs_in(alice.address, text), "the hash itself opens the mailbox"


def new_password_replaces_the_old_one(engine: MailEngine, world: SendingWorld) -> None:
    alice = world.person()
    fresh = secrets.token_urlsafe(15)
    engine.apply_mailbox(replace(alice.spec, password_hash=hashed(fresh)))
    assert world.signs_in(alice.address, fresh)
    assert not world.signs_in(alice.address, alice.password), "the old password still opens the mailbox"


def nobody_sends_as_another(engine: MailEngine, world: SendingWorld) -> None:
    alice, bob = two_people(world)
    refusal_of(
        DeliveryRefused,
        lambda: world.submit(alice.address, alice.password, bob.address, bob.address, message("forged")),
        "a mailbox sent with the address of another",
    )


def app_password_signs_in_until_it_is_revoked(engine: MailEngine, world: SendingWorld) -> None:
    alice = world.person()
    made = engine.issue_app_password(alice.address, alice.spec.id, "Phone")
    secret = made.secret.get_secret_value()
    assert world.signs_in(alice.address, secret)
    engine.revoke_app_password(alice.address, alice.spec.id, made.id)
    assert not world.signs_in(alice.address, secret), "a revoked app password still opens the mailbox"
    assert world.signs_in(alice.address, alice.password), "revoking took the person's own password"


def app_password_outlives_another_apply(engine: MailEngine, world: SendingWorld) -> None:
    alice = world.person()
    secret = engine.issue_app_password(alice.address, alice.spec.id, "Phone").secret.get_secret_value()
    fresh = secrets.token_urlsafe(15)
    engine.apply_mailbox(replace(alice.spec, password_hash=hashed(fresh), display_name="Alice", quota_mb=7))
    assert world.signs_in(alice.address, secret), "a change of the mailbox took its app passwords"
    assert world.signs_in(alice.address, fresh)


def app_password_of_another_row_is_refused(engine: MailEngine, world: SendingWorld) -> None:
    alice = world.person()
    made = engine.issue_app_password(alice.address, alice.spec.id, "Phone")
    engine.revoke_app_password(alice.address, uuid4(), made.id)
    assert world.signs_in(alice.address, made.secret.get_secret_value()), "a late job took an app password"


def suspended_mailbox_reads_but_does_not_send(engine: MailEngine, world: SendingWorld) -> None:
    alice, bob = two_people(world)
    engine.apply_mailbox(replace(alice.spec, state=MailboxState.SUSPENDED))
    assert world.signs_in(alice.address, alice.password), "a suspended person may still read"
    refusal_of(DeliveryRefused, lambda: submit(world, alice, bob.address, "no"), "a suspended mailbox sent mail")
    world.deliver(alice.address, message("still arrives"))
    assert "still arrives" in world.subjects(alice.address)["inbox"]


def disabled_mailbox_neither_signs_in_nor_sends(engine: MailEngine, world: SendingWorld) -> None:
    alice, bob = two_people(world)
    engine.apply_mailbox(replace(alice.spec, state=MailboxState.DISABLED))
    assert not world.signs_in(alice.address, alice.password), "a disabled mailbox opens"
    refusal_of(DeliveryRefused, lambda: submit(world, alice, bob.address, "no"), "a disabled mailbox sent mail")
    world.deliver(alice.address, message("still arrives"))
    assert "still arrives" in world.subjects(alice.address)["inbox"]


def resumed_mailbox_sends_again(engine: MailEngine, world: SendingWorld) -> None:
    alice, bob = two_people(world)
    for state in (MailboxState.SUSPENDED, MailboxState.DISABLED, MailboxState.ACTIVE):
        engine.apply_mailbox(replace(alice.spec, state=state))
    submit(world, alice, bob.address, "back again")
    must_arrive(world, bob.address, "back again")


def disabled_domain_stops_its_mailboxes_and_gives_them_back(engine: MailEngine, world: SendingWorld) -> None:
    domain = world.domain()
    alice, bob = (world.person(local, domain=domain.name) for local in ("alice", "bob"))
    engine.apply_mailbox(replace(bob.spec, state=MailboxState.SUSPENDED))
    engine.apply_domain(replace(domain, enabled=False))
    assert not world.signs_in(alice.address, alice.password), "a mailbox of a disabled domain opens"
    found = {box.address: box.state for box in engine.list_mailboxes(domain.name)}
    assert found == {alice.address: MailboxState.ACTIVE, bob.address: MailboxState.SUSPENDED}
    engine.apply_domain(domain)
    assert world.signs_in(alice.address, alice.password)
    refusal_of(DeliveryRefused, lambda: submit(world, bob, alice.address, "no"), "the domain gave too much back")


def aliases_bring_mail_and_go(engine: MailEngine, world: SendingWorld) -> None:
    alice = world.person()
    alias = f"a.lias@{domain_of(alice.address)}"
    engine.apply_mailbox(replace(alice.spec, aliases=(alias,)))
    world.route(alias, message("to the alias"))
    must_arrive(world, alice.address, "to the alias")
    engine.apply_mailbox(alice.spec)
    refusal_of(DeliveryRefused, lambda: world.deliver(alias, message("late")), "an alias that was taken away")


def catch_all_takes_what_nobody_has(engine: MailEngine, world: SendingWorld) -> None:
    domain = world.domain()
    alice = world.person(domain=domain.name)
    engine.apply_domain(replace(domain, catch_all=alice.address))
    world.route(f"anybody@{domain.name}", message("caught"))
    must_arrive(world, alice.address, "caught")


def alias_domain_means_the_same(engine: MailEngine, world: SendingWorld) -> None:
    domain = world.domain()
    alice = world.person(domain=domain.name)
    other = f"also-{domain.name}"
    engine.apply_domain(replace(domain, aliases=(other,)))
    world.route(f"alice@{other}", message("the other name"))
    must_arrive(world, alice.address, "the other name")


def group_hands_its_mail_to_its_members(engine: MailEngine, world: SendingWorld) -> None:
    alice, bob = two_people(world)
    group = GroupSpec(uuid4(), f"team@{domain_of(alice.address)}", (alice.address,), "Team")
    engine.apply_group(group)
    engine.apply_group(replace(group, members=(alice.address, bob.address)))
    try:
        world.route(group.address, message("to all"))
        for member in (alice, bob):
            must_arrive(world, member.address, "to all")
        engine.remove_group(group.address, uuid4())  # a late job of another row
        world.route(group.address, message("still there"))
        must_arrive(world, bob.address, "still there")
    finally:
        engine.remove_group(group.address, group.id)


def sieve_rule_files_mail(engine: MailEngine, world: SendingWorld) -> None:
    alice = world.person()
    world.add_folder(alice.address, "Invoices")
    world.account(alice.address).sieve_put(RULE)
    world.deliver(alice.address, message("invoice 17"))
    world.deliver(alice.address, message("lunch"))
    seen = world.subjects(alice.address)
    assert seen["Invoices"] == ["invoice 17"], f"{seen}"
    assert seen["inbox"] == ["lunch"], f"{seen}"


def delivery_is_told_of_a_local_recipient(engine: MailEngine, world: SendingWorld) -> None:
    alice, bob = two_people(world)
    with world.events() as listener:
        submit(world, alice, bob.address, "told")
        event = listener.wait_for_event(
            lambda event: event["type"] == "delivery.dsn-success" and event["data"].get("to") == bob.address,
            EVENT_PATIENCE,
        )
    assert event is not None, f"no event of the delivery came to {listener.url} (--listen): {listener.bodies[-3:]}"
    assert event["data"]["from"] == alice.address


def delivery_is_told_of_a_remote_recipient(engine: MailEngine, world: SendingWorld) -> None:
    if world.remote_recipient is None:
        raise Skipped("no --sink: nothing here takes mail for elsewhere")
    alice = world.person()
    recipient = world.remote_recipient
    with world.events() as listener:
        submit(world, alice, recipient, "far away")
        event = listener.wait_for_event(
            lambda event: event["type"] == "delivery.dsn-success" and event["data"].get("to") == recipient,
            EVENT_PATIENCE,
        )
    assert event is not None, f"no event of the delivery came to {listener.url} (--listen, --sink)"


CASES = (
    mail_sent_by_jmap_arrives_and_is_filed,
    mail_submitted_by_a_mail_program_arrives,
    wrong_password_neither_signs_in_nor_sends,
    hash_is_not_the_password,
    new_password_replaces_the_old_one,
    nobody_sends_as_another,
    app_password_signs_in_until_it_is_revoked,
    app_password_outlives_another_apply,
    app_password_of_another_row_is_refused,
    suspended_mailbox_reads_but_does_not_send,
    disabled_mailbox_neither_signs_in_nor_sends,
    resumed_mailbox_sends_again,
    disabled_domain_stops_its_mailboxes_and_gives_them_back,
    aliases_bring_mail_and_go,
    catch_all_takes_what_nobody_has,
    alias_domain_means_the_same,
    group_hands_its_mail_to_its_members,
    sieve_rule_files_mail,
    delivery_is_told_of_a_local_recipient,
    delivery_is_told_of_a_remote_recipient,
)
