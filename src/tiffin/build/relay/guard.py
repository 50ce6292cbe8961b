"""Which addresses a step reaches through the relay: none that are this machine's own.

A step in a network of its own could not reach the loopback of this machine, nor services that ask the
nearest link who they talk to (169.254.169.254 of the clouds): it must not by way of the relay either. Names
are resolved here and the very address that was looked at is connected to. What the user has configured (an
index, a registry, a proxy) may be anywhere.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import Final

from tiffin.errors import DeniedError

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def is_refused(address: str) -> bool:
    """Whether this is no address of another machine, in whatever way it is written."""
    found: _Address = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour
        if inner is None and found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return is_refused(str(inner))
    return (
        found.is_loopback
        or found.is_link_local
        or found.is_unspecified
        or found.is_multicast
        or found.is_reserved
        or str(found) == "fd00:ec2::254"  # where Amazon's machines ask who they are
    )


def connect(host: str, port: int, timeout: float | None, *, trusted: bool) -> socket.socket:
    """Return a connection to the host. Raises DeniedError for this machine's own, unless it is `trusted`."""
    failure: Exception | None = None
    for family, kind, protocol, _, place in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        if not trusted and is_refused(str(place[0])):
            failure = failure or _refusal(host)
            continue
        connection = socket.socket(family, kind, protocol)
        try:
            connection.settimeout(timeout)
            connection.connect(place)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if not trusted and _is_own(connection):
                raise _refusal(host)  # noqa: TRY301
        except BaseException as error:
            connection.close()
            if not isinstance(error, OSError | DeniedError):
                raise
            failure = error
            continue
        return connection
    raise failure or OSError(f"{host} has no address")


def _is_own(connection: socket.socket) -> bool:
    """Whether the other side is this machine, by an address of one of its network cards."""
    return bool(connection.getsockname()[0] == connection.getpeername()[0])


def refuse_literal(host: str) -> None:
    """Raise DeniedError for an address of this machine that is written as such, or as `localhost`."""
    bare = host.strip("[]").lower().rstrip(".")
    try:
        refused = is_refused(bare)
    except ValueError:
        refused = bare == "localhost" or bare.endswith(".localhost")
    if refused:
        raise _refusal(host)


def _refusal(host: str) -> DeniedError:
    return DeniedError(
        f"{host} is an address of the machine that builds, which steps do not reach through it",
        code="relay-refused",
        hint="name it in no_proxy, or as an index in pip.conf or uv.toml of this machine, if that is meant",
    )
