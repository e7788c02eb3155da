"""Sessions are read by our own SQL, and all else of them is Django's."""

from __future__ import annotations

import pytest
from django.test import Client

from deftmail.kit.sessions import SessionStore

pytestmark = pytest.mark.django_db


def test_what_was_kept_is_read_by_one_query(django_assert_num_queries: pytest.FixtureRequest) -> None:
    kept = SessionStore()
    kept["who"] = "anna"
    kept.save()
    found = SessionStore(kept.session_key)
    with django_assert_num_queries(1):  # type: ignore[operator]
        assert found["who"] == "anna"
    found.delete()
    assert SessionStore(kept.session_key).get("who") is None


@pytest.mark.parametrize("age", [-1, 0])
def test_a_session_that_has_ended_holds_nothing_and_its_key_is_not_used_again(age: int) -> None:
    ended = SessionStore()
    ended["who"] = "anna"
    ended.set_expiry(age)
    ended.save()
    if age == 0:  # until the browser closes: lives on
        assert SessionStore(ended.session_key)["who"] == "anna"
        return
    found = SessionStore(ended.session_key)
    assert found.get("who") is None
    assert found.session_key is None
    found["who"] = "berta"
    found.save()
    assert found.session_key not in (None, ended.session_key)


@pytest.mark.parametrize("key", [None, "x" * 40, "'; drop table django_session; --", "\x01" * 20, "x" * 20 + "\0"])
def test_an_unknown_key_is_an_empty_session(key: str | None) -> None:
    assert SessionStore(key).get("who") is None


def test_a_cookie_with_a_nul_is_a_guest(client: Client) -> None:
    # As it comes from outside: newer Pythons make none, also in a test.
    assert client.get("/", headers={"cookie": r'dm_session="aaaaaaaaaaaa\000"'}).status_code == 200
