"""Caught mail is shown as text, whatever it contains, and never in production."""

from types import SimpleNamespace

import pytest
from django.test import Client

from deftmail.ops import outbox, views

pytestmark = pytest.mark.django_db(databases=[])
HOSTILE = (
    b"X-Original-To: someone@outside.example\r\nFrom: =?utf-8?q?J=C3=B6rg?= <j@x.example>\r\n"
    b"Subject: <script>alert(1)</script>\r\nMessage-ID: <\r\n"
    b"Content-Type: text/plain; charset=nonsense-8\r\n\r\nhello http://localhost/confirm/abc\r\n<b>bold</b>\0\r\n"
)


@pytest.fixture
def maildir(tmp_path, monkeypatch):
    (tmp_path / "new").mkdir()
    (tmp_path / "cur").mkdir()
    setting = SimpleNamespace(outbox_dir=str(tmp_path), is_production=False)
    monkeypatch.setattr(outbox, "conf", setting)
    monkeypatch.setattr(views, "conf", setting)
    return tmp_path, setting


def test_an_empty_outbox_says_what_comes_here(maildir):
    assert "Nothing caught yet" in Client().get("/dev/outbox").content.decode()


def test_a_hostile_message_is_listed_and_opened_as_text(maildir):
    folder, _setting = maildir
    (folder / "new" / "1.x.host").write_bytes(HOSTILE)
    listed = Client().get("/dev/outbox").content.decode()
    assert "someone@outside.example" in listed
    assert "&lt;script&gt;" in listed
    opened = Client().get("/dev/outbox/1.x.host").content.decode()
    assert 'href="http://localhost/confirm/abc"' in opened
    assert "&lt;b&gt;bold" in opened


@pytest.mark.parametrize("name", ["../secrets.json", "..", ".hidden", "absent"])
def test_only_names_of_caught_messages_open(maildir, name):
    assert outbox.read(name) is None


def test_in_production_it_is_not_there(maildir):
    _folder, setting = maildir
    setting.is_production = True
    assert Client().get("/dev/outbox").status_code == 404
    assert Client().get("/dev/outbox/x").status_code == 404
