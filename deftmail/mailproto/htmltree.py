"""Bring a stranger's HTML into a shape that costs little to parse, before anybody parses it.

HTML parsers are linear on honest pages only: deep nesting, unclosed formatting elements (each is copied into every
later paragraph) and thousands of attributes make them quadratic or exhaust memory. :func:`normalize` reads tags and
text in one pass, nests them properly, and limits depth, number of tags and attributes. It decides nothing about
safety: the sanitiser that follows does, on what it parses itself.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

MAX_HTML = 1_000_000  # characters
MAX_TAGS = 40_000
MAX_DEPTH = 100  # browsers stop at 512, libxml2 at 256
MAX_FORMATTING = 16  # open b, i, font … at once: HTML parsers reopen each of them in every following paragraph
MAX_ATTRIBUTE = 400_000  # characters of one attribute value: a picture in a data: URL

_TAG_NAME = re.compile(r"[A-Za-z][^\s/>]*")
# One attribute after the HTML standard's tokeniser (§13.2.5.32 and following): a name, perhaps a value.
_ATTRIBUTE = re.compile(
    r"[\s/]*+(?:(?P<name>=[^\s/>=]*+|[^\s/>=]++)(?:\s*+=\s*+(?:\"(?P<double>[^\"]*+)\"|'(?P<single>[^']*+)'"
    r"|(?P<bare>[^\s>\"'][^\s>]*+)|(?P<open>[\"'])|(?=>)))?+|(?P<end>>))"
)
# nh3 0.3 is quadratic in the references of one run of text (measured: 200,000 take 2.6 s), so long runs are broken.
MAX_REFERENCES = 2_000
_BARE_AMPERSAND = re.compile(
    r"&(?![A-Za-z0-9]+;|#[0-9]{1,7};|#[xX][0-9A-Fa-f]{1,6};|(?:amp|lt|gt|quot|nbsp|copy|reg)\b)"
)
_RAW_TEXT = frozenset({"script", "style", "textarea", "title", "xmp", "iframe", "noembed", "noframes"})
_RAW_END = {name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE) for name in _RAW_TEXT}
_SKIPPED = frozenset({"svg", "math", "object", "applet", "template", "select", "video", "audio", "canvas"})
_VOID = frozenset({"area", "br", "col", "hr", "img", "wbr"})
_FORMATTING = frozenset({"a", "b", "big", "code", "em", "font", "i", "s", "small", "strike", "strong", "tt", "u"})
_CELLS = frozenset({"td", "th", "caption"})
_SECTIONS = frozenset({"tbody", "thead", "tfoot"})
_TABLE_PARTS = _CELLS | _SECTIONS | {"tr", "table", "colgroup"}
_CLOSES_P = frozenset(
    {
        "address",
        "article",
        "aside",
        "blockquote",
        "center",
        "details",
        "div",
        "dl",
        "figure",
        "footer",
        "h1",
        "h2",
        "h3",
    }
    | {"h4", "h5", "h6", "header", "hr", "main", "nav", "ol", "p", "pre", "section", "table", "ul"}
)
# A start tag ends these elements when they are open above the barrier (HTML standard §13.2.6.4.7, .9 and following).
_IMPLIED: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "li": (frozenset({"li"}), frozenset({"ul", "ol"})),
    "dd": (frozenset({"dd", "dt"}), frozenset({"dl"})),
    "dt": (frozenset({"dd", "dt"}), frozenset({"dl"})),
    "td": (_CELLS, frozenset({"table", "tr"})),
    "th": (_CELLS, frozenset({"table", "tr"})),
    "tr": (_CELLS | {"tr", "colgroup"}, frozenset({"table"}) | _SECTIONS),
    **dict.fromkeys(_SECTIONS, (_CELLS | _SECTIONS | {"tr", "colgroup"}, frozenset({"table"}))),
    "a": (frozenset({"a"}), frozenset({"table"}) | _CELLS),
}

TAGS = frozenset(
    {"abbr", "b", "bdi", "bdo", "big", "caption", "cite", "code", "colgroup", "dd", "del", "dfn", "dt", "em"}
    | {"a", "figcaption", "font", "i", "ins", "kbd", "li", "map", "mark", "q", "rp", "rt", "ruby", "s", "samp", "small"}
    | {
        "span",
        "strike",
        "strong",
        "sub",
        "summary",
        "sup",
        "tbody",
        "td",
        "tfoot",
        "th",
        "thead",
        "time",
        "tr",
        "tt",
        "u",
    }
    | {"var"}
    | _CLOSES_P
    | _VOID
)
ATTRIBUTES = frozenset(
    {"abbr", "align", "alt", "background", "bgcolor", "border", "cellpadding", "cellspacing", "class", "clear", "color"}
    | {"colspan", "coords", "datetime", "dir", "face", "headers", "height", "href", "hspace", "id", "lang", "name"}
    | {"noshade", "nowrap", "open", "reversed", "rowspan", "scope", "shape", "size", "span", "src", "start", "style"}
    | {"title", "type", "usemap", "valign", "value", "vspace", "width"}
)

Attributes = dict[str, str]


@dataclass(slots=True)
class NormalHtml:
    """``html`` is properly nested; ``styles`` are the texts of its ``<style>`` blocks, which it no longer holds."""

    html: str
    styles: list[str]
    truncated: bool


def normalize(html: str, *, fold_quotes: str | None = None) -> NormalHtml:
    """Read any text as HTML; linear in its length; never raises.

    With ``fold_quotes`` the first quoted message behind text of its own goes into ``<details>`` under that label.
    """
    truncated = len(html) > MAX_HTML
    text = re.sub("[\x00\ud800-\udfff]", "\ufffd", html[:MAX_HTML])
    writer = _Writer(fold_quotes)
    return NormalHtml(writer.write(text), writer.styles, truncated or writer.tags > MAX_TAGS)


@dataclass(slots=True)
class _Writer:
    fold_label: str | None
    out: list[str] = field(default_factory=list)
    styles: list[str] = field(default_factory=list)
    tags: int = 0
    _stack: list[tuple[str, str]] = field(default_factory=list)  # element, what to write when it ends
    _open: Counter[str] = field(default_factory=Counter)  # how many of each are on the stack
    _formatting: int = 0
    _dropped: dict[str, int] = field(default_factory=dict)  # start tags left out, whose end tags must be left out too
    _skipping: str = ""
    _skip_depth: int = 0
    _own_text: bool = False
    _references: int = 0  # in the run of text being written

    def write(self, text: str) -> str:
        position = 0
        while position < len(text) and self.tags <= MAX_TAGS:
            start = text.find("<", position)
            if start < 0:
                self._text(text[position:])
                break
            if start > position:
                self._text(text[position:start])
            position = self._markup(text, start)
        self._close(0)
        return "".join(self.out)

    def _text(self, text: str) -> None:
        if not self._skipping:
            self._own_text = self._own_text or not text.replace("&nbsp;", " ").isspace()
            text = _BARE_AMPERSAND.sub("&amp;", text).replace(">", "&gt;")
            self._references += text.count("&")
            if self._references > MAX_REFERENCES:
                pieces = text.split("&")
                runs = ["&".join(pieces[n : n + MAX_REFERENCES]) for n in range(0, len(pieces), MAX_REFERENCES)]
                text = "<wbr>" + "<wbr>&".join(runs)
                self._references = len(pieces) % MAX_REFERENCES
            self.out.append(text)

    def _markup(self, text: str, start: int) -> int:
        """Read what begins with ``<`` at ``start``; returns where to go on."""
        if text.startswith("<!--", start):
            return _after_comment(text, start)
        following = text[start + 1 : start + 2]
        closing = following == "/"
        name_match = _TAG_NAME.match(text, start + 1 + closing)
        if name_match is None:
            if following in ("!", "?") or closing:  # a bogus comment, among them <![if !mso]> and </ >
                end = text.find(">", start)
                return len(text) if end < 0 else end + 1
            self._text("&lt;")
            return start + 1
        attributes, position = _read_attributes(text, name_match.end())
        if position is None:  # the text ends inside a tag: the standard drops that tag
            return len(text)
        name = name_match[0].lower()
        if closing:
            self._end_tag(name)
            return position
        self.tags += 1
        if name == "plaintext":
            return len(text)
        if name in _RAW_TEXT:
            return self._raw(text, name, position)
        self._start_tag(name, attributes)
        return position

    def _raw(self, text: str, name: str, position: int) -> int:
        match = _RAW_END[name].search(text, position)
        if match is None:
            return len(text)
        content = text[position : match.start()]
        if not self._skipping:
            if name == "style":
                self.styles.append(content)
            elif name == "textarea":
                self._text(content.replace("<", "&lt;"))
        _, end = _read_attributes(text, match.end())
        return len(text) if end is None else end

    def _start_tag(self, name: str, attributes: Attributes) -> None:
        if self._skipping:
            self._skip_depth += name == self._skipping
            return
        if name in _SKIPPED:
            self._skipping, self._skip_depth = name, 1
            return
        if name == "body":
            name = "div"  # keeps the background and font set there; </body> is unknown, so it stays open to the end
        if name not in TAGS:
            return
        self._close_implied(name)
        self._references = 0
        if name in _VOID:
            self.out.append(_open_tag(name, attributes))
            return
        if len(self._stack) >= MAX_DEPTH or (name in _FORMATTING and self._formatting >= MAX_FORMATTING):
            self._dropped[name] = self._dropped.get(name, 0) + 1
            return
        before, after = self._fold(name, attributes)
        self.out.append(before + _open_tag(name, attributes))
        self._stack.append((name, f"</{name}>{after}"))
        self._open[name] += 1
        self._formatting += name in _FORMATTING

    def _fold(self, name: str, attributes: Attributes) -> tuple[str, str]:
        if not self.fold_label or not self._own_text or not _is_quote(name, attributes):
            return "", ""
        label, self.fold_label = self.fold_label, None  # only the outermost, and once
        return f'<details class="dm-fold"><summary>{escape(label)}</summary>', "</details>"

    def _end_tag(self, name: str) -> None:
        if self._skipping:
            self._skip_depth -= name == self._skipping
            if self._skip_depth == 0:
                self._skipping = ""
            return
        if name == "p" and not self._is_open("p", _TABLE_PARTS):
            self.tags += 1
            self.out.append("<br>")  # </p> alone makes an empty paragraph; a line break is what it looks like
            return
        if self._dropped.get(name, 0) > 0:
            self._dropped[name] -= 1
            return
        if not self._open[name]:
            return
        barrier = frozenset({"table"}) if name in _TABLE_PARTS else _CELLS | {"table"}
        for index in range(len(self._stack) - 1, -1, -1):
            if self._stack[index][0] == name:
                self._close(index)
                return
            if self._stack[index][0] in barrier:
                return

    def _is_open(self, name: str, barrier: frozenset[str]) -> bool:
        if not self._open[name]:
            return False
        for element, _ in reversed(self._stack):
            if element == name:
                return True
            if element in barrier:
                return False
        return False

    def _close_implied(self, name: str) -> None:
        if name in _CLOSES_P:
            self._close_above(frozenset({"p"}), _TABLE_PARTS)
        if name in _IMPLIED:
            self._close_above(*_IMPLIED[name])

    def _close_above(self, names: frozenset[str], barrier: frozenset[str]) -> None:
        if not any(self._open[name] for name in names):
            return
        lowest = None
        for index in range(len(self._stack) - 1, -1, -1):
            element = self._stack[index][0]
            if element in names:
                lowest = index
            elif element in barrier:
                break
        if lowest is not None:
            self._close(lowest)

    def _close(self, index: int) -> None:
        while len(self._stack) > index:
            name, closing = self._stack.pop()
            self._open[name] -= 1
            self._formatting -= name in _FORMATTING
            self.out.append(closing)


def _after_comment(text: str, start: int) -> int:
    for empty in ("<!-->", "<!--->"):
        if text.startswith(empty, start):
            return start + len(empty)
    end = text.find("-->", start + 4)
    return len(text) if end < 0 else end + 3


def _read_attributes(text: str, position: int) -> tuple[Attributes, int | None]:
    """Read attributes up to the ``>`` of a tag; the first of a name wins. ``None``: the tag never ends."""
    attributes: Attributes = {}
    while True:
        match = _ATTRIBUTE.match(text, position)
        if match is None or match["open"]:
            return attributes, None
        position = match.end()
        if match["end"]:
            return attributes, position
        name = match["name"].lower()
        if name in ATTRIBUTES and name not in attributes:
            value = match["double"] or match["single"] or match["bare"] or ""
            if len(value) <= MAX_ATTRIBUTE:
                attributes[name] = value


def _open_tag(name: str, attributes: Attributes) -> str:
    # Values stay as written, with their character references; only the quotes around them are ours.
    written = "".join(
        f' {key}="{_BARE_AMPERSAND.sub("&amp;", value).replace(chr(34), "&quot;")}"'
        for key, value in attributes.items()
    )
    return f"<{name}{written}>"


def _is_quote(name: str, attributes: Attributes) -> bool:
    """Say whether an element holds the message answered to, by the marks that mail programs leave."""
    if name == "blockquote":
        return attributes.get("type", "").lower() == "cite" or _has_class(
            attributes, ("gmail_quote", "protonmail_quote")
        )
    if name == "div":
        return _has_class(attributes, ("gmail_quote", "gmail_quote_container", "yahoo_quoted", "protonmail_quote"))
    return False


def _has_class(attributes: Attributes, names: Iterable[str]) -> bool:
    return not set(attributes.get("class", "").split()).isdisjoint(names)


def escape(text: str) -> str:
    """Escape text for HTML content and quoted attribute values."""
    return (
        text.replace("&", "&amp;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace('"', "&quot;")
        .replace("'", "&#x27;")
    )
