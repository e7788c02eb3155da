"""Mail bodies: what must survive of honest mail, pictures, quoting, sending, folding."""

import time

import pytest

from deftmail.mailproto.html import BLOCKED_IMAGE, is_blank, sanitize_html, sanitize_outgoing
from deftmail.mailproto.tests.htmlreader import Reader, cid_url, shown


def test_an_honest_newsletter_keeps_its_looks() -> None:
    html = (
        "<!DOCTYPE html><html><head><title>News</title>"
        "<style>.w{width:600px}@media (max-width:600px){.w{width:100%}}</style>"
        '</head><body bgcolor="#eeeeee" style="margin:0">'
        '<table class="w" width="600" cellpadding="0" align="center"><tr>'
        '<td bgcolor="#fff" style="padding: 10px; font-family: Arial"><h1>Hello &amp; welcome</h1>'
        '<a href="https://shop.test/?a=1&amp;b=2#x">Shop</a><ul><li>One<li>Two</ul>'
        '<img src="cid:known1" width="50%" alt="Logo">'
        "</td></tr></table></body></html>"
    )
    result = shown(html)
    assert result.html.startswith(
        "<style>.w { width: 600px }\n@media (max-width:600px) {\n.w { width: 100% }\n}</style>"
    )
    assert '<div bgcolor="#eeeeee" style="margin: 0">' in result.html
    assert '<table class="w" width="600" cellpadding="0" align="center"><tbody><tr>' in result.html
    assert "<h1>Hello &amp; welcome</h1>" in result.html
    assert 'href="https://shop.test/?a=1&amp;b=2#x"' in result.html
    assert "<ul><li>One</li><li>Two</li></ul>" in result.html
    assert 'src="/webmail/part/known1"' in result.html
    assert "News" not in result.html
    assert (result.blocked_remote, result.cids, result.truncated) == (0, frozenset({"known1"}), False)


def test_remote_pictures_are_counted_and_shown_only_when_asked() -> None:
    html = (
        '<img src="https://t.test/1"><img src="//t.test/2" alt="two"><table background="http://t.test/3"><tr><td>x</table>'
        '<img src="cid:known"><img src="data:image/png;base64,AAAA">'
    )
    blocked = shown(html)
    assert blocked.blocked_remote == 3
    assert blocked.html.count(BLOCKED_IMAGE.replace("'", "&#39;")) + blocked.html.count(BLOCKED_IMAGE) == 2
    assert "t.test" not in blocked.html
    asked = shown(html, remote_images=True)
    assert asked.blocked_remote == 0
    assert all(f"t.test/{n}" in asked.html for n in (1, 2, 3))
    proxied = sanitize_html(html, cid_url=cid_url, remote_images=True, remote_url=lambda url: f"/proxy?{len(url)}")
    assert "t.test" not in proxied.html
    assert proxied.html.count("/proxy?") == 3


@pytest.mark.parametrize(
    ("src", "cid"),
    [
        ("cid:known", "known"),
        ("CID:known%40x", "known@x"),
        ("cid:&lt;known&gt;", "known"),
        ("cid:other", None),
        ("cid:", None),
    ],
)
def test_inline_parts_are_found_by_their_content_id(src: str, cid: str | None) -> None:
    assert shown(f'<img src="{src}">').cids == ({cid} if cid else frozenset())


def test_a_fault_of_a_callback_is_not_swallowed() -> None:
    def broken(_: str) -> str | None:
        raise RuntimeError("storage away")

    with pytest.raises(RuntimeError, match="storage away"):
        sanitize_html('<img src="cid:x">', cid_url=broken, remote_images=False)


@pytest.mark.parametrize(
    ("html", "leaves"),
    [
        ('<a title="1 > 0" class="x" href="#toc">x</a>', False),
        ('<a href=" #toc" name="target=">x</a>', False),
        ('<map name="m"><area shape="rect" href="#toc"></map>', False),
        ('<a href="https://x.test/#toc">x</a>', True),
        ("<a title='x href=\"#toc\"' href='https://x.test/'>x</a>", True),
        ("<a title=' href=#toc' href='https://x.test/'>x</a>", True),
        ("<a>href=&quot;#toc&quot;</a>", True),
        ("<a>x</a><i title='#'></i>&lt;a href=&quot;#toc&quot; target=&quot;_blank&quot;", True),
    ],
)
def test_a_link_to_a_place_in_the_message_opens_no_tab(html: str, leaves: bool) -> None:
    cleaned = shown(html).html
    links = [attributes for tag, attributes in Reader(cleaned).found if tag in ("a", "area")]
    assert [attributes.get("target") == "_blank" for attributes in links] == [leaves]


def test_a_place_in_the_message_keeps_its_name() -> None:
    assert shown('<h2 id="toc">x</h2>').html == '<h2 id="toc">x</h2>'
    assert 'name="toc"' in shown('<a name="toc"></a>').html


@pytest.mark.parametrize(
    ("html", "blank"),
    [
        ("", True),
        ("<html><head><title>News</title><style>p{x}</style></head><body><div><br>&nbsp;</div>\n</body></html>", True),
        ("<p>&#8203;&zwnj;\u00ad</p><!-- <p>x</p> --><!-- ", True),
        ("<script>x</script><style>x", True),
        ("<!--[if !mso]><!--><p> </p><!--<![endif]-->", True),
        ("<!--><p>x</p><!-- -->", False),
        ("<a title='><!--'>x</a> -->", False),
        ("<textarea><p></textarea>", False),
        ("<p>.</p>", False),
        ("<p></p>x", False),
        ("1 < 2", False),
        ("<styled>x</styled>", False),
        ("<style>p{}</style ><p>x", False),
        ("<IMG\nsrc=x>", False),
        ("<table><td background='http://t.test/x'></table>", False),
        ("<img/src=x>", False),
    ],
)
def test_a_body_is_blank_without_words_and_pictures(html: str, blank: bool) -> None:
    assert is_blank(html) is blank


@pytest.mark.parametrize("piece", ["<", "<!--", "<style>", "<a", "</style", "&", " "])
def test_blank_is_told_fast(piece: str) -> None:
    started = time.perf_counter()
    is_blank(piece * (500_000 // len(piece)))
    assert time.perf_counter() - started < 2


def test_a_quoted_body_enters_the_composer_without_names_and_goes_out_whole() -> None:
    html = (
        '<style>p{color:red}</style><div id="x" class="y"><img src="http://t.test/1?a=b&amp;c" name="z">'
        '<img src="cid:known">'
        '<map name="m"><area href="http://x.test"></map><a href="#top">top</a></div>'
    )
    quoted = shown(html, for_quoting=True)
    assert quoted.blocked_remote == 1
    for gone in ("<style", "id=", "class=", "name=", "<map", "<area", "#top"):
        assert gone not in quoted.html
    sent = sanitize_outgoing(
        quoted.html, cid_of_url=lambda url: url.removeprefix("/webmail/part/") if "part" in url else None
    )
    assert 'src="http://t.test/1?a=b&amp;c"' in sent
    assert 'src="cid:known"' in sent
    assert "data:" not in sent


@pytest.mark.parametrize(
    ("html", "sent"),
    [
        ('<img src="data:image/png;base64,AAAA">', "<img>"),
        ('<img src="/webmail/part/1">', "<img>"),
        ('<img src="cid:a@b">', '<img src="cid:a@b">'),
        (f'<img src="{BLOCKED_IMAGE}#javascript%3Ax">', "<img>"),
        ('<p style="position:fixed;color:red" class="x">hi</p>', '<p style="color: red">hi</p>'),
        ('<a href="https://x.test" target="_blank">x</a>', '<a href="https://x.test">x</a>'),
        ("<a href='/sign-out'>x</a>", "<a>x</a>"),
        ("<details><summary>x</summary>y</details>", "xy"),
    ],
)
def test_what_the_composer_posts_is_cleaned(html: str, sent: str) -> None:
    assert sanitize_outgoing(html) == sent


@pytest.mark.parametrize(
    ("html", "folded"),
    [
        ('<p>Yes.</p><blockquote type="cite"><p>Lunch?</p></blockquote>', True),
        (
            'Yes.<div class="gmail_quote">On Monday: <blockquote class="gmail_quote">Lunch?</blockquote></div>',
            True,
        ),
        ('<blockquote type="cite">Only a quotation</blockquote>', False),
        ("<p>&nbsp; \n</p><blockquote type=cite>x</blockquote>", False),
        ("<p>A poem:</p><blockquote>Rose</blockquote>", False),
    ],
)
def test_the_message_answered_to_is_folded(html: str, folded: bool) -> None:
    result = sanitize_html(html, cid_url=cid_url, remote_images=False, fold_quotes="Quoted <text>")
    assert result.html.count('<details class="dm-fold"><summary>Quoted &lt;text&gt;</summary>') == folded
    assert "<details" not in shown(html).html
