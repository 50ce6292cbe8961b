"""The host's side of published ports: sockets that are bound before the container starts.

A port that is taken is found out before anything was done. Runs under `python -IS`; standard
library only.
"""

from __future__ import annotations

import contextlib
import errno
import socket

from tiffin.errors import ConflictError, DeniedError, InvalidError, TiffinError
from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tiffin.network.publish import Published

__all__ = ["Listener", "close_all", "listen"]

_BACKLOG = 4096
_TRIES = 64
_WITHOUT_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL, errno.EINVAL)
_ANY_IPV4, _ANY_IPV6 = "0.0.0.0", "::"  # noqa: S104 - what `-p 8000:8000` means


class Listener(NamedTuple):
    """A published port with its real host port, and the sockets on which it is offered."""

    port: Published
    sockets: tuple[socket.socket, ...]


def listen(ports: Iterable[Published]) -> list[Listener]:
    """Bind every port, or none: then the error names the port and one that is free."""
    listeners: list[Listener] = []
    try:
        for port in ports:
            listeners.append(_listen(port))  # noqa: PERF401 - what is bound must be known if the next fails
    except BaseException:
        close_all(listeners)
        raise
    return listeners


def close_all(listeners: Iterable[Listener]) -> None:
    """Close the sockets."""
    for listener in listeners:
        for bound in listener.sockets:
            bound.close()


def _listen(port: Published) -> Listener:
    first, last = port.choices
    candidates = range(first, last + 1) if last else [port.host] * (1 if port.host else _TRIES)
    for candidate in candidates:
        with contextlib.suppress(BlockingIOError):
            return _bind(port._replace(host=candidate, choices=(0, 0)))
    if last:
        raise ConflictError(
            f"all ports from {first} to {last} are already in use on this machine",
            code="port-in-use",
            hint="choose another range",
            exit_status=125,
        )
    if not port.host:
        raise ConflictError("no free port was found on this machine", code="port-in-use", exit_status=125)
    raise _taken(port)


def _bind(port: Published) -> Listener:
    """Bind on all addresses that the port asks for; `BlockingIOError` if one of them is taken."""
    sockets: list[socket.socket] = []
    host = port.host
    addresses = (port.address,) if port.address else (_ANY_IPV4, _ANY_IPV6)
    try:
        for address in addresses:
            try:
                sockets.append(_socket(address, host, port.protocol))
            except OSError as error:
                if address == _ANY_IPV6 and sockets and error.errno in _WITHOUT_IPV6:
                    continue
                raise _refusal(port, address, error) from error
            host = sockets[-1].getsockname()[1]
    except BaseException:
        for bound in sockets:
            bound.close()
        raise
    return Listener(port._replace(host=host), tuple(sockets))


def _socket(address: str, port: int, protocol: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    bound = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address, port))
        if kind == socket.SOCK_STREAM:
            bound.listen(_BACKLOG)
    except BaseException:
        bound.close()
        raise
    return bound


def _refusal(port: Published, address: str, error: OSError) -> OSError | TiffinError:
    if error.errno == errno.EADDRINUSE:
        return BlockingIOError(error.errno, "in use")
    if error.errno in (errno.EACCES, errno.EPERM):
        return DeniedError(
            f"port {port.host} is reserved for root on this machine",
            code="port-reserved",
            hint=f"publish another one: -p {_free(port, 8000)}:{port.container}",
            exit_status=125,
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return InvalidError(
            f"{address} is not an address of this machine, so port {port.host} cannot be published there",
            code="address-unknown",
            hint=f"leave the address out: -p {port.host}:{port.container}",
            exit_status=125,
        )
    return error


def _taken(port: Published) -> ConflictError:
    where = f" at {port.address}" if port.address else ""
    suffix = "" if port.protocol == "tcp" else f"/{port.protocol}"
    address = (f"[{port.address}]:" if ":" in port.address else f"{port.address}:") if port.address else ""
    free = _free(port, port.host)
    return ConflictError(
        f"port {port.host}{suffix} is already in use on this machine{where}",
        code="port-in-use",
        hint=f"port {free} is free: -p {address}{free}:{port.container}{suffix}",
        exit_status=125,
    )


def _free(port: Published, near: int) -> int:
    """A port above `near` that can be had now, or any."""
    for candidate in (*range(near + 1, min(near + _TRIES, 65536)), 0):
        with contextlib.suppress(OSError, TiffinError):
            listener = _bind(port._replace(host=candidate, choices=(0, 0)))
            close_all([listener])
            return listener.port.host
    return 0
