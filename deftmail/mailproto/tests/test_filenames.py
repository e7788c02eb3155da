"""Names of attachments: safe to store, safe in a header, and not disguised."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deftmail.mailproto.filenames import clean_filename, content_disposition, default_filename


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("report.pdf", "report.pdf"),
        ("Jahresübersicht 2026.xlsx", "Jahresübersicht 2026.xlsx"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\x\\a.doc", "a.doc"),
        ("..", "attachment"),
        ("", "attachment"),
        (" . ", "attachment"),
        ("///", "attachment"),
        ("\x00\r\n", "attachment"),
        ("a\r\nSet-Cookie: x", "a__Set-Cookie_ x"),
        ('a"b<c>d|e?f*g:h', "a_b_c_d_e_f_g_h"),
        ("inv\u202egpj.exe", "invgpj.exe"),
        ("a\u200b.txt", "a.txt"),
        ("con.txt", "_con.txt"),
        ("COM1", "_COM1"),
        ("console.txt", "console.txt"),
        (".htaccess", "htaccess"),
        ("a\ud800.txt", "a.txt"),
        ("a   b\t.txt", "a b_.txt"),
        ("x" * 300 + ".pdf", "x" * 196 + ".pdf"),
        ("ü" * 300 + ".pdf", "ü" * 98 + ".pdf"),
        ("x" * 300 + "." + "y" * 30, "x" * 200),
    ],
)
def test_a_name_is_cleaned(name: str, cleaned: str) -> None:
    assert clean_filename(name) == cleaned
    assert clean_filename(cleaned) == cleaned


def test_the_default_name_can_be_chosen() -> None:
    assert clean_filename("", default="message.eml") == "message.eml"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("report.pdf", 'attachment; filename="report.pdf"'),
        ("Übersicht.pdf", "attachment; filename=\"Ubersicht.pdf\"; filename*=UTF-8''%C3%9Cbersicht.pdf"),
        ("日本.pdf", "attachment; filename=\"attachment.pdf\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC.pdf"),
        ("100% sure;.txt", "attachment; filename=\"100_ sure_.txt\"; filename*=UTF-8''100%25%20sure%3B.txt"),
    ],
)
def test_a_name_is_written_into_a_header(name: str, value: str) -> None:
    assert content_disposition(name) == value


def test_a_picture_may_be_shown_in_place() -> None:
    assert content_disposition("a.png", inline=True) == 'inline; filename="a.png"'


@given(st.text(max_size=80) | st.text('a./\\"%;\r\n\u202e ü', max_size=60))
def test_any_name_makes_a_valid_header(name: str) -> None:
    cleaned = clean_filename(name)
    assert cleaned
    assert len(cleaned.encode()) <= 200
    assert not re.search(r'[/\\<>:"|?*\x00-\x1f]', cleaned)
    assert not cleaned.startswith(".")
    header = content_disposition(name)
    assert re.fullmatch(
        r"attachment; filename=\"[ !#-\[\]-~]+\"(?:; filename\*=UTF-8''[A-Za-z0-9%!#$&+.^_`|~-]+)?", header
    )


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("text/calendar", "invite.ics"),
        ("image/jpeg", "image.jpg"),
        ("application/pdf", "document.pdf"),
        ("message/rfc822", "message.eml"),
        ("text/plain", "attachment.txt"),
        ("application/x-unknown", "attachment"),
        ("", "attachment"),
        ("a/b/../c", "attachment"),
    ],
)
def test_a_part_without_a_name_ends_in_what_it_is(kind: str, name: str) -> None:
    assert default_filename(kind) == name
