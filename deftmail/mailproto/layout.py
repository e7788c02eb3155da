"""The text of a sanitised HTML body, laid out in lines: paragraphs, lists, tables, and ``>`` before what is quoted.

inscriptis does the layout. It knows no quote marks, so where a quoted level begins and ends is marked among its lines.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from inscriptis.css_profiles import STRICT_CSS_PROFILE
from inscriptis.html_engine import Inscriptis
from inscriptis.html_properties import Display, VerticalAlignment
from inscriptis.model.canvas import Canvas
from inscriptis.model.config import ParserConfig
from inscriptis.model.css import CssParse
from inscriptis.model.html_element import HtmlElement
from inscriptis.model.table import Table
from inscriptis.model.tag import CustomHtmlTagHandlerMapping
from lxml.html import document_fromstring

MAX_QUOTE_DEPTH = 12  # deeper levels look like the last one
MAX_TABLE = 500_000  # characters of a table whose columns are aligned: each line is as long as the longest
MAX_CELLS = 50_000

_AMPERSAND = "\ufdd0"  # stands for one during the layout, which resolves character references a second time


class _Mark(str):
    """Where a quoted level begins or ends. Known by its identity, so that no text can be one."""

    __slots__ = ()


_OPENS, _CLOSES = _Mark(), _Mark()


def _block(around: int = 0, indent: int = 0) -> HtmlElement:
    return HtmlElement(display=Display.block, margin_before=around, margin_after=around, padding_inline=indent)


_PROFILE = {
    **STRICT_CSS_PROFILE,
    **{tag: _block() for tag in ("caption", "center", "details", "dl", "dt", "section", "summary")},
    "hr": _block(around=1),
    "ul": _block(indent=2),  # as wide as the bullets
    "ol": _block(indent=3),
    "dd": _block(indent=2),
    **{tag: HtmlElement(valign=VerticalAlignment.top) for tag in ("td", "th")},
}


def lay_out(safe: str, *, links: bool) -> str:
    """Lay out what the sanitiser returned; raises what lxml and inscriptis raise."""
    tree = document_fromstring(safe.replace(_AMPERSAND, "").replace("&amp;", _AMPERSAND))
    # The body is new each time: inscriptis hangs the page on it, and threads would write into each other's.
    config = ParserConfig(css={**_PROFILE, "body": HtmlElement()}, display_links=links)
    config.attribute_handler.attribute_mapping = {"style": _style}
    config.custom_html_tag_handler_mapping = CustomHtmlTagHandlerMapping(
        {"blockquote": lambda state, _: _mark(state, _OPENS), "table": _table_opens},
        {"blockquote": lambda state: _mark(state, _CLOSES), "td": _cell_closes, "th": _cell_closes},
    )
    canvas = Inscriptis(tree, config).canvas
    canvas.flush_inline()
    return "\n".join(quoted(canvas.blocks)).replace(_AMPERSAND, "&")


def quoted(blocks: Iterable[str]) -> Iterator[str]:
    """Lines with their quote marks; of blank ones at most one, and none at the ends and at the edges of a quotation."""
    depth = before = 0  # of this line, and of the last one with words
    blank: int | None = 0  # how deep in a quotation the blank line lies that comes before the next words
    begun = False
    for block in blocks:
        if block is _OPENS or block is _CLOSES:
            depth += 1 if block is _OPENS else -1
            continue
        for line in block.splitlines() or [""]:
            if not line.strip():
                blank = depth if blank is None else min(blank, depth)
                continue
            if begun and before and not depth:
                blank = 0  # what answers a quotation stands apart from it
            if begun and blank is not None:
                yield _marks(min(blank, before, depth))
            mark = _marks(depth)
            yield f"{mark} {line.rstrip()}" if mark else line.rstrip()
            before, blank, begun = depth, None, True


def _marks(depth: int) -> str:
    return ">" * min(depth, MAX_QUOTE_DEPTH)


def _mark(state: Any, mark: _Mark) -> None:
    if state.tags[-1].display != Display.none:
        canvas = state.tags[-1].canvas
        canvas.flush_inline()
        canvas.blocks.append(mark)
        if mark is _OPENS:
            canvas.margin = 1000  # as at the top of a page: what comes first there keeps no distance


def _style(value: str, element: Any) -> None:
    """Of a sender's style only what decides on words: his margins and indents are not those of a text."""
    for declaration in value.lower().split(";"):
        name, _colon, what = declaration.partition(":")
        if name.strip() == "display" and what.strip().startswith("none"):
            element.display = Display.none
        elif name.strip() == "white-space":
            CssParse.attr_white_space(what.strip(), element)


class _Table(Table):  # type: ignore[misc]  # inscriptis ships no types
    def get_text(self) -> str:
        columns = max((len(row.columns) for row in self.rows), default=0)
        height = sum(max((cell.normalize_blocks() for cell in row.columns), default=0) for row in self.rows)
        widest = max((cell.width for row in self.rows for cell in row.columns), default=0)
        if columns * len(self.rows) <= MAX_CELLS and height * columns * widest <= MAX_TABLE:
            return str(super().get_text())
        return "\n".join(line for row in self.rows for line in self._unaligned(row.columns)) + "\n"

    def _unaligned(self, cells: list[Any]) -> list[str]:
        if all(cell.height == 1 for cell in cells):
            return [self.cell_separator.join(cell.blocks[0] for cell in cells)]
        return [line for cell in cells for line in cell.blocks]


def _table_opens(state: Any, _attributes: object) -> None:
    state.tags[-1].set_canvas(Canvas())
    state.current_table.append(_Table(left_margin_len=0, cell_separator=state.config.table_cell_separator))


def _cell_closes(state: Any) -> None:
    """Quotations within a cell get their marks there: lines of a table are those of all its columns."""
    if state.current_table:
        cell = state.tags[-1].canvas
        cell.flush_inline()
        cell.blocks = list(quoted(cell.blocks))
