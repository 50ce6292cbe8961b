"""Queries for names over TCP: one caller of a container's name server, and the server that is asked for it.

An answer that does not fit into a datagram is asked for again so.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import select
import socket

from tiffin.network import dnsmessage
from tiffin.network.dnsmessage import Question
from tiffin.network.upstream import open_to

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tiffin.network.nameserver import NameServer
    from tiffin.network.upstream import Alarm, Waiting

__all__ = ["Caller"]

_CHUNK = 1 << 16
_SILENCE = 10.0
_PATIENCE = 3.0


class Caller:
    """A conversation, one query after the other. Who does not take an answer, or falls silent, is let go."""

    def __init__(self, server: NameServer, loop: Waiting, end: socket.socket) -> None:
        end.setblocking(False)
        self._server, self._loop, self._end = server, loop, end
        self._read = b""
        self._other: socket.socket | None = None
        self._left: list[str] = []
        self._question: Question | None = None
        self._query = b""
        self._heard = b""
        self._alarm: Alarm = loop.later(_SILENCE, self.close)
        server.callers.add(self)
        loop.watch(end.fileno(), self._readable)

    def close(self) -> None:
        """End it."""
        if self not in self._server.callers:
            return
        self._server.callers.discard(self)
        self._alarm.cancel()
        self._hang_up()
        self._loop.forget(self._end.fileno())
        self._end.close()

    def _readable(self) -> None:
        data = _received(self._end)
        if data is None:
            return
        self._read += data
        if not data or len(self._read) > _CHUNK + 2:
            self.close()
        elif self._question is None:
            self._take()

    def _take(self) -> None:
        """Answer the next whole query, if there is one."""
        query = _whole(self._read)
        if query is None:
            return
        self._read = self._read[2 + len(query) :]
        question = Question.read(query)
        if question is None:
            self.close()
            return
        own = self._server.own_answer(question)
        self._question, self._query = question, query
        if own is not None:
            self._answer(own)
        else:
            self._left = [*self._server.servers()]
            self._ask()

    def _ask(self) -> None:
        self._hang_up()
        while self._left:
            try:
                self._other = open_to(self._left.pop(0), socket.SOCK_STREAM)
            except OSError:
                continue
            self._heard = b""
            self._loop.watch(self._other.fileno(), self._connected, select.EPOLLOUT)
            self._wait(_PATIENCE, self._ask)
            return
        assert self._question is not None
        self._answer(dnsmessage.failure(self._question))

    def _connected(self) -> None:
        assert self._other is not None
        message = len(self._query).to_bytes(2, "big") + self._query
        try:
            sent = self._other.send(message)
        except OSError:
            sent = 0
        if sent != len(message):
            self._ask()
            return
        self._loop.forget(self._other.fileno())
        self._loop.watch(self._other.fileno(), self._told)

    def _told(self) -> None:
        assert self._other is not None
        data = _received(self._other)
        if data is None:
            return
        self._heard += data
        message = _whole(self._heard)
        if message is not None:
            self._answer(message)
        elif not data:
            self._ask()

    def _answer(self, message: bytes) -> None:
        self._hang_up()
        self._question = None
        whole = len(message).to_bytes(2, "big") + message
        try:
            sent = self._end.send(whole)
        except OSError:
            sent = 0
        if sent != len(whole):
            self.close()
            return
        self._wait(_SILENCE, self.close)
        self._take()

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._alarm.cancel()
        self._alarm = self._loop.later(seconds, then)

    def _hang_up(self) -> None:
        if self._other is not None:
            self._loop.forget(self._other.fileno())
            self._other.close()
            self._other = None


def _received(end: socket.socket) -> bytes | None:
    """What came, nothing at the end; None if there is nothing yet."""
    try:
        return end.recv(_CHUNK)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _whole(data: bytes) -> bytes | None:
    """The first message with its length before it, if all of it is there."""
    size = int.from_bytes(data[:2], "big")
    return data[2 : 2 + size] if len(data) >= 2 + size and len(data) >= 2 else None
