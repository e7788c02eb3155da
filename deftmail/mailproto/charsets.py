"""The charset of HTML whose MIME header names none: it is named in the HTML, as on a page of the web."""

import codecs
import re

PRESCAN = 1024  # bytes in which HTML must name its charset (HTML standard §4.2.5.4)

# Names of the WHATWG Encoding Standard by the codec that reads them; no UTF-7, no codec that is not of text.
_NAMES = {
    "utf-8": "utf-8 utf8 unicode-1-1-utf-8 utf-16 utf-16le utf-16be",  # what was read so far as ASCII is no UTF-16
    "cp1252": "windows-1252 cp1252 x-cp1252 iso-8859-1 iso8859-1 iso_8859-1 latin1 l1 us-ascii ascii ansi_x3.4-1968",
    "cp1254": "windows-1254 cp1254 x-cp1254 iso-8859-9 iso8859-9 iso_8859-9 latin5 l5",
    "cp874": "windows-874 iso-8859-11 iso8859-11 tis-620 dos-874",
    "koi8_r": "koi8-r koi8 koi8_r koi cskoi8r",
    "koi8_u": "koi8-u koi8-ru",
    "cp866": "ibm866 cp866 866",
    "mac_roman": "macintosh mac x-mac-roman",
    "mac_cyrillic": "x-mac-cyrillic x-mac-ukrainian",
    "gb18030": "gb18030 gbk x-gbk gb2312 gb_2312-80 chinese",
    "big5hkscs": "big5 big5-hkscs cn-big5 x-x-big5",
    "euc_jp": "euc-jp x-euc-jp",
    "iso2022_jp": "iso-2022-jp csiso2022jp",
    "cp932": "shift_jis shift-jis sjis x-sjis windows-31j ms_kanji ms932",
    "cp949": "euc-kr windows-949 ks_c_5601-1987 korean ksc5601 ksc_5601",
    **{f"cp{n}": f"windows-{n} cp{n} x-cp{n}" for n in (1250, 1251, 1253, 1255, 1256, 1257, 1258)},
    **{f"iso8859_{n}": f"iso-8859-{n} iso8859-{n} iso_8859-{n}" for n in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)},
}
_CODECS = {name: codec for codec, names in _NAMES.items() for name in names.split()}
_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))

_COMMENT = re.compile(rb"<!--.*?(?:-->|\Z)", re.DOTALL)
_META = re.compile(rb"<meta[\s/]([^>]*+)", re.IGNORECASE)
_ATTRIBUTE = re.compile(rb"([a-z-]++)\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s\"'>]++))", re.IGNORECASE)
_CHARSET = re.compile(rb"charset\s*+=\s*+[\"']?\s*+([^\s\"';]++)", re.IGNORECASE)


def says_nothing(charset: str | None) -> bool:
    """Whether a part's charset is none to go by: none, one nobody knows, or ASCII, which engines assume for none."""
    name = (charset or "").strip().lower()
    return name in ("us-ascii", "ascii") or name not in _CODECS


def decode_html(data: bytes) -> str:
    """Read HTML whose header names no charset, as browsers do: by its mark, by what it says itself, as UTF-8 if it is
    that, else as windows-1252; never raises."""
    for mark, codec in _BOMS:
        if data.startswith(mark):
            return data[len(mark) :].decode(codec, "replace")
    if (said := _declared(data[:PRESCAN])) is not None:
        return data.decode(said, "replace")
    try:
        # What was cut off in the middle of a character is UTF-8 all the same.
        return codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _declared(head: bytes) -> str | None:
    for meta in _META.finditer(_COMMENT.sub(b"", head)):
        found = {name.lower(): double or single or bare for name, double, single, bare in _ATTRIBUTE.findall(meta[1])}
        said = found.get(b"charset")
        if said is None and found.get(b"http-equiv", b"").strip().lower() == b"content-type":
            match = _CHARSET.search(found.get(b"content", b""))
            said = match[1] if match else None
        codec = _CODECS.get((said or b"").decode("latin-1").strip().lower())
        if codec is not None:
            return codec
    return None
