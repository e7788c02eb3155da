"""Mail bodies as plain text: from HTML, to HTML, and quoted for an answer."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import unescape

from deftmail.mailproto.html import SanitizedHtml, sanitize_html
from deftmail.mailproto.htmltree import escape
from deftmail.mailproto.layout import MAX_QUOTE_DEPTH, lay_out

MAX_TEXT = 1_000_000  # characters
MAX_LINES = 20_000

_URL = re.compile(
    r"(?P<url>\b(?:https?://|www\.)[^\s<>\"\u00a0]{1,2000})"
    r"|(?<![\w.+-])(?P<email>[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8})",
    re.IGNORECASE,
)
_PARAMETER = re.compile(r';\s*(format|delsp)\s*=\s*"?([a-z]+)', re.IGNORECASE)
_QUOTE_MARK = re.compile(r"(?:> ?)+")
_LINE_END = re.compile(r"\r\n|[\r\n\x0b\x0c\x85\u2028\u2029]")
_UNSAFE = re.compile("[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff]")


def html_to_text(html: str, *, links: bool = False) -> str:
    """Return the text of an HTML body, quoted levels under ``>``, for the plain alternative; never raises for any text.

    With ``links`` the addresses behind links are written too, as ``[text](https://…)``.
    """
    safe = sanitize_html(html, cid_url=lambda _: None, remote_images=False).html
    try:
        return lay_out(safe, links=links)[:MAX_TEXT] if safe.strip() else ""
    except Exception:  # whatever libxml2 objects to: the words without layout are better than none
        return re.sub(r"\s*\n\s*", "\n", unescape(re.sub(r"<[^>]*>", " ", safe))).strip()[:MAX_TEXT]


def joined(text: str, content_type: str) -> str:
    """Join the soft line breaks of a text if its ``Content-Type``, as it was written, says that it has some."""
    said = {name.lower(): value.lower() for name, value in _PARAMETER.findall(content_type)}
    return unflow(text, delsp=said.get("delsp") == "yes") if said.get("format") == "flowed" else text


def unflow(text: str, *, delsp: bool = False) -> str:
    """Join the soft line breaks of ``format=flowed`` text (RFC 3676 §4.2); ``delsp`` as its parameter says (§4.4)."""
    out: list[str] = []
    joining: int | None = None  # the quote depth of a paragraph that goes on
    for raw in _lines(text):
        depth = len(raw) - len(raw.lstrip(">"))
        line = raw[depth:]
        if depth or not line.startswith(" >"):  # without its space it would be read as quoted
            line = line.removeprefix(" ")  # §4.4: space-stuffing
        soft = line.endswith(" ") and line != "-- "  # §4.3: the signature mark is never flowed
        kept = line[:-1] if soft and delsp else line
        if joining == depth and line != "-- ":
            out[-1] += kept
        else:
            out.append((">" * depth + " " if depth else "") + kept)
        joining = depth if soft else None
    return "\n".join(out)


def text_to_html(text: str, *, fold: str | None = None) -> str:
    """Write a plain body as safe HTML: links clickable, quoted levels in ``blockquote``, the signature apart.

    Classes: ``dm-text`` (wants ``white-space: pre-wrap``), ``dm-quote``, ``dm-sig``, and ``dm-fold`` around the quoted
    message at the end where ``fold`` gives its label. Never raises for any text.
    """
    blocks = _blocks(_lines(_UNSAFE.sub("\ufffd", text[:MAX_TEXT])))
    folded = _trailing_quote(blocks) if fold else None
    out = ['<div class="dm-text">']
    for index, block in enumerate(blocks):
        body = _linked("\n".join(block.lines))
        if block.signature:
            out.append(f'<div class="dm-sig">{body}</div>')
        elif not block.depth:
            out.append(f"<div>{body}</div>")
        else:
            if index == folded:
                out.append(f'<details class="dm-fold"><summary>{escape(fold or "")}</summary>')
            out.append('<blockquote class="dm-quote">' * block.depth + body + "</blockquote>" * block.depth)
    if folded is not None:
        # The signature behind the quoted message, if any, is folded with it.
        out.append("</details>")
    return "".join([*out, "</div>"])


def quote_text(text: str, *, attribution: str) -> str:
    """Quote a plain body under its attribution line (RFC 3676 §4.5), without its signature."""
    lines = _lines(_UNSAFE.sub("\ufffd", text[:MAX_TEXT]))
    if "-- " in lines:
        lines = lines[: lines.index("-- ")]
    while lines and not lines[-1].strip():
        lines.pop()
    quoted = [(">" + line if line.startswith(">") else "> " + line).rstrip() for line in lines]
    return "\n".join([_one_line(attribution), *quoted])


def quote_html(body: SanitizedHtml, *, attribution: str) -> str:
    """Quote a body that :func:`sanitize_html` made ``for_quoting``, under its attribution line."""
    return (
        f"<div>{escape(_one_line(attribution))}</div>"
        '<blockquote type="cite" style="margin: 0 0 0 0.8ex; border-left: 2px solid #ccc; padding-left: 1ex">'
        f"{body.html}</blockquote>"
    )


def forward_text(text: str, *, title: str, headers: Sequence[tuple[str, str]]) -> str:
    """Put a plain body under the lines that say whose message it was; ``headers`` are labels and values."""
    lines = [f"---------- {_one_line(title)} ----------"]
    lines += [f"{_one_line(label)}: {_one_line(value)}" for label, value in headers]
    return "\n".join([*lines, "", _UNSAFE.sub("\ufffd", text[:MAX_TEXT])])


def forward_html(body: SanitizedHtml, *, title: str, headers: Sequence[tuple[str, str]]) -> str:
    """Put a body that :func:`sanitize_html` made ``for_quoting`` under the same lines."""
    lines = [f"---------- {escape(_one_line(title))} ----------"]
    lines += [f"<b>{escape(_one_line(label))}:</b> {escape(_one_line(value))}" for label, value in headers]
    return f"<div>{'<br>'.join(lines)}</div><br><div>{body.html}</div>"


@dataclass(slots=True)
class _Block:
    depth: int
    lines: list[str]
    signature: bool = False


def _blocks(lines: Sequence[str]) -> list[_Block]:
    blocks: list[_Block] = []
    for line in lines:
        if blocks and blocks[-1].signature:
            blocks[-1].lines.append(line)
            continue
        if line == "-- ":  # RFC 3676 §4.3
            blocks.append(_Block(0, [line], signature=True))
            continue
        depth, content = _quote_depth(line)
        if not blocks or blocks[-1].depth != depth:
            blocks.append(_Block(depth, []))
        blocks[-1].lines.append(content)
    return blocks


def _quote_depth(line: str) -> tuple[int, str]:
    match = _QUOTE_MARK.match(line)
    if match is None:
        return 0, line
    return min(match[0].count(">"), MAX_QUOTE_DEPTH), line[match.end() :]


def _trailing_quote(blocks: Sequence[_Block]) -> int | None:
    """Find where the quoted message begins with which the body ends, if it has words of its own before that."""
    end = len(blocks)
    while end and (blocks[end - 1].signature or _is_blank(blocks[end - 1])):
        end -= 1
    start = end
    while start and (blocks[start - 1].depth or _is_blank(blocks[start - 1])):
        start -= 1
    while start < end and not blocks[start].depth:
        start += 1
    own = any(not block.depth and not _is_blank(block) for block in blocks[:start])
    return start if start < end and own else None


def _is_blank(block: _Block) -> bool:
    return not block.depth and not any(line.strip() for line in block.lines)


def _linked(text: str) -> str:
    out: list[str] = []
    position = 0
    for match in _URL.finditer(text):
        found = _without_trailing_punctuation(match[0])
        prefix = "mailto:" if match["email"] else "" if found[:4].lower() == "http" else "http://"
        href = prefix + found
        out.append(escape(text[position : match.start()]))
        out.append(f'<a href="{escape(href)}" target="_blank" rel="noopener noreferrer nofollow">{escape(found)}</a>')
        position = match.start() + len(found)
    out.append(escape(text[position:]))
    return "".join(out)


def _without_trailing_punctuation(url: str) -> str:
    for _ in range(20):
        last = url[-1]
        if last in ".,;:!?'*_~»”’" or (last in ")]}" and url.count(last) > url.count("([{"[")]}".index(last)])):
            if len(url) == 1:
                break
            url = url[:-1]
        else:
            break
    return url


def _lines(text: str) -> list[str]:
    return _LINE_END.split(text)[:MAX_LINES]


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", _UNSAFE.sub("\ufffd", text)).strip()[:1000]
