"""What this installation's mail server cannot do, the page says in words."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.urls import reverse

from deftmail.domains.testing import make_domain
from deftmail.engine.testing import FakeEngine
from deftmail.mailboxes.testing import make_mailbox

pytestmark = pytest.mark.django_db
WORDS = "no passwords for single programs"


def page(cast):
    mailbox = make_mailbox(make_domain(cast.acme, "acme.test", active=True), "alice")
    return cast.owner.client.get(reverse("mailboxes:detail", args=[mailbox.pk])).content.decode()


def test_an_engine_without_app_passwords_is_said(cast, fake_engine, monkeypatch):
    less = replace(fake_engine.capabilities, app_passwords=False)
    monkeypatch.setattr(FakeEngine, "capabilities", property(lambda _self: less))
    assert WORDS in page(cast)


def test_an_engine_that_has_them_says_nothing(cast, fake_engine):
    assert fake_engine.capabilities.app_passwords
    assert WORDS not in page(cast)


@pytest.mark.parametrize(("ends", "words"), [(True, "signed out within"), (False, "can read until it signs in again")])
def test_disabling_and_a_new_password_say_what_becomes_of_open_programs(cast, fake_engine, monkeypatch, ends, words):
    able = replace(fake_engine.capabilities, ends_sessions=ends)
    monkeypatch.setattr(FakeEngine, "capabilities", property(lambda _self: able))
    assert page(cast).count(words) == 2
