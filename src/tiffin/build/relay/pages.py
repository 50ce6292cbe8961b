"""Pages of a package index, with every link leading to the relay: the simple API in HTML and in JSON. Pure.

Specification: packaging.python.org/specifications/simple-repository-api. What a page says of a file besides
stays as it is: hashes, required Python, whether it was yanked, whether its metadata lies beside it.
"""

from __future__ import annotations

import html
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urldefrag, urljoin, urlsplit

import msgspec

from tiffin.errors import CorruptError

if TYPE_CHECKING:
    from collections.abc import Callable

JSON: Final = "application/vnd.pypi.simple.v1+json"
_HTML: Final = frozenset({"text/html", "application/vnd.pypi.simple.v1+html"})
_BASE: Final = re.compile(r"<base\b[^>]*?\bhref\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s>]+)[^>]*>", re.IGNORECASE)
_LINK: Final = re.compile(r"(<a\b[^>]*?\bhref\s*=\s*)(\"[^\"]*\"|'[^']*'|[^\s>]+)", re.IGNORECASE)
_SHA256: Final = re.compile(r"sha256=([0-9a-f]{64})")


def rewritten(data: bytes, media_type: str, url: str, file: Callable[[str, str], str]) -> bytes:
    """Return the page from `url` with its links as `file(address, sha256)` gives them.

    What is no page of an index is returned as it is. Raises CorruptError for JSON that is none.
    """
    plain = media_type.partition(";")[0].strip().lower()
    if plain == JSON:
        return _json(data, url, file)
    if plain in _HTML:
        return _html(data, url, file)
    return data


def _json(data: bytes, url: str, file: Callable[[str, str], str]) -> bytes:
    try:
        page = msgspec.json.decode(data, type=dict[str, Any])
        for each in page.get("files", ()):
            sha256 = str(each.get("hashes", {}).get("sha256", ""))
            each["url"] = _linked(str(each["url"]), url, sha256, file)
    except (msgspec.DecodeError, AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise CorruptError(f"the index answers with JSON that is no page of it: {error}") from None
    return msgspec.json.encode(page)


def _html(data: bytes, url: str, file: Callable[[str, str], str]) -> bytes:
    text = data.decode("utf-8", "surrogateescape")
    if base := _BASE.search(text):
        with suppress(ValueError):
            url = urljoin(url, html.unescape(base[1].strip("\"'")))
        text = text[: base.start()] + text[base.end() :]

    def link(found: re.Match[str]) -> str:
        target = html.unescape(found[2].strip("\"'"))
        sha256 = _SHA256.search(target.partition("#")[2])
        return f'{found[1]}"{html.escape(_linked(target, url, sha256[1] if sha256 else "", file))}"'

    return _LINK.sub(link, text).encode("utf-8", "surrogateescape")


def _linked(target: str, page: str, sha256: str, file: Callable[[str, str], str]) -> str:
    """The link as it is written into the page; one that leads to nothing that can be fetched stays."""
    try:
        found, fragment = urldefrag(urljoin(page, target.strip()))
        parts = urlsplit(found)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        return target
    if not usable or any(character.isspace() for character in found):
        return target
    return file(found, sha256) + (f"#{fragment}" if fragment else "")
