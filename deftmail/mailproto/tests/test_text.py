"""Plain text: out of HTML, into HTML, flowed, quoted and forwarded."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deftmail.mailproto import text as text_module
from deftmail.mailproto.html import SanitizedHtml
from deftmail.mailproto.tests.htmlreader import Reader
from deftmail.mailproto.text import (
    forward_html,
    forward_text,
    html_to_text,
    joined,
    quote_html,
    quote_text,
    text_to_html,
    unflow,
)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("", ""),
        ("<p>Hello</p><p>World</p>", "Hello\n\nWorld"),
        ("a<br>b", "a\nb"),
        ("<style>p{color:red}</style><script>x</script>Hi", "Hi"),
        ("<div style='display:none'>preheader</div>Seen", "Seen"),
        ("a &lt; b &amp; c", "a < b & c"),
        ("<p>a</p>" + "<p> </p>" * 9 + "<p>b</p>", "a\n\nb"),
        ("<!-- only a comment -->", ""),
        ("<img src='http://t.test/1'>", ""),
        ("<div>a</div><div><br></div><div>b</div>", "a\n\nb"),
        ("<p style='padding-left:80em;margin-top:9em'>a</p><p>b</p>", "a\n\nb"),
        ("1<span>2</span>3", "123"),
        ("<section>a</section><section>b</section>", "a\nb"),
        ("write &amp;lt;b&amp;gt; &amp;amp; you see &lt;b&gt;", "write &lt;b&gt; &amp; you see <b>"),
        ("<pre>  x\n    y</pre>", "  x\n    y"),
        ("<h1>Title</h1><div>a</div>", "Title\n\na"),
    ],
)
def test_the_words_of_an_html_body_are_read(html: str, text: str) -> None:
    assert html_to_text(html) == text


def test_lists_tables_and_links_are_readable() -> None:
    assert "One" in html_to_text("<ul><li>One</li><li>Two</li></ul>")
    row = html_to_text("<table><tr><td>Apples</td><td>3</td></tr></table>")
    assert row.split() == ["Apples", "3"]
    assert html_to_text("<a href='https://x.test/'>Shop</a>", links=True) == "[Shop](https://x.test/)"
    assert html_to_text("<a href='https://x.test/'>Shop</a>") == "Shop"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<ul><li>One<li>Two<ul><li>Deep</ul></ul>", "* One\n* Two\n  + Deep"),
        ("<ol><li>One<li>Two</ol>", "1. One\n2. Two"),
        ("<table><tr><td>Apples<td>3<tr><td>Pears<td>4</table>", "Apples  3\nPears   4"),
        ("<dl><dt>Word<dd>Meaning</dl>", "Word\n  Meaning"),
    ],
)
def test_lists_and_tables_stand_in_lines(html: str, text: str) -> None:
    assert html_to_text(html) == text
    quoted = html_to_text(f"Yes.<blockquote>{html}</blockquote>")
    assert quoted == "\n".join(["Yes.", *("> " + line for line in text.splitlines())])


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("Me<blockquote>a<br><br>b</blockquote>", "Me\n> a\n>\n> b"),
        ("Me<blockquote><p>a</p><p>b</p></blockquote><div>Me again</div>", "Me\n> a\n>\n> b\n\nMe again"),
        ("<blockquote>a<blockquote>b<br><br>c</blockquote>d</blockquote>", "> a\n>> b\n>>\n>> c\n> d"),
        ("<blockquote>a</blockquote><br><blockquote>b</blockquote>", "> a\n\n> b"),
        ("<blockquote style='padding-left:9em'><h1>T</h1><pre>x\n\n y</pre></blockquote>", "> T\n>\n> x\n>\n>  y"),
        ("<blockquote style='display:none'>a</blockquote>b", "b"),
        ("<table><tr><td>a<blockquote>q<br>r</blockquote><td>b</table>", "a    b\n> q\n> r"),
        ("<blockquote>" * 20 + "a" + "</blockquote>" * 20 + "b", ">" * 12 + " a\n\nb"),
    ],
)
def test_what_is_quoted_has_its_marks(html: str, text: str) -> None:
    assert html_to_text(html) == text


def test_a_quoted_text_is_the_same_after_the_editor() -> None:
    text = "On Monday Ann wrote:\n> Hi\n>\n> there\n>> older\n>>> oldest\n> Bye"
    assert html_to_text(text_to_html(text).replace("\n", "<br>")) == text


@pytest.mark.parametrize(
    ("html", "most"),
    [
        # Aligned, each of the rows would be as long as the first: 4 GB.
        ("<table><tr><td>" + "x" * 400_000 + "<tr><td>a" * 10_000 + "</table>", 500_000),
        ("<table><tr>" + "<td>a" * 15_000 + "<tr><td>a" * 10_000 + "</table>", 100_000),
        ("<blockquote>x" * 200 + "<br>y" * 30_000, 600_000),
        ("<p style='padding-left:100000em'>x" * 9_000, 40_000),
    ],
)
def test_a_hostile_layout_stays_small(html: str, most: int) -> None:
    text = html_to_text(html)
    assert len(text) < most
    assert {"x", "a"} & set(text)


def test_a_body_the_layout_engine_refuses_still_gives_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> str:
        raise RuntimeError

    monkeypatch.setattr(text_module, "lay_out", refuse)
    assert html_to_text("<p>Hello <b>world</b></p>").split() == ["Hello", "world"]


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("Hi <b>", "<div>Hi &lt;b&gt;</div>"),
        ("a\r\nb\rc\x00", "<div>a\nb\nc\ufffd</div>"),
        ("> q\n>> r\nme", '<blockquote class="dm-quote">q</blockquote>'),
        ("> > r", '<blockquote class="dm-quote"><blockquote class="dm-quote">r</blockquote></blockquote>'),
        ("Hi\n-- \nAnn\n> x", '<div class="dm-sig">-- \nAnn\n&gt; x</div>'),
        ("see https://x.test/a?b=1&c=2.", 'href="https://x.test/a?b=1&amp;c=2"'),
        ("(www.x.test/y_(z))", 'href="http://www.x.test/y_(z)"'),
        ("write to Ann.B+c@x-y.test, please", 'href="mailto:Ann.B+c@x-y.test"'),
        ('http://x.test/"><script>', 'href="http://x.test/"'),
        ("http://x.test/'onclick='x", 'href="http://x.test/&#x27;onclick=&#x27;x"'),
    ],
)
def test_plain_text_is_shown_as_html(text: str, html: str) -> None:
    assert html in text_to_html(text)


@pytest.mark.parametrize("text", ["javascript:alert(1)", "x@y", "@x.test", "http:// x", "a.b.c", "ftp://x.test"])
def test_what_is_no_link_is_not_made_one(text: str) -> None:
    assert "<a " not in text_to_html(text)


@pytest.mark.parametrize(
    ("text", "folds"),
    [
        ("Yes.\n\nOn Monday Ann wrote:\n> Lunch?\n>\n> Ann\n", 1),
        ("Yes.\n> Lunch?\n\n-- \nBob", 1),
        ("Yes.\n> one\n\n>> two\n> three", 1),
        ("> Lunch?\nYes.\n> Where?\nHere.", 0),  # answers between the lines stay in sight
        ("> only quoted", 0),
        ("no quote", 0),
        ("", 0),
    ],
)
def test_the_message_answered_to_is_folded(text: str, folds: int) -> None:
    html = text_to_html(text, fold="Quoted <text>")
    assert html.count('<details class="dm-fold"><summary>Quoted &lt;text&gt;</summary>') == folds
    assert html.count("</details>") == folds
    assert "<details" not in text_to_html(text)
    if folds:
        assert html.index("Yes.") < html.index("<details")


def test_hostile_text_stays_small_and_flat() -> None:
    html = text_to_html(">" * 100_000 + "x\n" + "\n" * 100_000 + "a@" * 50_000, fold="x")
    assert html.count("<blockquote") == 12
    assert len(html) < 300_000


@pytest.mark.parametrize(
    ("flowed", "text"),
    [
        ("one \ntwo\nthree", "one two\nthree"),
        ("> one \n> two\n>> three \nfour", "> one two\n>> three \nfour"),
        ("Hi \n-- \nAnn \nBob", "Hi \n-- \nAnn Bob"),
        (" From me\n > no quote", "From me\n > no quote"),
    ],
)
def test_flowed_text_is_joined(flowed: str, text: str) -> None:
    assert unflow(flowed) == text


def test_flowed_text_may_drop_its_spaces() -> None:
    assert unflow("日本 \n語", delsp=True) == "日本語"


@pytest.mark.parametrize(
    ("content_type", "text"),
    [
        (" text/plain; charset=utf-8; format=flowed", "one two"),
        ('text/plain;\r\n FORMAT = "Flowed";\r\n DelSp=Yes', "onetwo"),
        ("text/plain; delsp=yes", "one \ntwo"),
        ("text/plain; format=fixed", "one \ntwo"),
        ("", "one \ntwo"),
    ],
)
def test_only_what_says_that_it_flows_is_joined(content_type: str, text: str) -> None:
    assert joined("one \ntwo", content_type) == text


def test_a_plain_body_is_quoted_without_its_signature() -> None:
    quoted = quote_text("Hi\n\n> old\n\n-- \nAnn", attribution="On Monday\r\nAnn wrote:")
    assert quoted == "On Monday Ann wrote:\n> Hi\n>\n>> old"


def test_an_html_body_is_quoted_under_an_escaped_attribution() -> None:
    quoted = quote_html(SanitizedHtml("<p>Hi</p>"), attribution="Ann <a@x.test> wrote:")
    assert quoted.startswith('<div>Ann &lt;a@x.test&gt; wrote:</div><blockquote type="cite"')
    assert quoted.endswith("<p>Hi</p></blockquote>")


def test_forwarded_bodies_name_whose_message_it_was() -> None:
    headers = [("From", "Ann <a@x.test>"), ("Subject", "Lunch\nBcc: x")]
    assert forward_text("Hi", title="Forwarded message", headers=headers) == (
        "---------- Forwarded message ----------\nFrom: Ann <a@x.test>\nSubject: Lunch Bcc: x\n\nHi"
    )
    html = forward_html(SanitizedHtml("<p>Hi</p>"), title="Forwarded message", headers=headers)
    assert "<b>From:</b> Ann &lt;a@x.test&gt;<br><b>Subject:</b> Lunch Bcc: x</div>" in html
    assert html.endswith("<div><p>Hi</p></div>")


@given(st.text(max_size=120) | st.text("> -\n\"'<&@.:/wh tpxy", max_size=120))
def test_any_text_becomes_well_formed_html_with_the_same_words(text: str) -> None:
    html = text_to_html(text, fold="Quoted")
    reader = Reader(html)
    assert reader.depth == 0
    assert {tag for tag, _ in reader.found} <= {"div", "a", "blockquote", "details", "summary"}
    assert all(
        name != "href" or (value or "").startswith(("http", "mailto:"))
        for _, a in reader.found
        for name, value in a.items()
    )
    words = "".join(text.replace("\x00", "\ufffd").replace(">", "").split())
    if text.isprintable():
        assert words in "".join(reader.words.replace(">", "").replace("Quoted", "", html.count("<summary>")).split())
    assert isinstance(html_to_text(text), str)
    assert isinstance(unflow(text), str)
    assert isinstance(quote_text(text, attribution=text), str)
