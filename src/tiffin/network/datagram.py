"""Forwarded UDP: every client has a socket of its own into the container, until it falls silent.

Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import socket

from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["Relay"]

_LARGEST = 1 << 16
_SILENCE = 90.0
_CLIENTS = 4096
_TURN = 256


class _Flow(NamedTuple):
    client: Any
    target: socket.socket


class Relay:
    """The datagrams of one published port. `watch` and `forget` register sockets with the loop."""

    def __init__(
        self,
        listener: socket.socket,
        target: tuple[str, int],
        watch: Callable[[socket.socket, Callable[[int], None]], None],
        forget: Callable[[socket.socket], None],
        clock: Callable[[], float],
    ) -> None:
        self._listener = listener
        self._target = target
        self._watch = watch
        self._forget = forget
        self._clock = clock
        self._flows: dict[Any, _Flow] = {}
        self._seen: dict[Any, float] = {}

    def retarget(self, address: str) -> None:
        """Send what clients begin from now on to the same port of another address."""
        self._target = (address, self._target[1])

    def on_client(self, _events: int) -> None:
        """Pass on what clients sent."""
        for _ in range(_TURN):
            try:
                data, client = self._listener.recvfrom(_LARGEST)
            except BlockingIOError:
                break
            except OSError:
                continue  # an answer could not be delivered; that is not the listener's end
            flow = self._flows.get(client) or self._new(client)
            self._seen[client] = self._clock()
            _try(flow.target.send, data)

    def expire(self) -> None:
        """Forget clients that have been silent."""
        limit = self._clock() - _SILENCE
        for client in [client for client, seen in self._seen.items() if seen < limit]:
            self._drop(client)

    def close(self) -> None:
        """Forget all clients."""
        for client in list(self._flows):
            self._drop(client)

    def _new(self, client: Any) -> _Flow:
        if len(self._flows) >= _CLIENTS:
            self._drop(min(self._seen, key=lambda known: self._seen[known]))
        target = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        flow = _Flow(client, target)
        _try(target.connect, self._target)
        self._flows[client] = flow
        self._watch(target, lambda _events: self._answer(flow))
        return flow

    def _answer(self, flow: _Flow) -> None:
        for _ in range(_TURN):
            try:
                data = flow.target.recv(_LARGEST)
            except OSError:  # nothing more, or the container refused
                break
            self._seen[flow.client] = self._clock()
            _try(self._listener.sendto, data, flow.client)

    def _drop(self, client: Any) -> None:
        flow = self._flows.pop(client, None)
        self._seen.pop(client, None)
        if flow is not None:
            self._forget(flow.target)
            flow.target.close()


def _try(call: Callable[..., Any], *arguments: Any) -> None:
    """Datagrams may be lost: a full queue or a refused port is no failure of ours."""
    try:
        call(*arguments)
    except OSError:
        return
