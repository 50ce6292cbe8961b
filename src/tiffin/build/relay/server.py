"""The relay's server: listening sockets, and a thread for each of a bounded number of connections."""

from __future__ import annotations

import base64
import hmac
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from tiffin.build.relay.answering import Answering
from tiffin.build.relay.wire import Wire
from tiffin.errors import TiffinError, UnauthorizedError, UnavailableError

if TYPE_CHECKING:
    from tiffin.build.relay.answering import Means
    from tiffin.build.relay.message import Head
    from tiffin.build.relay.target import Addresses

_MOST_CONNECTIONS: Final = 64
BACKLOG: Final = 256
_PAUSE: Final = 0.1


class Door:
    """A socket at which the relay answers to one step, until `close`.

    With `token` a client has to show it: in the path (`addresses` have it), or to the proxy as a password.
    """

    def __init__(self, listener: socket.socket, means: Means, addresses: Addresses, token: str) -> None:
        self._listener = listener
        self._means = means
        self._addresses = addresses
        self._token = token
        self._guard = threading.Lock()
        self._free = threading.Semaphore(_MOST_CONNECTIONS)
        self._open: set[socket.socket] = set()
        self._closed = False
        threading.Thread(target=self._accept, daemon=True, name="relay-accept").start()

    def close(self) -> None:
        """Listen no more, and end the connections."""
        with self._guard:
            self._closed = True
            for each in (self._listener, *self._open):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            self._free.acquire()
            try:
                connection, _ = self._listener.accept()
            except OSError:
                if self._closed:
                    return
                self._free.release()
                time.sleep(_PAUSE)  # there are too many open files, which passes
                continue
            with self._guard:
                if self._closed:
                    connection.close()
                    return
                self._open.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True, name="relay").start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with suppress(OSError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._converse(Wire(connection))
        finally:
            with self._guard:
                self._open.discard(connection)
            connection.close()
            self._free.release()

    def _converse(self, wire: Wire) -> None:
        answering = Answering(self._means, self._addresses, wire)
        while not self._closed:
            try:
                head = wire.head()
            except TiffinError as error:
                answering.refuse(error, persists=False, method="GET")
                return
            if head is None or not self._answered(answering, head):
                return

    def _answered(self, answering: Answering, head: Head) -> bool:
        """Answer one request; whether another one may follow."""
        try:
            target = self._addresses.parse(head.method, head.target)
            if self._token and target.kind in ("proxy", "connect"):
                _check(head, self._token)
            return answering.answer(head, target)
        except TiffinError as error:
            if answering.began:
                return False  # the client sees that the end is missing
            persists = head.persists and not head.length
            if isinstance(error, UnavailableError):
                self._means.keeper.complain(error)
            answering.refuse(error, persists=persists, method=head.method)
            return persists


def _check(head: Head, token: str) -> None:
    """Raise UnauthorizedError if the client does not show the token of this build."""
    kind, _, data = head.field("proxy-authorization").partition(" ")
    try:
        given = base64.b64decode(data, validate=True) if kind.lower() == "basic" else b""
    except ValueError:
        given = b""
    if not hmac.compare_digest(given.partition(b":")[2], token.encode()):
        raise UnauthorizedError("this is the relay of another build")
