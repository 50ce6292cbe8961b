"""An exception of the network → what it means, and whether it may pass. Pure."""

from __future__ import annotations

import errno
import re
import socket
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from tiffin.errors import UnavailableError
from tiffin.registry.failure import redact

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tiffin.registry.proxies import Proxy

_NO_ROUTE: Final = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL})
_TLS: Final = re.compile(r"\[SSL: ([A-Z0-9_]+)\]")
_NOT_TLS: Final = frozenset({"WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG"})
_NETWORK: Final = "check the network, the proxy (HTTPS_PROXY), or name a mirror in TIFFIN_MIRRORS"


class Trouble(Exception):  # noqa: N818 - it carries the error to raise, with what to do before
    """No answer came. `passing`: another try may help; `network`: it would if the host was reached before.

    `plain` says that the server seems not to speak TLS.
    """

    def __init__(
        self, error: UnavailableError, *, passing: bool = False, network: bool = False, plain: bool = False
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.passing = passing
        self.network = network
        self.plain = plain


def unreachable(url: str, proxy: Proxy | None, why: str) -> Trouble:
    """The server, or the proxy on the way to it, does not answer at all."""
    if proxy is not None:
        error = UnavailableError(
            f"{_host(url)} cannot be reached: the proxy {_host(proxy.url)}: {why}",
            code="proxy",
            hint=f"{proxy.variable} names that proxy; correct it, or put {_host(url)} into NO_PROXY",
        )
    else:
        error = UnavailableError(f"{_host(url)} cannot be reached: {why}", code="unreachable", hint=_NETWORK)
    return Trouble(error, network=True)


def trouble_of(
    failure: Exception, url: str, proxy: Proxy | None, bundle: Callable[[], str] = lambda: ""
) -> Trouble:
    """What an exception from below means for a request to `url`; `bundle` tells of the CAs in use."""
    causes = list(_causes(failure))
    for cause in causes:
        if isinstance(cause, socket.gaierror):
            return _unknown_host(cause, url, proxy)
        name = _tls_name(cause)
        if name is not None:
            return _tls_trouble(cause, name, url, bundle)
        if isinstance(cause, ConnectionRefusedError):
            return unreachable(url, proxy, "the connection was refused")
        if isinstance(cause, OSError) and cause.errno in _NO_ROUTE:
            return unreachable(url, proxy, (cause.strerror or "no route").lower())
    names = {type(cause).__name__ for cause in causes}
    if "ProxyError" in names and proxy is not None:
        said = redact(str(causes[-1]), (proxy.login,))
        return unreachable(url, proxy, said)
    if "ConnectTimeoutError" in names:
        return unreachable(url, proxy, "it does not answer")
    if names & {"ReadTimeoutError", "TimeoutError", "timeout"}:
        return _cut(url, "it stopped answering")
    if names & {"LocationParseError", "LocationValueError", "UnicodeError"}:
        error = UnavailableError(f"{_host(url)} is no address that can be asked", code="unreachable")
        return Trouble(error)
    return _cut(url, "the connection was cut off")


def _unknown_host(cause: socket.gaierror, url: str, proxy: Proxy | None) -> Trouble:
    if proxy is not None:
        return unreachable(url, proxy, "its name is not known")
    passing = "" if cause.errno != socket.EAI_AGAIN else " at the moment: no name server answers"
    error = UnavailableError(
        f"the host {_host(url)} is not known{passing}",
        code="unknown-host",
        hint=f"check the spelling; {_NETWORK}",
    )
    return Trouble(error, network=True)


def _tls_trouble(cause: BaseException, name: str, url: str, bundle: Callable[[], str]) -> Trouble:
    host = _host(url)
    if name == "CERTIFICATE_VERIFY_FAILED":
        why = str(getattr(cause, "verify_message", "")) or "it is not signed by a CA that is trusted here"
        error = UnavailableError(
            f"the certificate of {host} is not trusted: {redact(why, ())}",
            code="certificate",
            hint="name the bundle with its CA in SSL_CERT_FILE, or put the CA into"
            f" /etc/docker/certs.d/{host}/ca.crt ({bundle()})",
        )
        return Trouble(error)
    if name in _NOT_TLS:
        error = UnavailableError(
            f"{host} does not speak TLS but, it seems, plain HTTP",
            code="not-tls",
            hint=f"if that is meant, name it in TIFFIN_INSECURE_REGISTRIES: {host}",
        )
        return Trouble(error, plain=True)
    if "EOF" in name:
        return _cut(url, "the connection was cut off")
    error = UnavailableError(
        f"no secure connection to {host}: {name.lower().replace('_', ' ')}",
        code="tls",
        hint="the registry may ask for a client certificate (certs.d), or speak only outdated TLS",
    )
    return Trouble(error)


def _cut(url: str, why: str) -> Trouble:
    error = UnavailableError(f"{_host(url)}: {why}", code="cut-off", hint=f"try again; {_NETWORK}")
    return Trouble(error, passing=True)


def _tls_name(cause: BaseException) -> str | None:
    """OpenSSL's name for what went wrong; None for what is no error of TLS. `ssl` is not imported to ask."""
    if not any(kind.__module__ == "ssl" and kind.__name__ == "SSLError" for kind in type(cause).__mro__):
        return None
    found = _TLS.search(str(cause))
    reason = getattr(cause, "reason", None)
    return reason if isinstance(reason, str) else found[1] if found else "EOF"


def _causes(failure: BaseException) -> Iterator[BaseException]:
    """The exception and those that it was made of, the outermost first."""
    seen: set[int] = set()
    pending: list[object] = [failure]
    while pending:
        one = pending.pop(0)
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            pending += [one.__cause__, one.__context__, getattr(one, "reason", None)]
            pending += [arg for arg in one.args if isinstance(arg, BaseException)]


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
