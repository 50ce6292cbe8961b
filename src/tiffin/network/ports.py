"""Port forwarding: one thread inside the container's network carries what arrives on the host's ports.

The listeners were bound in the host's network and stay there; the thread joins the container's
network for good, so that every connection it opens begins inside. Nothing is needed of the host:
no rights, no rules, no route. Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import select
import socket
import threading
import time

from tiffin.linux import netns
from tiffin.network.datagram import Relay
from tiffin.network.listen import close_all
from tiffin.network.stream import EDGES, Connection, Pipes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tiffin.network.listen import Listener

__all__ = ["Forwarder"]

_LOOPBACK = "127.0.0.1"
_ACCEPTS = 64
_EXPIRY = 30.0
_FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE = 0.1


class Forwarder:
    """Forwards the listeners' ports into the network namespace of a descriptor until `close`.

    It owns the listeners, and keeps its own copy of the descriptor; -1 is our own network. `address` is the
    container's own; without one its loopback is used.
    """

    def __init__(self, listeners: Sequence[Listener], namespace: int, address: str = "") -> None:
        self._listeners = list(listeners)
        self._namespace = os.dup(namespace) if namespace >= 0 else -1
        self._address = address or _LOOPBACK
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[int], None]] = {}
        self._connections: set[Connection] = set()
        self._relays: list[Relay] = []
        self._waiting: set[Connection] = set()
        self._paused = 0.0  # until when
        self._stopping = False
        self._pipes = Pipes()
        self._thread = threading.Thread(target=self._run, name="ports", daemon=True)

    def start(self) -> None:
        """Begin to forward; call it after the container's process was made, never before."""
        _allow_many_files()
        self._thread.start()

    def retarget(self, address: str) -> None:
        """Let what arrives from now on lead to another address, or to the loopback if there is none."""
        self._address = address or _LOOPBACK
        for relay in self._relays:
            relay.retarget(self._address)

    def close(self) -> None:
        """Stop: the ports are free and all connections ended when this returns."""
        if self._stopping:
            return
        self._stopping = True
        if self._thread.ident is not None:
            os.eventfd_write(self._wake, 1)
            self._thread.join()
        close_all(self._listeners)
        self._epoll.close()
        os.close(self._wake)
        if self._namespace >= 0:
            os.close(self._namespace)

    def _run(self) -> None:
        if self._namespace >= 0:
            netns.join(self._namespace)
        self._epoll.register(self._wake, select.EPOLLIN)
        for listener in self._listeners:
            for bound in listener.sockets:
                self._open(bound, listener)
        try:
            self._loop()
        finally:
            for relay in self._relays:
                relay.close()
            for connection in list(self._connections):
                connection.close(reset=True)
            self._pipes.close()

    def _open(self, bound: socket.socket, listener: Listener) -> None:
        port = listener.port.container
        if listener.port.protocol == "udp":
            relay = Relay(bound, (self._address, port), self._watch, self._forget, time.monotonic)
            self._relays.append(relay)
            self._watch(bound, relay.on_client)
        else:
            self._watch(bound, lambda _events: self._accept(bound, (self._address, port)))

    def _loop(self) -> None:
        handlers, waiting = self._handlers, self._waiting
        expiry = time.monotonic() + _EXPIRY
        while not self._stopping:
            for number, events in self._epoll.poll(self._patience()):
                handler = handlers.get(number)
                if handler is not None:
                    handler(events)
            if waiting:
                turn = list(waiting)
                waiting.clear()
                waiting.update(connection for connection in turn if connection.more())
            if self._paused and time.monotonic() > self._paused:
                self._resume()
            if self._relays and time.monotonic() > expiry:
                expiry = time.monotonic() + _EXPIRY
                for relay in self._relays:
                    relay.expire()

    def _patience(self) -> float:
        if self._waiting:
            return 0
        if self._paused:
            return _PAUSE
        return _EXPIRY if self._relays else -1

    def _accept(self, listener: socket.socket, target: tuple[str, int]) -> None:
        for _ in range(_ACCEPTS):
            try:
                client, _ = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _FULL:
                    self._pause()
                    return
                continue  # that client is gone again
            client.setblocking(False)
            self._connect(client, target)

    def _connect(self, client: socket.socket, target: tuple[str, int]) -> None:
        try:
            kind = socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
            inside = socket.socket(socket.AF_INET, kind)
        except OSError:
            client.close()
            self._pause()
            return
        connection = Connection(client, inside, self._pipes, self._ended)
        self._connections.add(connection)
        outer, inner = connection.numbers
        self._handlers[outer], self._handlers[inner] = connection.handlers(self._waiting.add)
        failure = inside.connect_ex(target)
        if failure not in (0, errno.EINPROGRESS):
            connection.close(reset=True)
            return
        self._epoll.register(outer, EDGES)
        self._epoll.register(inner, EDGES)

    def _ended(self, connection: Connection) -> None:
        """Forget a connection whose sockets close next, and with that leave epoll."""
        self._connections.discard(connection)
        self._waiting.discard(connection)
        for number in connection.numbers:
            self._handlers.pop(number, None)

    def _watch(self, bound: socket.socket, handler: Callable[[int], None]) -> None:
        self._handlers[bound.fileno()] = handler
        self._epoll.register(bound, select.EPOLLIN)

    def _forget(self, bound: socket.socket) -> None:
        self._handlers.pop(bound.fileno(), None)
        with contextlib.suppress(OSError):
            self._epoll.unregister(bound)

    def _pause(self) -> None:
        """Leave new connections in the queue for a moment: there are no descriptors for them."""
        if not self._paused:
            self._paused = time.monotonic() + _PAUSE
            self._listen_for(0)

    def _resume(self) -> None:
        self._paused = 0.0
        self._listen_for(select.EPOLLIN)

    def _listen_for(self, events: int) -> None:
        for listener in self._listeners:
            for bound in listener.sockets if listener.port.protocol == "tcp" else ():
                self._epoll.modify(bound, events)


def _allow_many_files() -> None:
    """Raise our own limit of open files as far as we may: a connection takes two, a fast one four."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard or hard == resource.RLIM_INFINITY:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
