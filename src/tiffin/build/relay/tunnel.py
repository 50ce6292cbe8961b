"""CONNECT: bytes both ways between a step and a server, by the host's proxy if there is one for it.

TLS goes from end to end; nothing of it is read or kept.
"""

from __future__ import annotations

import selectors
import socket
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from tiffin.errors import UnavailableError

if TYPE_CHECKING:
    import ssl

    from tiffin.registry.proxies import Proxy

_SECONDS: Final = 15
_IDLE_SECONDS: Final = 900
_BLOCK: Final = 1 << 16
_LARGEST: Final = 16 << 10


def through(proxy: Proxy, host: str, port: int, tls: ssl.SSLContext) -> socket.socket:
    """A connection to the port of a host by an HTTP proxy. Raises UnavailableError if it refuses."""
    from base64 import b64encode

    parts = urlsplit(proxy.url)
    connection = socket.create_connection((parts.hostname or "", parts.port or 80), _SECONDS)
    try:
        if parts.scheme == "https":
            connection = tls.wrap_socket(connection, server_hostname=parts.hostname)
        name = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        login = (
            f"Proxy-Authorization: Basic {b64encode(proxy.login.encode()).decode()}\r\n"
            if proxy.login
            else ""
        )
        connection.sendall(f"CONNECT {name} HTTP/1.1\r\nHost: {name}\r\n{login}\r\n".encode("latin-1"))
        answer = b""
        # One byte after the other: what follows the head belongs to the client.
        while not answer.endswith(b"\r\n\r\n"):
            data = connection.recv(1)
            if not data or len(answer) > _LARGEST:
                raise UnavailableError("the proxy ends the connection")  # noqa: TRY301
            answer += data
        words = answer.split(None, 2)
        if len(words) < 2 or words[1][:1] != b"2":
            said = answer.partition(b"\r\n")[0].decode("latin-1")
            raise UnavailableError(f"the proxy that {proxy.variable} names refuses {name}: {said}")  # noqa: TRY301
    except BaseException:
        connection.close()
        raise
    return connection


def carry(client: socket.socket, server: socket.socket, first: bytes) -> None:
    """Carry bytes until both sides have ended, or nothing came for long; `first` has come already."""
    server.settimeout(_IDLE_SECONDS)
    client.settimeout(_IDLE_SECONDS)
    server.sendall(first)
    with selectors.DefaultSelector() as selector:
        selector.register(client, selectors.EVENT_READ, server)
        selector.register(server, selectors.EVENT_READ, client)
        while selector.get_map():
            ready = selector.select(_IDLE_SECONDS)
            if not ready:
                return
            for key, _ in ready:
                source, sink = key.fileobj, key.data
                assert isinstance(source, socket.socket)
                data = source.recv(_BLOCK)
                while data:
                    sink.sendall(data)
                    # TLS may hold bytes of which the kernel knows nothing.
                    pending = getattr(source, "pending", None)
                    data = source.recv(_BLOCK) if pending is not None and pending() else b""
                    if not data:
                        break
                else:
                    selector.unregister(source)
                    sink.shutdown(socket.SHUT_WR)
