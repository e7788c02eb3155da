"""The shape that HTML is brought into before it is parsed."""

import pytest

from deftmail.mailproto.htmltree import normalize
from deftmail.mailproto.tests.htmlreader import shown


@pytest.mark.parametrize(
    ("html", "normal"),
    [
        ("a < b && c > d", "a &lt; b &amp;&amp; c &gt; d"),
        ("<ul><li>a<li>b</ul>c", "<ul><li>a</li><li>b</li></ul>c"),
        ("<table><tr><td>a<td>b<tr><td>c</table>", "<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>"),
        ("<table><tr><td></div>x</table>", "<table><tr><td>x</td></tr></table>"),
        (
            "<table><tbody><tr><td>a<tbody><tr><td>b</table>",
            "<table><tbody><tr><td>a</td></tr></tbody><tbody><tr><td>b</td></tr></tbody></table>",
        ),
        (
            "<table><tr><td><table><tr><td>in</td></tr></table>out</table>",
            "<table><tr><td><table><tr><td>in</td></tr></table>out</td></tr></table>",
        ),
        ("<p>a<p>b<div>c</div>", "<p>a</p><p>b</p><div>c</div>"),
        ("<dl><dt>a<dd>b<dt>c</dl>", "<dl><dt>a</dt><dd>b</dd><dt>c</dt></dl>"),
        ("<b><i>x</b>y</i>", "<b><i>x</i></b>y"),
        ("</p>x", "<br>x"),
        ("<a href=1><a href=2>x</a>", '<a href="1"></a><a href="2">x</a>'),
        ("<a HREF=x href=y unknown=z>x</A >", '<a href="x">x</a>'),
        ("<p title='a\"b' class = c id=>x", '<p title="a&quot;b" class="c" id="">x</p>'),
        ("<p =x =y title=z>x", '<p title="z">x</p>'),
        ("a<!-- x -->b<!-->c<!--->d<!x>e<?y>f</ z>g</>h", "abcdefgh"),
        ("a<!-- never ends", "a"),
        ("a<script>never ends", "a"),
        ("a<textarea><b></textarea>c", "a&lt;b&gt;c"),
        ("a<svg>b<svg>c</svg>d</svg>e", "ae"),
        ("a<custom-tag>b</custom-tag>c", "abc"),
        ("<body bgcolor=red>x</body></html>", '<div bgcolor="red">x</div>'),
        ("a<plaintext>b", "a"),
        ("a<b", "a"),
        ("a<b title='", "a"),
        ("a<!", "a"),
        ("a</", "a"),
        ("<", "&lt;"),
        ("<style>x", ""),
    ],
)
def test_markup_is_nested_properly_before_it_is_parsed(html: str, normal: str) -> None:
    assert normalize(html).html == normal


def test_a_long_message_is_cut_and_says_so() -> None:
    assert shown("<p>x</p>" * 200_000).truncated
    assert shown("<br>" * 50_000).truncated
    assert not shown("<p>x</p>" * 1_000).truncated


def test_end_tags_of_elements_left_out_for_depth_are_left_out_too() -> None:
    html = "<div>" * 150 + "deep" + "</div>" * 150 + "<p>after</p>"
    assert normalize(html).html.endswith("</div><p>after</p>")
    bold = "<b>" * 20 + "x" + "</b>" * 20 + "plain"
    assert normalize(bold).html.endswith("</b>plain")
