"""Style filtering: nothing that loads, covers or runs; the rest as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deftmail.mailproto.css import filter_declarations, filter_stylesheet


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("color:red", "color: red"),
        ("COLOR: Red; font-family: 'Segoe UI', Arial", 'color: Red; font-family: "Segoe UI", Arial'),
        ("width: calc((100% - 20px) / 2)", "width: calc((100% - 20px) / 2)"),
        ("background-color: rgba(0, 0, 0, .5) !important", "background-color: rgba(0, 0, 0, .5) !important"),
        ("border: 1px solid #ccc; margin: -1px auto", "border: 1px solid #ccc; margin: -1px auto"),
        ("mso-line-height-rule: exactly; line-height: 1.4", "line-height: 1.4"),
        ("display: none; max-height: 0", "display: none; max-height: 0"),
    ],
)
def test_ordinary_declarations_stay(text: str, kept: str) -> None:
    assert filter_declarations(text) == kept


@pytest.mark.parametrize(
    "text",
    [
        "background: url(http://t.test/2)",
        "background-image: url('http://t.test/2')",
        'background: #fff URL( "//t.test/x" )',
        "background: u\\72l(http://t.test/2)",
        "background-image: image-set('http://t.test/2' 1x)",
        "background-image: -webkit-cross-fade(url(x), url(y))",
        "width: expression(alert(1))",
        "width: ex\\70 ression(alert(1))",
        "width: ex/**/pression(alert(1))",
        "behavior: url(x.htc)",
        "-moz-binding: url(x.xml#y)",
        "position: fixed; top: 0; left: 0; z-index: 9",
        "\\70osition: fixed",
        "--x: url(http://t.test/); color: var(--x)",
        "content: 'forged'",
        "cursor: none",
        "filter: blur(9px)",
        "animation: x 1s",
        "list-style: url(http://t.test/x)",
        "list-style-image: url(http://t.test/x)",
        "color: {}",
        "color: [red]",
        "color: @x",
        "font: 1px '\n",
        "width: calc(url(x))",
        "width: " + "calc(" * 20 + "1px" + ")" * 20,
        "width: " + "(" * 5_000,
        "color: red; " * 1_000,
        "@import 'x'",
        "} body { background: url(x)",
        "",
        "\x00",
    ],
)
def test_what_loads_covers_or_runs_goes(text: str) -> None:
    assert filter_declarations(text) == ""


def test_one_bad_declaration_takes_no_other_with_it() -> None:
    assert (
        filter_declarations("color: red; background: url(x); position: fixed; ; !; width: 1px")
        == "color: red; width: 1px"
    )


@pytest.mark.parametrize(
    ("sheet", "kept"),
    [
        ("p { color: red }", "p { color: red }"),
        ("<!-- .a, #b > a:hover { margin: 0 } -->", ".a, #b > a:hover { margin: 0 }"),
        ('td[class="w"], a:not(.b) { width: 100% !important }', 'td[class="w"], a:not(.b) { width: 100% !important }'),
        (
            "@media only screen and (max-width: 600px) { .w { width: 100% } @import 'x'; .v { position: fixed } }",
            "@media only screen and (max-width: 600px) {\n.w { width: 100% }\n}",
        ),
        (
            "@media (prefers-color-scheme: dark) { p { color: #fff } }",
            "@media (prefers-color-scheme: dark) {\np { color: #fff }\n}",
        ),
    ],
)
def test_rules_and_media_rules_stay(sheet: str, kept: str) -> None:
    assert filter_stylesheet(sheet) == kept


@pytest.mark.parametrize(
    "sheet",
    [
        "@import url(http://t.test/x.css);",
        "@import 'http://t.test/x.css';",
        "@font-face { font-family: x; src: url(http://t.test/f) }",
        "@supports (color: red) { p { color: red } }",
        "@keyframes x { from { color: red } }",
        "@media print { @media screen { p { color: red } } }",
        "@media (width < 600px) { p { color: red } }",
        "@media url(x) { p { color: red } }",
        "@media x;",
        "@namespace url(http://www.w3.org/1999/xhtml);",
        "p { background: url(http://t.test/x) }",
        "p:has(> a) { color: red }",
        "a[href='</style><script>'] { color: red }",
        "p { a { color: red } }",
        "p" * 3_000 + "{ color: red }",
        "{ color: red }",
        "p {",
        "p { color: red",
        "{" * 10_000,
        "p { color: " + "(" * 10_000,
        "@media " * 1_000 + "{" * 1_000,
    ],
)
def test_other_rules_go(sheet: str) -> None:
    kept = filter_stylesheet(sheet)
    assert kept in ("", "p { color: red }")  # an unclosed block at the end is closed by the standard
    assert kept == "" or sheet == "p { color: red"


def test_a_string_cannot_end_the_style_element() -> None:
    kept = filter_stylesheet("p { font-family: '</style><script>alert(1)</script>' }")
    assert kept == ""


TOKENS = """
    url( u\\72l( expression( position : ; { } @media @import color red ( ) ' " </style> <!-- /* */ \\ --x background
    calc( [ ] a #f00 , é font-family
"""
fragments = st.lists(st.sampled_from(TOKENS.split()), max_size=25).map(" ".join)


@given(fragments | st.text(max_size=80))
def test_no_text_gets_anything_that_loads_or_covers_through(text: str) -> None:
    for kept in (filter_declarations(text), filter_stylesheet(text), filter_stylesheet(f"p {{ {text} }}")):
        lowered = kept.lower()
        assert "<" not in kept
        assert "@import" not in lowered
        assert "url(" not in lowered.replace('"', "'").split("'")[0]  # outside strings
        assert "position:" not in lowered
        assert "expression(" not in lowered.replace('"', "'").split("'")[0]
    assert filter_declarations(filter_declarations(text)) == filter_declarations(text)
