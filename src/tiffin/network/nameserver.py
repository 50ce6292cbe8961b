"""A name server for one container: it knows the containers of its networks, and asks others for the rest.

It listens at 127.0.0.11 inside the container and asks from outside, as the host itself would: so the host's
servers are reached even if they listen on its loopback. All of it happens in the supervisor's loop, without a
thread: each query has a socket of its own to ask with, and a moment at which the next server is tried.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
import os
import socket
from functools import partial

from tiffin.linux import nftables
from tiffin.linux.netns import within
from tiffin.network import dnsmessage
from tiffin.network.dnsmessage import Question
from tiffin.network.nametcp import Caller
from tiffin.network.resolver import NAME_SERVER
from tiffin.network.upstream import PORT, open_to

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tiffin.network.upstream import Alarm, Waiting
    from tiffin.network.zone import Zone

__all__ = ["NameServer"]

_TABLE = "tiffin-names"
_OUTPUT, _REDIRECT = 3, -100
_LARGEST = 1 << 16
_PATIENCE = 2.0
_ROUNDS = 2
_MOST = 256
_TURN = 64
_CALLERS = 64
_SOME = 24
"""So many addresses fit into a datagram that every client takes; who asks again gets others first."""
_RESOLV = "/etc/resolv.conf"


class NameServer:
    """Answers until `close`; `zones` may change. `servers`, or else the host's, are asked for the rest."""

    def __init__(
        self, loop: Waiting, namespace: int, zones: Sequence[Zone], servers: tuple[str, ...]
    ) -> None:
        self.zones = list(zones)
        self.forwards = True
        """Names of others are asked for: not if the container has no way out."""
        self.pending: set[Asking] = set()
        self.callers: set[Caller] = set()
        self._loop = loop
        self._given = servers
        self._hosts: tuple[tuple[int, tuple[str, ...]], ...] = ()
        self._datagrams, self._streams, *self._table = within(namespace, _sockets)
        loop.watch(self._datagrams.fileno(), self._receive)
        loop.watch(self._streams.fileno(), self._accept)

    def close(self) -> None:
        """Answer no more."""
        for asking in [*self.pending]:
            asking.end(None)
        for caller in [*self.callers]:
            caller.close()
        for listener in (self._datagrams, self._streams):
            self._loop.forget(listener.fileno())
            listener.close()
        for table in self._table:
            table.close()

    def own_answer(self, question: Question) -> bytes | None:
        """What is known here; None if somebody else is to be asked."""
        if question.kind == dnsmessage.PTR:
            address = dnsmessage.reverse(question.name)
            names = [name for zone in self.zones if address and (name := zone.name_of(address))]
            return (
                dnsmessage.answer(question, [], names=tuple(names))
                if names
                else self._unless_forwarded(question)
            )
        for zone in self.zones:
            found = zone.addresses(question.name)
            if found is not None:
                return dnsmessage.answer(question, found[:_SOME])
        return self._unless_forwarded(question)

    def servers(self) -> tuple[str, ...]:
        """Whom to ask: those who were given, or those of the host now."""
        if self._given:
            return self._given
        try:
            changed = os.stat(_RESOLV).st_mtime_ns  # noqa: PTH116 - for each query
            if not self._hosts or self._hosts[0][0] != changed:
                with open(_RESOLV, encoding="utf-8", errors="replace") as file:  # noqa: PTH123 - the same
                    lines = [line.split() for line in file]
                found = tuple(words[1] for words in lines if len(words) > 1 and words[0] == "nameserver")
                self._hosts = ((changed, found),)
        except OSError:
            return ()
        return self._hosts[0][1]

    def _unless_forwarded(self, question: Question) -> bytes | None:
        return None if self.forwards and self.servers() else dnsmessage.failure(question)

    def _receive(self) -> None:
        for _ in range(_TURN):
            try:
                query, client = self._datagrams.recvfrom(_LARGEST)
            except OSError:
                return
            question = Question.read(query)
            if question is None:
                continue
            own = self.own_answer(question)
            if own is not None:
                self._send(client, own)
            elif len(self.pending) < _MOST:
                Asking(self, self._loop, question, query, partial(self._send, client))

    def _send(self, client: tuple[str, int], message: bytes) -> None:
        with contextlib.suppress(OSError):  # it waits no more
            self._datagrams.sendto(message, client)

    def _accept(self) -> None:
        try:
            end, _ = self._streams.accept()
        except OSError:
            return
        if len(self.callers) >= _CALLERS:
            end.close()
            return
        Caller(self, self._loop, end)


class Asking:
    """One query on its way: it goes to one server after the other, until one answers."""

    def __init__(
        self,
        server: NameServer,
        loop: Waiting,
        question: Question,
        query: bytes,
        reply: Callable[[bytes], None],
    ) -> None:
        self._server, self._loop, self._question = server, loop, question
        self._query, self._reply = query, reply
        self._left = [*server.servers()] * _ROUNDS
        self._number = os.urandom(2)
        self._socket: socket.socket | None = None
        self._alarm: Alarm | None = None
        server.pending.add(self)
        self._next()

    def end(self, answer: bytes | None) -> None:
        """Be done, with an answer or without."""
        self._drop()
        self._server.pending.discard(self)
        if answer is not None:
            self._reply(answer)

    def _next(self) -> None:
        self._drop()
        while self._left:
            try:
                self._socket = open_to(self._left.pop(0), socket.SOCK_DGRAM)
                self._socket.send(self._number + self._query[2:])
            except OSError:
                self._drop()
                continue
            self._loop.watch(self._socket.fileno(), self._heard)
            self._alarm = self._loop.later(_PATIENCE, self._next)
            return
        self.end(dnsmessage.failure(self._question))

    def _heard(self) -> None:
        assert self._socket is not None
        try:
            message = self._socket.recv(_LARGEST)
        except BlockingIOError:
            return
        except OSError:
            self._next()  # nobody listens there
            return
        head = self._question.head
        if message[:2] == self._number and message[12 : len(head)].lower() == head[12:].lower():
            self.end(self._query[:2] + message[2:])

    def _drop(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._socket is not None:
            if self._socket.fileno() >= 0:
                self._loop.forget(self._socket.fileno())
            self._socket.close()
            self._socket = None


def _sockets() -> tuple[socket.socket, ...]:
    """The sockets inside the container, and one that the rules belong to which lead from port 53 to them.

    The container keeps port 53 for a name server of its own. Where the kernel has no such rules, it does not.
    """
    try:
        made = _bound(0)
        port = made[0].getsockname()[1]
        rules = tuple(
            nftables.goes_to(NAME_SERVER) + kind(PORT) + nftables.redirect(NAME_SERVER, port)
            for kind in (nftables.is_udp_to, nftables.is_tcp_to)
        )
    except OSError:
        return _bound(PORT)
    try:
        return *made, nftables.own_table(_TABLE, (nftables.Chain("names", "nat", _OUTPUT, _REDIRECT, rules),))
    except OSError:
        for listener in made:
            listener.close()
        return _bound(PORT)


def _bound(port: int) -> tuple[socket.socket, socket.socket]:
    """A socket for datagrams and one for connections at the same port, which may be any."""
    made = []
    try:
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            listener = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
            made.append(listener)
            listener.bind(
                (NAME_SERVER, port or (made[0].getsockname()[1] if kind == socket.SOCK_STREAM else 0))
            )
        made[1].listen(16)
    except BaseException:
        for listener in made:
            listener.close()
        raise
    return made[0], made[1]
