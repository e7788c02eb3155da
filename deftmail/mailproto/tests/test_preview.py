"""The first words of HTML, of whatever shape."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deftmail.mailproto.preview import MAX_PREVIEW, html_preview, looks_like_html, plain_preview


@pytest.mark.parametrize(
    ("html", "words"),
    [
        (
            "<html><head><title>News</title><style>p{color:red}</style></head><body><p>Dear Anna,<br>hello",
            "Dear Anna, hello",
        ),
        ("<HEAD><meta charset=utf-8><body>No end of head", "No end of head"),
        ("<!DOCTYPE html><!-- x > y --><p>T<b>wo</b> w<i>ords</i></p>", "Two words"),
        ("<td>a</td><td>b</td>", "a b"),
        ("<p>1 &lt; 2 &amp; 3&nbsp;&gt; 2&zwnj;&#8203;&shy;</p>", "1 < 2 & 3 > 2"),
        ("<script>if (a < b) { x() }</script>after", "after"),
        ("<!--[if mso]><table><![endif]--><div>Seen</div>", "Seen"),
        ("<style>never closed", ""),
        ("5 < 6", "5 < 6"),
        ("cut off <a href='htt", "cut off"),
        ("", ""),
    ],
)
def test_what_a_reader_would_see(html, words):
    assert html_preview(html) == words


@given(st.text(alphabet=st.sampled_from('<>/!-"=&; abehdstyl\x00\u200b'), max_size=300))
def test_any_text_is_one_short_line(text):
    found = html_preview(text)
    assert "\n" not in found
    assert len(found) <= MAX_PREVIEW


@pytest.mark.parametrize("piece", ["<", "<a ", "<!--", "<style>", "</", "<!", "<head><", "&", "<p>"])
def test_no_text_takes_long(piece):
    before = time.process_time()
    html_preview(piece * (1_000_000 // len(piece)))
    assert time.process_time() - before < 2


@pytest.mark.parametrize(
    ("preview", "is_it"),
    [
        ("<html><head>", True),
        ("Hello <b>you</b>", True),
        ("<!DOCTYPE", True),
        ("see <https://x.example>", False),
        ("a < b, <3 and <anna@acme.test>", False),
        ("", False),
    ],
)
def test_what_looks_like_html(preview, is_it):
    assert looks_like_html(preview) is is_it


def test_plain_words():
    assert plain_preview("  Hello,\r\n\r\nAnna\u200b ") == "Hello, Anna"
