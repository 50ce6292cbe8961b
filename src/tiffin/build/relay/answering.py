"""What the relay answers to each kind of request."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urljoin

from tiffin.build.relay import pages
from tiffin.build.relay.hub import Hub
from tiffin.build.relay.keeping import FOR_EVER, Asked, Served
from tiffin.build.relay.message import has_already, head_of_answer, passed_on, wanted_part
from tiffin.build.relay.target import is_below
from tiffin.build.relay.tunnel import carry
from tiffin.build.relay.upstream import Answer, Wanted
from tiffin.errors import (
    DeniedError,
    InvalidError,
    NotFoundError,
    TiffinError,
    UnauthorizedError,
    UnavailableError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiffin.build.relay.keeping import Keeper
    from tiffin.build.relay.message import Head
    from tiffin.build.relay.sources import Sources
    from tiffin.build.relay.target import Addresses, Target
    from tiffin.build.relay.upstream import Upstream
    from tiffin.build.relay.wire import Wire

_LARGEST_BODY: Final = 4 << 20
_HOUR: Final = 3600.0
_AUDIT: Final = "/-/npm/v1/security/"
_BY_HASH: Final = re.compile(r"/by-hash/SHA256/([0-9a-f]{64})$")
# Files whose name says their version: a server may put another one there, but not every hour.
_VERSIONED: Final = (".deb", ".udeb", ".rpm", ".apk", ".tgz", ".whl", ".tar.gz", ".tar.xz", ".conda")
_STATUS: Final[tuple[tuple[type[TiffinError], int, str], ...]] = (
    (NotFoundError, 404, "Not Found"),
    (DeniedError, 403, "Forbidden"),
    (UnauthorizedError, 407, "Proxy Authentication Required"),
    (UnsupportedError, 501, "Not Implemented"),
    (InvalidError, 400, "Bad Request"),
    (UnavailableError, 502, "Bad Gateway"),
)
_FORWARDED: Final = (
    "accept",
    "accept-language",
    "user-agent",
    "if-none-match",
    "if-modified-since",
    "range",
    "if-range",
)
_NOT_KEPT: Final = ("Cache-Control", "no-store")


class Means(NamedTuple):
    """What answers are made with: one set for each build."""

    sources: Sources
    upstream: Upstream
    keeper: Keeper


class Answering:
    """Answers the requests of one connection, which came to `addresses`."""

    def __init__(self, means: Means, addresses: Addresses, wire: Wire) -> None:
        self._sources, self._upstream, self._keeper = means
        self._addresses = addresses
        self._wire = wire

    def answer(self, head: Head, target: Target) -> bool:
        """Answer one request; whether another one may follow. Raises a TiffinError for what cannot be."""
        if target.kind == "connect":
            self._connect(target.url)
            return False
        body = self._wire.body(head, _LARGEST_BODY)
        if target.kind == "proxy":
            return self._proxy(head, target.url, body)
        if head.method not in ("GET", "HEAD") and target.kind in ("index", "file"):
            raise UnsupportedError(f"{head.method} is not passed on to an index")
        if target.kind == "index":
            return self._index(head, target.url)
        if target.kind == "file":
            return self._file(head, target)
        if target.kind == "npm":
            return self._npm(head, target.url, body)
        hub = Hub(self._sources.hub.url, self._addresses.hub(), self._upstream, self._keeper)
        return self._send(head, hub.get(head, target.url, body), (_NOT_KEPT,))

    @property
    def began(self) -> bool:
        """Whether bytes of an answer to the last request were sent."""
        return self._wire.began

    def refuse(self, error: TiffinError, *, persists: bool, method: str) -> None:
        """Answer with an error."""
        found = [(status, reason) for kind, status, reason in _STATUS if isinstance(error, kind)]
        status, reason = next(iter(found), (502, "Bad Gateway"))
        text = f"tiffin relay: {error.message}" + (f" ({error.hint})" if error.hint else "")
        fields = [("Content-Type", "text/plain; charset=utf-8")]
        if not persists:
            fields.append(("Connection", "close"))
        if status == 407:
            fields.append(("Proxy-Authenticate", 'Basic realm="tiffin"'))
        body = f"{text}\n".encode("utf-8", "replace")
        if method == "HEAD":
            body = b""
        self._wire.answer(status, reason, fields, body)

    def _index(self, head: Head, url: str) -> bool:
        """A page of an index, its links leading here."""
        if not any(is_below(url, source.url) for source in self._sources.indexes):
            raise NotFoundError("this is no index that this machine has configured")
        found = self._keeper.page(Asked(url, head.field("accept")))
        if isinstance(found, Answer):
            return self._send(head, self._explained(found), (_NOT_KEPT,))
        entry, data = found
        data = pages.rewritten(data, entry.media_type, entry.url, self._addresses.file)
        fields = [("Content-Type", entry.media_type), _NOT_KEPT]
        self._wire.answer(200, "OK", fields, data) if head.method == "GET" else self._heading(
            fields, len(data)
        )
        return head.persists

    def _file(self, head: Head, target: Target) -> bool:
        """A file that an index has offered: for ever the same if the index says its digest."""
        fresh = FOR_EVER if target.url.endswith(".metadata") else _HOUR
        asked = Asked(target.url, sha256=target.sha256, fresh=fresh)
        return self._send(head, self._get(head, asked), (_NOT_KEPT,))

    def _npm(self, head: Head, path: str, body: bytes) -> bool:
        """A package's document, its archives, and the question for known faults; nothing that writes."""
        url = f"{self._sources.npm.url}{path}"
        if head.method == "POST" and path.startswith(_AUDIT):
            wanted = Wanted("POST", url, self._forwarded(head, "content-type", "content-encoding"), body)
            return self._send(head, self._upstream.request(wanted._replace(lends=False)))
        if head.method not in ("GET", "HEAD"):
            raise UnsupportedError(f"{head.method} is not passed on to the npm registry")
        if path.partition("?")[0].endswith(".tgz"):
            # In the place of the registry's host npm asks ours, for the whole path at that host.
            whole = urljoin(self._sources.npm.url, path)
            url = whole if is_below(whole, self._sources.npm.url) else url
            return self._send(head, self._get(head, Asked(url, fresh=_HOUR)))
        lends = not path.startswith("/-/")  # there are questions about the account
        found = self._keeper.page(Asked(url, head.field("accept"), lends=lends))
        if isinstance(found, Answer):
            return self._send(head, self._explained(found))
        entry, data = found
        fields = [("Content-Type", entry.media_type), *_tags(entry.etag, entry.modified)]
        if has_already(head, entry.etag, entry.modified):
            self._wire.answer(304, "Not Modified", fields, b"")
        elif head.method == "HEAD":
            self._heading(fields, len(data))
        else:
            self._wire.answer(200, "OK", fields, data)
        return head.persists

    def _proxy(self, head: Head, url: str, body: bytes) -> bool:
        """What any proxy does, but that it keeps what may be kept."""
        private = head.field("authorization") or head.field("cookie")
        if head.method != "GET" or private or "no-store" in head.field("cache-control"):
            fields = {
                name: value
                for name, value in passed_on(head.fields)
                if name not in ("host", "content-length", "expect")
            }
            wanted = Wanted(head.method, url, fields, body or None, follows=False, lends=False)
            return self._send(head, self._upstream.request(wanted))
        path = url.partition("?")[0]
        digest = _BY_HASH.search(path)
        asked = Asked(
            url,
            head.field("accept"),
            sha256=digest[1] if digest else "",
            fresh=_HOUR if path.endswith(_VERSIONED) else 0.0,
            lends=False,
            follows=False,
        )
        return self._send(head, self._get(head, asked))

    def _get(self, head: Head, asked: Asked) -> Served | Answer:
        """The file; a part of one that is not here is not kept, unless it is the rest of it."""
        if head.method == "HEAD" or (head.field("range") and not head.field("range").endswith("-")):
            kept = self._keeper.find(asked.url, asked.sha256) if asked.fresh else None
            if kept is not None:
                return kept
            return self._upstream.request(
                asked.wanted._replace(method=head.method, fields=self._forwarded(head))
            )
        found = self._keeper.get(asked)
        return self._explained(found) if isinstance(found, Answer) and asked.lends else found

    def _explained(self, answer: Answer) -> Answer:
        """Tell the user whose login a server wants."""
        if answer.status in (401, 403):
            host = answer.url.partition("://")[2].partition("/")[0]
            self._keeper.complain(
                UnauthorizedError(
                    f"{host} refuses with status {answer.status}",
                    hint="it wants a login: put it into netrc, pip.conf or uv.toml of this machine",
                )
            )
        return answer

    def _forwarded(self, head: Head, *more: str) -> dict[str, str]:
        return {name: head.field(name) for name in (*_FORWARDED, *more) if head.field(name)}

    def _connect(self, authority: str) -> None:
        host, _, port = authority.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port[:6]) < 65536:
            raise InvalidError("CONNECT wants HOST:PORT")
        try:
            server = self._upstream.open(host.strip("[]"), int(port))
        except OSError as error:
            raise UnavailableError(f"{authority} cannot be reached: {error.strerror or error}") from error
        with server:
            self._wire.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            carry(self._wire.socket, server, self._wire.rest())

    def _send(self, head: Head, found: Served | Answer, more: tuple[tuple[str, str], ...] = ()) -> bool:
        try:
            return (
                self._served(head, found, more)
                if isinstance(found, Served)
                else self._passed(head, found, more)
            )
        finally:
            found.close()

    def _served(self, head: Head, served: Served, more: tuple[tuple[str, str], ...]) -> bool:
        entry, size = served.entry, served.size
        fields = [("Content-Type", entry.media_type or "application/octet-stream"), *entry.fields.items()]
        fields += [*_tags(entry.etag, entry.modified), *more]
        if has_already(head, entry.etag, entry.modified):
            self._wire.send(head_of_answer(304, "Not Modified", fields))
            return head.persists
        if size is None:
            return self._unmeasured(head, fields, served.blocks(0, None))
        status, reason, start, end = 200, "OK", 0, size
        condition = head.field("if-range")
        if head.field("range") and condition in ("", entry.etag, entry.modified):
            try:
                part = wanted_part(head.field("range"), size)
            except InvalidError:
                self._wire.answer(416, "Range Not Satisfiable", [("Content-Range", f"bytes */{size}")], b"")
                return head.persists
            if part is not None:
                status, reason, (start, end) = 206, "Partial Content", part
                fields.append(("Content-Range", f"bytes {start}-{end - 1}/{size}"))
        fields += [("Accept-Ranges", "bytes"), ("Content-Length", str(end - start))]
        self._wire.send(head_of_answer(status, reason, fields))
        if head.method != "HEAD":
            if served.file is not None:
                self._wire.file(served.file, start, end)
            else:
                self._wire.stream(served.blocks(start, end), chunked=False)
        return head.persists

    def _passed(self, head: Head, answer: Answer, more: tuple[tuple[str, str], ...]) -> bool:
        """The answer of a server as it is."""
        hidden = {"content-length", *(name.lower() for name, _ in more)}
        given = passed_on(answer.fields.items())
        fields = [*((name, value) for name, value in given if name.lower() not in hidden), *more]
        if head.method == "HEAD" or answer.status in (204, 304) or answer.length is not None:
            if answer.length is not None:
                fields.append(("Content-Length", str(answer.length)))
            self._wire.send(head_of_answer(answer.status, answer.reason or "-", fields))
            if head.method != "HEAD":
                self._wire.stream(_blocks(answer), chunked=False)
            return head.persists
        return self._unmeasured(head, fields, _blocks(answer), answer.status, answer.reason)

    def _unmeasured(
        self,
        head: Head,
        fields: list[tuple[str, str]],
        blocks: Iterator[bytes],
        status: int = 200,
        reason: str = "OK",
    ) -> bool:
        """An answer of which nobody knows the length: in chunks, or ended with the connection."""
        chunked = head.minor == 1
        fields.append(("Transfer-Encoding", "chunked") if chunked else ("Connection", "close"))
        self._wire.send(head_of_answer(status, reason, fields))
        if head.method != "HEAD":
            self._wire.stream(blocks, chunked=chunked)
        return chunked and head.persists

    def _heading(self, fields: list[tuple[str, str]], length: int) -> None:
        self._wire.send(head_of_answer(200, "OK", [*fields, ("Content-Length", str(length))]))


def _tags(etag: str, modified: str) -> list[tuple[str, str]]:
    return [(name, value) for name, value in (("ETag", etag), ("Last-Modified", modified)) if value]


def _blocks(answer: Answer) -> Iterator[bytes]:
    sent = 0
    while data := answer.some():
        sent += len(data)
        yield data
    if answer.length is not None and sent < answer.length:
        raise UnavailableError("the content ended too early")
