"""Who is attached to a container: each gets a copy of what it writes, and none holds it up for long.

A client that reads more slowly than the container writes slows it down, as a terminal does. One that
leaves much unread for too long is sent away, so that the others and the log go on; only the one that
the container was started for is waited for, as by any command in a terminal.

| from a client | |
| --- | --- |
| `{"verb": "attach", "stdin": true, "owner": true}` with pipes | also to feed it; it runs for this one |
| `{"signal": 2, "last": true}` | for the container; with `last` it is the end |
| `{"eof": true}` | it will send no more input |
| `{"left": true}` | the user has typed the keys to leave by |

| to a client | |
| --- | --- |
| `{"attached": true}` | the container runs; with its terminal, or the pipe that is its input, if it has one |
| `{"exit": 0, "rest": ["stdout"], …}` | it has ended; with a file for each stream that has something left |
| `{"slow": true}` | it is sent away |

Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import os
from functools import partial

from tiffin.container.sink import Sink

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from tiffin.container.control import Connection
    from tiffin.container.life import Life
    from tiffin.container.logs import Stream
    from tiffin.container.loop import Loop, Timer

__all__ = ["DESCRIPTORS", "Clients"]

DESCRIPTORS = 2
"""A client gives pipes for standard output and standard error."""

MOST = 256 << 10
PATIENCE = 10.0
"""When more bytes wait for a client, the container does too; after so many seconds the client has to go."""


class Clients:
    """The clients of one container, over all its lives.

    `kill` gets their signals; `note` gets the events, in Docker's words.
    """

    def __init__(
        self,
        loop: Loop,
        kill: Callable[[int, bool], None],
        note: Callable[[str], None],
        *,
        most: int = MOST,
        patience: float = PATIENCE,
    ) -> None:
        self._loop = loop
        self._kill = kill
        self._note = note
        self._most = most
        self._patience = patience
        self._clients: list[_Client] = []
        self._late: dict[_Client, Timer | None] = {}
        self._life: Life | None = None

    def add(self, connection: Connection, wanted: Mapping[str, Any], pipes: Sequence[int]) -> None:
        """Attach who asked for it with the message `wanted`; connection and pipes are ours from now on."""
        client = _Client(connection, wanted)
        sinks = (Sink(self._loop, pipe, partial(self._weigh, client)) for pipe in pipes)
        client.sinks = dict(zip(("stdout", "stderr"), sinks, strict=True))
        self._clients.append(client)
        self._note("attach")
        self._loop.watch(connection.fileno(), partial(self._hear, client))
        if self._life is not None:
            client.greet(self._life)

    def begin(self, life: Life) -> None:
        """The container has begun this life: tell those who came before it."""
        self._life = life
        for client in self._clients:
            client.greet(life)

    def write(self, stream: Stream, data: bytes) -> None:
        """Give everybody what the container wrote."""
        for client in self._clients:
            client.sinks[stream].put(data)

    def end(self, message: dict[str, Any]) -> None:
        """The life has ended, as the message says: everybody is told so and goes."""
        self._life = None
        for client in [*self._clients]:
            left = self._forget(client)
            files = [_file(data) for data in left.values()]
            client.connection.send({**message, "rest": [*left]}, tuple(files))
            client.connection.close()
            for fd in files:
                os.close(fd)

    def _hear(self, client: _Client) -> None:
        received = client.connection.receive()
        if received is None:
            self._dismiss(client)
            return
        message, descriptors = received
        for fd in descriptors:
            os.close(fd)
        if "signal" in message:
            self._kill(int(message["signal"]), bool(message.get("last")))
        elif "eof" in message:
            self._end_input(client)
        elif "left" in message:
            self._note("detach")

    def _weigh(self, client: _Client) -> None:
        """Have the container wait while there is much that a client has not read."""
        waiting = sum(map(len, client.sinks.values()))
        if waiting > self._most and client not in self._late:
            go = None if client.waited_for else self._loop.later(self._patience, lambda: self._part(client))
            self._late[client] = go
            self._pause()
        elif waiting <= self._most // 2:
            self._excuse(client)

    def _excuse(self, client: _Client) -> None:
        if client in self._late:
            timer = self._late.pop(client)
            if timer is not None:
                timer.cancel()
            self._pause()

    def _pause(self) -> None:
        if self._life is not None:
            self._life.pause(wanted=bool(self._late))

    def _part(self, client: _Client) -> None:
        client.connection.send({"slow": True})
        self._dismiss(client)

    def _dismiss(self, client: _Client) -> None:
        self._end_input(client)
        self._forget(client)
        client.connection.close()

    def _end_input(self, client: _Client) -> None:
        if client.feeds and self._life is not None:
            self._life.end_input()

    def _forget(self, client: _Client) -> dict[str, bytearray]:
        """Watch it no more; return what it has not read, by streams."""
        self._clients.remove(client)
        self._loop.forget(client.connection.fileno())
        left = {stream: sink.close() for stream, sink in client.sinks.items()}
        self._excuse(client)
        return {stream: data for stream, data in left.items() if data}


class _Client:
    """One conversation; `feeds` says that input comes from it, `waited_for` that the container is for it."""

    def __init__(self, connection: Connection, wanted: Mapping[str, Any]) -> None:
        self.connection = connection
        self.feeds = bool(wanted.get("stdin"))
        self.waited_for = bool(wanted.get("owner"))
        self.sinks: dict[str, Sink] = {}

    def greet(self, life: Life) -> None:
        """Tell it that the container runs, and hand out where its input goes."""
        fd = life.input(wanted=self.feeds)
        self.connection.send({"attached": True}, () if fd is None else (fd,))


def _file(data: bytearray) -> int:
    """A file in memory that holds the data, to be read from its beginning."""
    fd = os.memfd_create("rest", os.MFD_CLOEXEC)
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
