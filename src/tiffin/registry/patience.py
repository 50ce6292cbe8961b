"""Connections that wait for the head of an answer only so long, however slowly it trickles in.

A timeout of a socket begins anew with each byte: a server that sends one now and then would hold us for ever.
Loaded with the first connection.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection  # noqa: TID253 - who loads this needs it
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool  # noqa: TID253 - the same

__all__ = ["POOLS"]

HEAD_SECONDS = 60.0


def _head(connection: Any, wait: Any) -> Any:
    """What `wait` returns, or what it raises once the connection was shut because it took too long."""
    timer = threading.Timer(HEAD_SECONDS, _shut, (connection.sock,))
    timer.daemon = True
    timer.start()
    try:
        return wait()
    finally:
        timer.cancel()


def _shut(end: socket.socket | None) -> None:
    if end is not None:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


class _Plain(HTTPConnection):
    def getresponse(self) -> Any:
        return _head(self, super().getresponse)


class _Secure(HTTPSConnection):
    def getresponse(self) -> Any:
        return _head(self, super().getresponse)


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


POOLS = {"http": _PlainPool, "https": _SecurePool}
"""The pools of such connections, by scheme."""
