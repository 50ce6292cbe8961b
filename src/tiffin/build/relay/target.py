"""The addresses by which a step calls the relay, and what each stands for. Pure.

```
/_index/https/pypi.org/simple/flask/     a page of a package index that this machine has configured
/_file/MAC/SHA256/https/HOST/PATH        what such a page links to; MAC is our own mark below the address
/_hub/…                                  the Hugging Face hub
/…                                       the npm registry, whose client wants the root for itself
http://HOST/…, or CONNECT HOST:PORT      as of any proxy
```
Below the host's own network a first part names the build, as everybody on the machine can connect there.
The mark lets a step fetch, with the logins of this machine, only what an index has offered.
"""

from __future__ import annotations

import hmac
import re
from typing import Final, Literal, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from tiffin.errors import InvalidError, NotFoundError

Kind = Literal["index", "file", "hub", "npm", "proxy", "connect"]
_METADATA: Final = ".metadata"
_SCHEMES: Final = ("http", "https")
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_AUTHORITY: Final = re.compile(r"[A-Za-z0-9._~\[\]:-]+")


class Target(NamedTuple):
    """What a request asks for: the address at its origin, and the SHA-256 that it has if that is known.

    For `hub` and `npm` the address is a path, for `connect` HOST:PORT.
    """

    kind: Kind
    url: str
    sha256: str = ""


class Addresses(NamedTuple):
    """Where one step finds the relay: `base` without a final slash; `key` makes and checks the marks."""

    base: str
    key: bytes

    def index_of(self, url: str) -> str:
        """The address of the index whose own is `url`."""
        return f"{self.base}/_index/{_as_path(url)}"

    def file(self, url: str, sha256: str = "") -> str:
        """The address of a file; `url` is without a fragment."""
        return f"{self.base}/_file/{self._mark(url)}/{sha256 or '-'}/{_as_path(url)}"

    def hub(self) -> str:
        """The address of the hub."""
        return f"{self.base}/_hub"

    def _mark(self, url: str) -> str:
        """Our mark for an address, in whatever way its characters are escaped: pip does that anew."""
        plain = unquote(url, errors="surrogateescape").encode("utf-8", "surrogateescape")
        return hmac.digest(self.key, plain, "sha256")[:12].hex()

    def parse(self, method: str, target: str) -> Target:
        """Return what the request target stands for; raises InvalidError or NotFoundError."""
        if method == "CONNECT":
            return Target("connect", target)
        own = urlsplit(self.base)
        if not target.startswith("/"):
            parts = _split(target)
            if parts.netloc != own.netloc:
                if parts.scheme != "http" or not _AUTHORITY.fullmatch(parts.netloc):
                    raise InvalidError("only http:// is passed on in the clear; CONNECT is for all else")
                return Target("proxy", urlunsplit(parts._replace(path=parts.path or "/", fragment="")))
            target = urlunsplit(("", "", parts.path, parts.query, ""))  # a client with us as its proxy
        if own.path:
            if not target.startswith(f"{own.path}/"):
                raise NotFoundError("this is the relay of another build")
            target = target.removeprefix(own.path)
        return self._own(target)

    def _own(self, target: str) -> Target:
        if target.startswith("/_index/"):
            return Target("index", _from_path(target.removeprefix("/_index/")))
        if target.startswith("/_hub/"):
            return Target("hub", _plain(target.removeprefix("/_hub")))
        if not target.startswith("/_file/"):
            return Target("npm", _plain(target))
        mark, _, rest = target.removeprefix("/_file/").partition("/")
        sha256, _, path = rest.partition("/")
        url = _from_path(path)
        if hmac.compare_digest(mark.encode(), self._mark(url).encode()):
            return Target("file", url, sha256 if _DIGEST.fullmatch(sha256) else "")
        # What PEP 658 puts beside a wheel is found by its name alone.
        if hmac.compare_digest(mark.encode(), self._mark(url.removesuffix(_METADATA)).encode()):
            return Target("file", url)
        raise NotFoundError("no index page has offered this file")


def without_login(url: str) -> str:
    """The address without user and password."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def addresses_in(value: str) -> list[str]:
    """The addresses in the value of a variable, each of which may be `NAME=ADDRESS` for uv."""
    return [word.partition("=")[2] if "=" in word.partition("://")[0] else word for word in value.split()]


def login_of(url: str) -> str:
    """`user:password` of the address, or nothing."""
    try:
        parts = _split(url)
    except InvalidError:
        return ""
    if not parts.username and not parts.password:
        return ""
    return f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: what a login belongs to."""
    parts = _split(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or (80 if scheme == "http" else 443)


def is_below(url: str, base: str) -> bool:
    """Whether the address is at or below `base`, of the same origin."""
    if origin(url) != origin(base):
        return False
    top = _split(base).path.rstrip("/")
    path = _split(url).path
    return path == top or path.startswith(f"{top}/")


def _as_path(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}/{rest}"


def _from_path(path: str) -> str:
    scheme, _, rest = path.partition("/")
    authority, slash, below = rest.partition("/")
    authority = unquote(authority)  # pip escapes the colon before a port
    if scheme not in _SCHEMES or not slash or not _AUTHORITY.fullmatch(authority):
        raise InvalidError("this is no address that the relay has given")
    return _plain(f"{scheme}://{authority}/{below}")


def _plain(url: str) -> str:
    """The address, if no part of its path leads upwards, for a server would read it otherwise than we do."""
    for part in re.split(r"[/\\]", unquote(_split(url).path)):
        if part in (".", ".."):
            raise InvalidError("a path with .. in it is not passed on")
    return url


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # it is read where it may be wrong
    except ValueError:
        raise InvalidError("this is no address of the web") from None
    return parts
