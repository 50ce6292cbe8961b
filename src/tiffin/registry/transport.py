"""HTTP as registries need it: pooled, patient, by proxies, with the host's CAs. Only it uses urllib3.

An answer is what a server said, success or not; an error means that none came. Requests
whose body can be sent again are repeated where that may help. Redirects are followed here, and
no header that logs in goes along to another host.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple
from urllib.parse import urljoin, urlsplit

from tiffin.errors import CorruptError, DeniedError, UnavailableError
from tiffin.offline import check_online
from tiffin.registry.failure import shown_url
from tiffin.registry.proxies import proxy_for
from tiffin.registry.reach import reach
from tiffin.registry.trouble import Trouble, trouble_of
from tiffin.version import VERSION

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from tiffin.registry.hostfiles import HostFiles
    from tiffin.registry.proxies import Proxy

ATTEMPTS: Final = 5
READ_SECONDS: Final = 30.0
_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 30.0
_GRACE: Final = 60.0  # seconds that a document may take, and more as it comes, at so many bytes a second
_SLOWEST: Final = 4096
_REDIRECTS: Final = 8
_BLOCK: Final = 1 << 20
_CHUNK: Final = 1 << 18
_REST: Final = 1 << 16
_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
MOVED: Final = frozenset({301, 302, 303, 307, 308})
"""Statuses of answers that lead elsewhere, with a Location."""
PRIVATE: Final = frozenset({"authorization", "cookie", "proxy-authorization"})
"""Fields that do not go along to another host."""


class Sending:
    """A body that is read from a stream while it is sent; remembers if the stream itself failed.

    The end of the stream is looked at before the last bytes are given away: a stream
    that goes on must fail while the request is still incomplete.
    """

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream = stream
        self._left = size
        self.size = size
        self.failure: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        try:
            data = self._stream.read(size)
            self._left -= len(data)
            if data and self._left <= 0:
                self._stream.read(1)
        except BaseException as error:
            self.failure = error
            raise
        return data


Body = bytes | Sending | None


class Answer:
    """What a server said: status, headers, and a body to be read once or closed."""

    def __init__(self, response: Any, url: str, guard: Callable[[Exception], UnavailableError]) -> None:
        self.status: int = response.status
        self.headers: Mapping[str, str] = response.headers
        self.url = url
        self._response = response
        self._guard = guard

    def challenges(self) -> list[str]:
        """All headers WWW-Authenticate."""
        return list(self._response.headers.getlist("WWW-Authenticate"))

    def warnings(self) -> list[str]:
        """All headers Warning."""
        return list(self._response.headers.getlist("Warning"))

    def some(self, size: int = _CHUNK) -> bytes:
        """The bytes that have come, at most `size`; nothing at the end. `UnavailableError` if it was cut."""
        try:
            data: bytes = self._response.read1(size)
        except Exception as error:
            self.close()
            raise self._guard(error) from error
        return data

    def read(self, limit: int, what: str, *, truncate: bool = False) -> bytes:
        """The whole body; `CorruptError` beyond `limit`, or only its beginning with `truncate`."""
        parts, size, begun = [], 0, time.monotonic()
        while data := self.some():
            parts.append(data)
            size += len(data)
            if time.monotonic() - begun > _GRACE + size / _SLOWEST:
                self.close()
                raise UnavailableError(f"{what} comes too slowly to be true", code="too-slow")
            if size > limit:
                self.close()
                if truncate:
                    break
                raise CorruptError(f"{what} is longer than the {limit} bytes that it may have")
        self.close()
        return b"".join(parts)[:limit]

    def close(self) -> None:
        """Let the connection go: to the next request if little is left on it, else away."""
        response = self._response
        left = response.length_remaining
        if not response.isclosed():
            if left is not None and left <= _REST:
                response.drain_conn()
            else:
                response.close()
        response.release_conn()


class Trust(NamedTuple):
    """How a server has to prove itself: `host` is the one whose certs.d counts."""

    host: str
    verify: bool = True


class Transport:
    """The one way to registries, token servers and where they redirect to. Safe for many threads.

    `sleep` and `jitter` (a number from 0 to 1) can be exchanged by tests.
    """

    def __init__(
        self,
        files: HostFiles,
        environ: Mapping[str, str],
        *,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = lambda: time.time() % 1,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        self.sleep = sleep
        self._files = files
        self._environ = environ
        self._jitter = jitter
        self._read_seconds = read_seconds
        self._lock = threading.Lock()
        self._pools: dict[tuple[Trust, Proxy | None], Any] = {}
        self._met: set[tuple[str, int]] = set()

    def request(
        self,
        method: str,
        url: str,
        trust: Trust,
        headers: Mapping[str, str],
        body: Body = None,
        attempts: int = ATTEMPTS,
    ) -> Answer:
        """The answer to a request, after redirects and repetitions. `UnavailableError` when there is none."""
        if isinstance(body, Sending):
            attempts = 1
        sent = {"User-Agent": f"tiffin/{VERSION}", "Accept-Encoding": "identity", **headers}
        for _ in range(_REDIRECTS):
            answer = self._persist(attempts, method, url, trust, sent, body)
            location = answer.headers.get("Location", "")
            if answer.status not in MOVED or not location or isinstance(body, Sending):
                return answer
            if method not in ("GET", "HEAD") and answer.status not in (307, 308):
                return answer
            answer.close()
            target = joined(url, location)
            _check_redirect(url, target)
            if origin(target) != origin(url):
                sent = {name: value for name, value in sent.items() if name.lower() not in PRIVATE}
                trust = Trust(urlsplit(target).netloc.rpartition("@")[2])
            url = target
        raise UnavailableError(f"{shown_url(url)} redirects without end", code="redirects")

    def pause(self, attempt: int, retry_after: str = "") -> bool:
        """Wait before another attempt; False, at once, when the server wants more patience than we have."""
        wanted = _seconds(retry_after)
        if wanted is not None and wanted > _LONGEST_PAUSE:
            return False
        usual = min(_PAUSE * 2.0**attempt, _LONGEST_PAUSE) * (0.5 + self._jitter() / 2)
        self.sleep(max(wanted or 0.0, usual))
        return True

    def close(self) -> None:
        """Close the connections that were kept open."""
        with self._lock:
            for pool in self._pools.values():
                pool.clear()

    def _persist(
        self,
        attempts: int,
        method: str,
        url: str,
        trust: Trust,
        headers: Mapping[str, str],
        body: Body,
    ) -> Answer:
        """Ask again while the server is busy, or cuts off a connection that once worked."""
        attempt = 0
        while True:
            attempt += 1
            try:
                answer = self._once(method, url, trust, headers, body)
            except Trouble as trouble:
                known = _address(url) in self._met
                if attempt >= attempts or not (trouble.passing or (known and trouble.network)):
                    raise trouble.error from trouble
                self.pause(attempt - 1)
                continue
            if answer.status not in _AGAIN or attempt >= attempts:
                return answer
            if not self.pause(attempt - 1, answer.headers.get("Retry-After", "")):
                return answer
            answer.close()

    def _once(self, method: str, url: str, trust: Trust, headers: Mapping[str, str], body: Body) -> Answer:
        check_online(self._environ, urlsplit(url).netloc.rpartition("@")[2])
        import urllib3

        proxy = proxy_for(url, self._environ)
        address = _address(url)
        if address not in self._met:
            reach(_address(proxy.url) if proxy else address, url, proxy)
        pool = self._pool(trust, proxy)
        sent = dict(headers)
        if isinstance(body, Sending):
            sent["Content-Length"] = str(body.size)
        elif body is not None or method in ("POST", "PUT", "PATCH"):
            sent["Content-Length"] = str(len(body or b""))

        def guard(error: Exception) -> UnavailableError:
            return trouble_of(error, url, proxy, self._files.bundle_origin).error

        try:
            response = pool.request(
                method, url, headers=sent, body=body, redirect=False, retries=False,
                preload_content=False, decode_content=False,
            )  # fmt: skip
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            if isinstance(body, Sending) and body.failure is not None:
                raise body.failure from None
            raise trouble_of(error, url, proxy, self._files.bundle_origin) from error
        self._met.add(address)
        return Answer(response, url, guard)

    def _pool(self, trust: Trust, proxy: Proxy | None) -> Any:
        with self._lock:
            key = (trust, proxy)
            if key not in self._pools:
                self._pools[key] = self._new_pool(trust, proxy)
            return self._pools[key]

    def _new_pool(self, trust: Trust, proxy: Proxy | None) -> Any:
        import urllib3

        from tiffin.registry.patience import POOLS

        settings: dict[str, Any] = {
            "maxsize": 16,
            "blocksize": _BLOCK,
            "timeout": urllib3.Timeout(connect=10, read=self._read_seconds),
            "ssl_context": self._tls(trust),
        }
        if not trust.verify:
            settings["assert_hostname"] = False
            # Whoever named the registry as insecure, or runs it here, knows.
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
        if proxy is not None and proxy.login:
            settings["proxy_headers"] = urllib3.make_headers(proxy_basic_auth=proxy.login)
        pools = (
            urllib3.PoolManager(**settings) if proxy is None else urllib3.ProxyManager(proxy.url, **settings)
        )
        pools.pool_classes_by_scheme = dict(POOLS)
        return pools

    def _tls(self, trust: Trust) -> ssl.SSLContext:
        import ssl

        bundle = self._files.bundle()
        if bundle is None:
            context = ssl.create_default_context()
        elif bundle.is_dir():
            context = ssl.create_default_context(capath=bundle)
        else:
            context = ssl.create_default_context(cafile=bundle)
        own = self._files.certificates(trust.host)
        for path in own.authorities:
            context.load_verify_locations(cafile=path)
        if own.client is not None:
            context.load_cert_chain(*own.client)
        if not trust.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def origin(url: str) -> tuple[str, str, int]:
    """Scheme, host and port: what a login belongs to."""
    parts = urlsplit(url)
    return (parts.scheme, *_address(url))


def joined(url: str, location: str) -> str:
    """Where a Location leads that came from `url`; nothing where that is no address of the web."""
    try:
        found = urljoin(url, location)
        scheme, host, _ = origin(found)
    except ValueError:
        return ""
    return found if location and scheme in ("http", "https") and host else ""


def _address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    return (parts.hostname or "", parts.port or (80 if parts.scheme == "http" else 443))


def _check_redirect(source: str, target: str) -> None:
    if not target:
        raise UnavailableError(f"{shown_url(source)} redirects to a malformed address", code="redirects")
    if urlsplit(target).scheme == "http" and urlsplit(source).scheme == "https":
        raise DeniedError(
            f"{shown_url(source)} redirects to {shown_url(target)}, which is not encrypted",
            code="unsafe-redirect",
            hint="the registry has to redirect to https://; tell its owner",
        )


def _seconds(retry_after: str) -> float | None:
    """How long Retry-After asks to wait: seconds, or a date (RFC 9110, 10.2.3); None for nothing."""
    text = retry_after.strip()
    if text.isdecimal():
        return float(text[:9])
    if not text:
        return None
    from email.utils import parsedate_to_datetime

    try:
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0.0)
    except (ValueError, TypeError, OverflowError):
        return None
