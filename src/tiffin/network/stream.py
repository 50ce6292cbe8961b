"""One forwarded TCP connection: bytes both ways, half-closed ends, back-pressure.

Small messages are copied through one shared buffer, two calls each; a stream that fills the
buffer twice running goes on through a pipe by splice, without entering this process at all, and
gives the pipe back when it pauses. Events are edge-triggered: a side remembers whether it can be
read and written until the kernel says that it cannot. While nothing is pending, the connection is
calm: a small message goes through by the shortest way there is, for at such rates every call counts.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import socket
import struct

from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["EDGES", "Connection", "Pipes"]

EDGES = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
_ENDS = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
_MESSAGE = select.EPOLLIN | select.EPOLLOUT
_CAN_READ = select.EPOLLIN | _ENDS
_CAN_WRITE = select.EPOLLOUT | select.EPOLLHUP | select.EPOLLERR

_BUFFER = 1 << 16
_BULK_AFTER = 2
_PIPE_SIZE = 1 << 20
_ROUNDS = 32
_SPLICE_FLAGS = 1 | 2  # move, non-blocking
_RESET = struct.pack("ii", 1, 0)
_CAN_SPLICE = hasattr(os, "splice")

_shared = memoryview(bytearray(_BUFFER))


class Pipe(NamedTuple):
    """The two ends of a pipe that carries spliced data."""

    source: int
    sink: int


class Pipes:
    """A stock of pipes; an idle connection holds none."""

    def __init__(self, keep: int = 32) -> None:
        self._free: list[Pipe] = []
        self._keep = keep

    def take(self) -> Pipe:
        """An empty pipe."""
        if self._free:
            return self._free.pop()
        pipe = Pipe(*os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK))
        with contextlib.suppress(OSError):  # beyond the user's share of pipe memory: 64 KiB then
            fcntl.fcntl(pipe.sink, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)
        return pipe

    def give(self, pipe: Pipe) -> None:
        """Take back an empty pipe."""
        if len(self._free) < self._keep:
            self._free.append(pipe)
        else:
            self.drop(pipe)

    def drop(self, pipe: Pipe) -> None:
        """Close a pipe that is not empty."""
        os.close(pipe.source)
        os.close(pipe.sink)

    def close(self) -> None:
        """Close all that are free."""
        while self._free:
            self.drop(self._free.pop())


class _Side:
    """One of the two sockets, and what was read from it but not yet written to the other."""

    __slots__ = (
        "ending",
        "eof",
        "full",
        "held",
        "number",
        "pipe",
        "readable",
        "rest",
        "shut",
        "socket",
        "writable",
    )

    def __init__(self, end: socket.socket) -> None:
        self.socket = end
        self.number = end.fileno()
        self.readable = True
        self.writable = True
        self.ending = False  # its end is on the way: read until it comes
        self.eof = False  # it will send no more
        self.shut = False  # we shall send it no more
        self.rest = b""
        self.full = 0
        self.pipe: Pipe | None = None
        self.held = 0  # bytes in the pipe


class Connection:
    """A client and the container's end. `on_close` is told once, after which both sockets are closed."""

    def __init__(
        self,
        client: socket.socket,
        target: socket.socket,
        pipes: Pipes,
        on_close: Callable[[Connection], None],
    ) -> None:
        self._client = _Side(client)
        self._target = _Side(target)
        self._pipes = pipes
        self._on_close = on_close
        self._connected = False
        self._calm = False
        self._open = True
        for end in (client, target):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @property
    def numbers(self) -> tuple[int, int]:
        """The file descriptors of the two sockets."""
        return self._client.number, self._target.number

    def handlers(
        self, unfinished: Callable[[Connection], None]
    ) -> tuple[Callable[[int], None], Callable[[int], None]]:
        """What handles epoll's events, of the client and of the container's end.

        `unfinished` is told when there is more to do at once: call `more` then.
        """
        client, target = self._client, self._target
        return self._handler(client, target, unfinished), self._handler(target, client, unfinished)

    def _handler(
        self, source: _Side, sink: _Side, unfinished: Callable[[Connection], None]
    ) -> Callable[[int], None]:
        receive, send, shared = source.socket.recv_into, sink.socket.send, _shared

        def handle(events: int) -> None:
            if events != _MESSAGE or not self._calm:
                if self._on(source, events):
                    unfinished(self)
                return
            count, sent = -1, 0
            try:
                count = receive(shared)
                if 0 < count < _BUFFER:
                    sent = send(shared[:count])
                    if sent == count:
                        return
            except BlockingIOError:
                if count < 0:
                    return
            except OSError:
                self.close(reset=True)
                return
            if self._go_on(source, sink, count, sent):
                unfinished(self)

        return handle

    def _go_on(self, source: _Side, sink: _Side, count: int, sent: int) -> bool:
        """Go on after a read that was no small message, or could not be sent whole."""
        try:
            _took(source, sink, count, sent)
        except OSError:
            self.close(reset=True)
            return False
        return self._pump()

    def _begin(self, events: int) -> bool:
        """Whether the container's end is connected now."""
        if not events & (_CAN_WRITE | _ENDS):
            return False
        if self._target.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.close(reset=True)
            return False
        return True

    def more(self) -> bool:
        """Go on where a turn ended; return whether there is still more to do."""
        return self._pump()

    def close(self, *, reset: bool = False) -> None:
        """Close both ends; with `reset` the peers see a broken connection, not an end."""
        if not self._open:
            return
        self._open = False
        self._on_close(self)
        for side in (self._client, self._target):
            if reset:
                with contextlib.suppress(OSError):
                    side.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            side.socket.close()
            if side.pipe is not None:
                self._pipes.drop(side.pipe)
                side.pipe = None

    def _on(self, side: _Side, events: int) -> bool:
        if not self._connected and side is self._target:
            self._connected = self._begin(events)
        if events & _CAN_READ:
            side.readable = True
        if events & _ENDS:
            side.ending = True
        if events & _CAN_WRITE:
            side.writable = True
        return self._connected and self._pump()

    def _pump(self) -> bool:
        if not self._open:
            return False
        client, target = self._client, self._target
        try:
            unfinished = self._move(client, target) | self._move(target, client)
        except OSError:
            self.close(reset=True)
            return False
        if client.shut and target.shut:
            self.close()
            return False
        self._calm = _is_calm(client) and _is_calm(target)
        return unfinished

    def _move(self, source: _Side, sink: _Side) -> bool:
        """Move what can be moved; return True if the turn ended before that."""
        for _ in range(_ROUNDS):
            if source.rest and not _send(source, sink, source.rest):
                return False
            if source.held and not self._drain(source, sink):
                return False
            if source.eof:
                _finish(sink)
                return False
            if not (source.readable and sink.writable):
                self._rest_pipe(source)
                return False
            if source.full >= _BULK_AFTER and _CAN_SPLICE:
                self._fill(source)
            else:
                _copy(source, sink)
        return True

    def _fill(self, source: _Side) -> None:
        if source.pipe is None:
            source.pipe = self._pipes.take()
        try:
            count = os.splice(source.number, source.pipe.sink, _PIPE_SIZE, flags=_SPLICE_FLAGS)
        except BlockingIOError:
            source.readable = False
            return
        source.held = count
        source.eof = count == 0

    def _drain(self, source: _Side, sink: _Side) -> bool:
        if source.pipe is None:
            return True
        while source.held:
            try:
                source.held -= os.splice(source.pipe.source, sink.number, source.held, flags=_SPLICE_FLAGS)
            except BlockingIOError:
                sink.writable = False
                return False
        return True

    def _rest_pipe(self, source: _Side) -> None:
        if source.pipe is not None and not source.held and not source.readable:
            self._pipes.give(source.pipe)
            source.pipe = None
            source.full = 0


def _is_calm(side: _Side) -> bool:
    """Whether nothing is to be done before the next event, and nothing is special then."""
    pending = side.readable or side.rest or side.held or side.full
    return side.writable and not (pending or side.ending or side.eof or side.shut)


def _copy(source: _Side, sink: _Side) -> None:
    try:
        count = source.socket.recv_into(_shared)
    except BlockingIOError:
        source.readable = False
        return
    _took(source, sink, count)


def _took(source: _Side, sink: _Side, count: int, sent: int = 0) -> None:
    """Remember what a read says of the source, and send what it gave, but for what was sent."""
    if count == 0:
        source.eof = True
        return
    if count < _BUFFER:
        source.full = 0
        source.readable = source.ending  # it is empty: what comes now is a new edge
    else:
        source.full += 1
        source.readable = True
    _send(source, sink, _shared[sent:count])


def _send(source: _Side, sink: _Side, data: memoryview | bytes) -> bool:
    """Send all of it, or keep the rest with the source it came from."""
    try:
        count = sink.socket.send(data)
    except BlockingIOError:
        count = 0
    if count == len(data):
        source.rest = b""
        return True
    source.rest = bytes(data[count:])
    sink.writable = False
    return False


def _finish(sink: _Side) -> None:
    if not sink.shut:
        sink.shut = True
        with contextlib.suppress(OSError):  # it is gone already
            sink.socket.shutdown(socket.SHUT_WR)
