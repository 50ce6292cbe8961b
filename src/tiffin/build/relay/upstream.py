"""Requests of the relay to where packages come from: with the host's CAs, proxies and logins.

Redirects are followed here, and a login goes along only to the host that it belongs to. An answer is what a
server said, success or not; an error of ours means that none came.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tiffin.build.relay.guard import connect, refuse_literal
from tiffin.build.relay.target import origin, without_login
from tiffin.errors import DeniedError, UnavailableError
from tiffin.offline import check_online
from tiffin.registry.proxies import proxy_for
from tiffin.registry.transport import MOVED, PRIVATE, joined
from tiffin.registry.trouble import trouble_of
from tiffin.version import VERSION

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Mapping

    from tiffin.build.relay.logins import Logins
    from tiffin.build.relay.sources import Sources
    from tiffin.registry.proxies import Proxy

_CONNECT_SECONDS: Final = 15
_READ_SECONDS: Final = 60
_REDIRECTS: Final = 10
_BLOCK: Final = 1 << 18
_REST: Final = 1 << 16
_DECODED: Final = 1 << 14  # what is decoded at once may be a thousand times as long


class Wanted(NamedTuple):
    """A request: with `follows` redirects are followed; `lends` the logins of this machine to it."""

    method: str
    url: str
    fields: Mapping[str, str] = {}
    body: bytes | None = None
    follows: bool = True
    lends: bool = True


class Answer:
    """What a server said, and where: `url` is the address after redirects."""

    def __init__(self, response: Any, url: str) -> None:
        self.status: int = response.status
        self.reason: str = response.reason or ""
        self.fields: Mapping[str, str] = response.headers
        self.url = url
        self._response = response

    @property
    def length(self) -> int | None:
        """The length of the body, if it was told."""
        text = self.fields.get("Content-Length", "")
        return int(text) if text.isascii() and text.isdecimal() else None

    def some(self, size: int = _BLOCK) -> bytes:
        """The bytes that have come, nothing at the end. Raises UnavailableError if it was cut off."""
        try:
            data: bytes = self._response.read1(size)
        except Exception as error:
            self.close()
            raise _told(error, self.url) from error
        return data

    def read(self, limit: int) -> bytes:
        """The whole body, with its encoding undone; UnavailableError beyond `limit`."""
        parts, size = [], 0
        try:
            for data in self._response.stream(_DECODED, decode_content=True):
                parts.append(data)
                size += len(data)
                if size > limit:
                    raise UnavailableError(f"{self.url} answers with more than {limit >> 20} MiB")  # noqa: TRY301
        except UnavailableError:
            self.close()
            raise
        except Exception as error:
            self.close()
            raise _told(error, self.url) from error
        self.close()
        return b"".join(parts)

    def close(self) -> None:
        """Let the connection go, to the next request if little is left on it."""
        response = self._response
        if not response.isclosed():
            left = response.length_remaining
            if left is not None and left <= _REST:
                response.drain_conn()
            else:
                response.close()
        response.release_conn()


class Upstream:
    """The one way out. `bundle` is the file with the CAs of this machine, None for Python's own."""

    def __init__(
        self, sources: Sources, logins: Logins, environ: Mapping[str, str], bundle: str | None
    ) -> None:
        self._sources = sources
        self._logins = logins
        self._environ = environ
        self._bundle = bundle
        self._known = frozenset(origin(source.url) for source in sources.all)
        self._guard = threading.Lock()
        self._pools: dict[tuple[Proxy | None, bool, bool], Any] = {}

    def request(self, wanted: Wanted) -> Answer:
        """The answer, after redirects. Raises UnavailableError when there is none, DeniedError for no go."""
        url, fields = wanted.url, dict(wanted.fields)
        for _ in range(_REDIRECTS):
            answer = self._logged_in(wanted._replace(url=url, fields=fields))
            location = answer.fields.get("Location", "")
            if not wanted.follows or answer.status not in MOVED or not location:
                return answer
            answer.close()
            target = joined(url, location)
            here, there = origin(url), origin(target) if target else ("", "", 0)
            if not target or (here[0], there[0]) == ("https", "http"):
                raise UnavailableError(f"{without_login(url)} redirects to an address that is not safe")
            if here != there:
                fields = {name: value for name, value in fields.items() if name.lower() not in PRIVATE}
            url = without_login(target)
        raise UnavailableError(f"{without_login(wanted.url)} redirects without end", code="redirects")

    def open(self, host: str, port: int) -> socket.socket:
        """A connection to the port of a host, by the proxy that is for it if there is one."""
        check_online(self._environ, host)
        proxy = proxy_for(f"https://{_bracketed(host)}:{port}", self._environ)
        if proxy is None:
            return connect(host, port, _CONNECT_SECONDS, trusted=False)
        refuse_literal(host)
        from tiffin.build.relay.tunnel import through

        return through(proxy, host, port, self._tls(checks=True))

    def close(self) -> None:
        """Close the connections that were kept open."""
        with self._guard:
            for pool in self._pools.values():
                pool.clear()

    def _logged_in(self, wanted: Wanted) -> Answer:
        own = any(name.lower() == "authorization" for name in wanted.fields)
        if own or not wanted.lends:
            return self._once(wanted)
        login = self._logins.authorization(wanted.url)
        answer = self._once(wanted, login)
        if answer.status == 401 and not login and (login := self._logins.ask(wanted.url)):
            answer.close()
            answer = self._once(wanted, login)
        return answer

    def _once(self, wanted: Wanted, login: str = "") -> Answer:
        import urllib3

        url = wanted.url
        check_online(self._environ, origin(url)[1])
        proxy = proxy_for(url, self._environ)
        scheme, host, _ = origin(url)
        trusted = origin(url) in self._known
        checks = scheme == "http" or not self._is_insecure(url)
        if proxy is not None and not trusted:
            refuse_literal(host)  # names are the proxy's to look up; it is not on this machine's loopback
        sent = {"User-Agent": f"tiffin/{VERSION}", "Accept-Encoding": "identity", **wanted.fields}
        if login:
            sent["Authorization"] = login
        try:
            response = self._pool(proxy, checks, trusted or proxy is not None).request(
                wanted.method, url, headers=sent, body=wanted.body, redirect=False, retries=False,
                preload_content=False, decode_content=False,
            )  # fmt: skip
        except DeniedError:
            raise
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise _told(error, url, proxy) from error
        return Answer(response, url)

    def _is_insecure(self, url: str) -> bool:
        _, host, port = origin(url)
        return any(entry.lower() in (host, f"{host}:{port}") for entry in self._sources.insecure)

    def _pool(self, proxy: Proxy | None, checks: bool, trusted: bool) -> Any:
        with self._guard:
            key = (proxy, checks, trusted)
            if key not in self._pools:
                self._pools[key] = self._new_pool(proxy, checks=checks, trusted=trusted)
            return self._pools[key]

    def _new_pool(self, proxy: Proxy | None, *, checks: bool, trusted: bool) -> Any:
        import urllib3

        settings: dict[str, Any] = {
            "maxsize": 32,
            "num_pools": 32,
            "timeout": urllib3.Timeout(connect=_CONNECT_SECONDS, read=_READ_SECONDS),
            "ssl_context": self._tls(checks=checks),
        }
        if not checks:
            settings["assert_hostname"] = False
            urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)  # the user has said so
        if proxy is None:
            pool = urllib3.PoolManager(**settings)
            if not trusted:
                pool.pool_classes_by_scheme = guarded_pools()
            return pool
        if proxy.login:
            settings["proxy_headers"] = urllib3.make_headers(proxy_basic_auth=proxy.login)
        return urllib3.ProxyManager(proxy.url, **settings)

    def _tls(self, *, checks: bool) -> ssl.SSLContext:
        import ssl
        from contextlib import suppress

        context = ssl.create_default_context(cafile=self._bundle)
        for more in self._sources.bundles:
            with suppress(OSError):
                context.load_verify_locations(cafile=more)
        if not checks:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def guarded_pools() -> dict[str, Any]:
    """Pools of urllib3 by scheme, whose connections go to no address of this machine."""
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

    made: dict[str, Any] = {}
    for scheme, pool, kind in (
        ("http", HTTPConnectionPool, HTTPConnection),
        ("https", HTTPSConnectionPool, HTTPSConnection),
    ):
        connection = type("GuardedConnection", (kind,), {"_new_conn": _guarded})
        made[scheme] = type("GuardedPool", (pool,), {"ConnectionCls": connection})
    return made


def _guarded(self: Any) -> socket.socket:
    return connect(self._dns_host, self.port, _CONNECT_SECONDS, trusted=False)


def _told(error: Exception, url: str, proxy: Proxy | None = None) -> UnavailableError:
    """Why no answer came, in terms of packages."""
    told = trouble_of(error, url, proxy).error
    if told.code == "certificate":
        told.hint = "name the bundle with its CA in SSL_CERT_FILE"
    elif told.code != "proxy":
        told.hint = "check the network, and the proxy (HTTPS_PROXY, NO_PROXY)"
    return told


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
