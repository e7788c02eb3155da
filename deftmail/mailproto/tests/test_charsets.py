"""HTML whose header names no charset."""

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deftmail.mailproto import charsets
from deftmail.mailproto.charsets import decode_html, says_nothing

META = "<meta charset={}>"
EQUIV = '<META content="text/html; charset={}" HTTP-EQUIV=Content-Type>'


@pytest.mark.parametrize(
    ("head", "name", "codec", "word"),
    [
        (META, "windows-1251", "cp1251", "Привет"),
        (META, '"KOI8-R"', "koi8_r", "Привет"),
        (EQUIV, "iso-8859-2", "iso8859_2", "Łódź"),
        (EQUIV, "gb2312", "gb18030", "你好"),
        (META, "' Shift_JIS '", "cp932", "日本語"),
        (META, "iso-2022-jp", "iso2022_jp", "日本語"),
        (META, "ISO-8859-1", "cp1252", "“café” €"),  # as browsers read it
        (META, "utf-8", "utf-8", "Grüße"),
        (META, "utf-16", "utf-8", "Grüße"),  # what could be read as ASCII is none
        ("<!-- <meta charset=koi8-r> -->" + META, "windows-1251", "cp1251", "Привет"),
        ("<meta name=x content='charset=koi8-r'>" + META, "windows-1251", "cp1251", "Привет"),
        ("<meta charset=utf-7><meta charset=zip>" + META, "windows-1251", "cp1251", "Привет"),
        ("", "", "utf-8", "Привет"),
        ("", "", "cp1252", "café"),
        ("x" * 1024 + META, "windows-1251", "utf-8", "Привет"),
    ],
)
def test_the_charset_that_html_names_itself_is_used(head: str, name: str, codec: str, word: str) -> None:
    html = f"{head.format(name)}<p>{word}</p>"
    assert decode_html(html.encode(codec)) == html


@pytest.mark.parametrize(
    ("mark", "codec"),
    [(codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")],
)
def test_a_mark_in_front_counts_for_more(mark: bytes, codec: str) -> None:
    assert decode_html(mark + "<meta charset=koi8-r>Ü".encode(codec)) == "<meta charset=koi8-r>Ü"


def test_utf8_cut_off_in_a_character_is_still_utf8() -> None:
    assert decode_html("Grüße aus Köl".encode() + "n…".encode()[:-1]) == "Grüße aus Köln"


@pytest.mark.parametrize(
    ("charset", "nothing"),
    [(None, True), ("", True), ("US-ASCII", True), ("klingon", True), ("utf-8", False), ("Windows-1251", False)],
)
def test_a_charset_of_the_header_stands(charset: str | None, nothing: bool) -> None:
    assert says_nothing(charset) is nothing


@given(st.binary(max_size=200) | st.builds(b"<meta charset=%b>%b".__mod__, st.tuples(st.binary(), st.binary())))
def test_any_bytes_are_read(data: bytes) -> None:
    assert isinstance(decode_html(data), str)


@pytest.mark.parametrize("codec", charsets._NAMES)
def test_every_codec_reads_any_bytes(codec: str) -> None:
    assert isinstance(bytes(range(256)).decode(codec, "replace"), str)
