"""Which proxy a URL goes through, by the variables that all programs share. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from tiffin.errors import InvalidError, UnsupportedError
from tiffin.registry.hosts import in_network, is_loopback, split_port

if TYPE_CHECKING:
    from collections.abc import Mapping

_PORTS = {"http": 80, "https": 443}


class Proxy(NamedTuple):
    """A proxy: its URL without a login, `user:password` or nothing, and the variable that names it."""

    url: str
    login: str
    variable: str

    def __repr__(self) -> str:
        """Everything but the login."""
        return f"Proxy({self.url!r}, by {self.variable})"


def proxy_for(url: str, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy for `url`, or None; this machine is never reached through one."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_loopback(host) or exempt(host, parts.port or _PORTS.get(parts.scheme, 0), environ):
        return None
    for name in _variables(parts.scheme, environ):
        if environ.get(name):
            return _proxy(environ[name], name)
    return None


def _variables(scheme: str, environ: Mapping[str, str]) -> list[str]:
    names = [f"{scheme}_proxy", f"{scheme}_proxy".upper(), "all_proxy", "ALL_PROXY"]
    if "REQUEST_METHOD" in environ:  # a web server puts the header Proxy of a request into HTTP_PROXY
        names.remove(f"{scheme}_proxy".upper())
    return names


def _proxy(text: str, variable: str) -> Proxy:
    address = text if "://" in text else f"http://{text}"
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        parts, host, port = SplitResult("", "", "", "", ""), None, None
    if not host:
        raise InvalidError(f"{variable} is not the URL of a proxy", hint="write http://host:port")
    if parts.scheme not in _PORTS:
        raise UnsupportedError(
            f"{variable} names a proxy of the kind {parts.scheme}://, which cannot be used",
            hint="name one that speaks HTTP: http://host:port",
        )
    login = unquote(parts.username or "")
    if login or parts.password:
        login += f":{unquote(parts.password or '')}"
    shown = f"[{host}]" if ":" in host else host
    return Proxy(f"{parts.scheme}://{shown}:{port or _PORTS[parts.scheme]}", login, variable)


def exempt(host: str, port: int, environ: Mapping[str, str]) -> bool:
    """Whether the host stands in NO_PROXY: by name, below a domain, in a network, with or without a port."""
    listed = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    for word in listed.replace(",", " ").split():
        entry = word.lower()
        if entry == "*" or ("/" in entry and in_network(host, entry)):
            return True
        name, only = split_port(entry)
        if only is not None and only != port:
            continue
        name = name.removeprefix("*").removeprefix(".")
        if name and (host == name or host.endswith("." + name)):
            return True
    return False
