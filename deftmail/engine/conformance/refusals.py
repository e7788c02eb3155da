"""Cases of mail that is refused: whoever sends it hears of it, in the server's words, and nothing is lost."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from deftmail.engine.conformance.sending import (
    SendingWorld,
    make_letter,
    must_arrive,
    send_by_jmap,
    submit,
    two_people,
)
from deftmail.engine.conformance.world import DeliveryRefused, refusal_of
from deftmail.engine.names import domain_of
from deftmail.engine.port import MailEngine
from deftmail.jmap import Address, SendRefused

HOOK_SENTENCE = "You have reached your limit for today"


def mail_by_jmap_for_nobody_is_not_lost(engine: MailEngine, world: SendingWorld) -> None:
    alice = world.person()
    nobody = f"nobody@{domain_of(alice.address)}"
    refusal_of(SendRefused, lambda: send_by_jmap(world, alice.address, nobody, "lost"), "mail for nobody was sent")
    seen = world.subjects(alice.address)
    assert (seen["sent"], seen["drafts"]) == ([], ["lost"]), f"{seen}"


def recipients_refused_among_others_are_told(engine: MailEngine, world: SendingWorld) -> None:
    """All are refused, or the sender hears of those that were: nothing is dropped in silence."""
    alice, bob = two_people(world)
    nobody = f"nobody@{domain_of(alice.address)}"
    letter = make_letter(alice.address, bob.address, "to some")
    letter = replace(letter, to=(*letter.to, Address(nobody)))
    try:
        sent = world.account(alice.address).send(letter)
    except SendRefused:
        assert "to some" not in world.subjects(bob.address)["inbox"], "refused, and yet it arrived"
        assert world.subjects(alice.address)["drafts"] == ["to some"], "what was refused is lost"
        return
    assert set(sent.refused) == {nobody}, f"mail for {nobody} was dropped in silence: {sent.refused}"
    assert all(sent.refused.values()), "nobody says why"
    must_arrive(world, bob.address, "to some")
    assert world.subjects(alice.address)["sent"] == ["to some"], "no copy in Sent"
    again = world.account(alice.address).send(letter)
    assert again.already
    assert set(again.refused) == {nobody}, "a second click hides who was refused"


def hook_refusal_reaches_a_mail_program(engine: MailEngine, world: SendingWorld) -> None:
    alice, bob = two_people(world)
    with world.hook(alice.address, 550, "5.7.1", HOOK_SENTENCE) as listener:
        refused = refusal_of(DeliveryRefused, lambda: submit(world, alice, bob.address, "over"), "no hook was asked")
        assert listener.bodies, f"the server did not reach the hook at {listener.url} (--listen): {refused}"
        assert HOOK_SENTENCE in str(refused), f"{refused}"
        assert not refused.temporary
        submit(world, bob, alice.address, "not asked")
    must_arrive(world, alice.address, "not asked")


def hook_refusal_reaches_the_webmail(engine: MailEngine, world: SendingWorld) -> None:
    alice, bob = two_people(world)
    with world.hook(alice.address, 550, "5.7.1", HOOK_SENTENCE) as listener:
        sending = partial(send_by_jmap, world, alice.address, bob.address, "over")
        refused = refusal_of(SendRefused, sending, "the hook was not asked")
        assert listener.bodies, f"the server did not reach the hook at {listener.url} (--listen): {refused}"
        assert HOOK_SENTENCE in refused.sentence, f"{refused.sentence!r}: {refused}"
    seen = world.subjects(alice.address)
    assert not seen["sent"], "what was refused lies in Sent"
    assert seen["drafts"] == ["over"], "what was refused is lost"


CASES = (
    mail_by_jmap_for_nobody_is_not_lost,
    recipients_refused_among_others_are_told,
    hook_refusal_reaches_a_mail_program,
    hook_refusal_reaches_the_webmail,
)
