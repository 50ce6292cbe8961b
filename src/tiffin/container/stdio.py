"""The caller's side of `attach`: our standard streams are the container's, until one of them leaves.

`clients` is the other side, and says what is exchanged.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import TYPE_CHECKING, Any

from tiffin.container.detachkeys import DetachKeys
from tiffin.container.foreground import following_size, screen, size_of_terminal
from tiffin.container.loop import Input, Loop, Output, write_all
from tiffin.errors import FailedError
from tiffin.linux import terminal
from tiffin.linux.record import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tiffin.container.control import Connection
    from tiffin.container.foreground import Foreground

__all__ = ["Outcome", "Stdio", "leaving_by_signal"]

_LOST = 137
_LAST = (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGKILL)
"""Signals by which a user ends a container, so that no policy starts it again."""
_CHUNK = 1 << 16


class Outcome(NamedTuple):
    """How it ended: with the container's exit code, or with None where we left and it goes on.

    `again` says that it is started again without us; `oom` and `peak` are as in its state.
    """

    code: int | None
    again: bool = False
    oom: bool = False
    peak: int = 0


class Stdio:
    """Asks over `connection` to be attached; then `follow`. Streams with a negative number are not attached.

    Who is attached to standard input alone leaves when that has ended.
    `tty` says that the container has a terminal, `owner` that it is started for us.
    """

    def __init__(self, connection: Connection, streams: Foreground, *, tty: bool, owner: bool) -> None:
        self._connection = connection
        self._streams = streams
        self._tty = tty
        self._owner = owner
        self._loop = Loop()
        self._feeds_only = streams.stdout < 0 and streams.stderr < 0
        self._outcome: Outcome | None = None
        self._outputs: dict[str, Output] = {}
        out, out_write = os.pipe()
        err, err_write = os.pipe()
        wanted = {"verb": "attach", "stdin": streams.stdin >= 0, "owner": owner}
        connection.send(wanted, (out_write, err_write))
        for fd in (out_write, err_write):
            os.close(fd)
        self._show("stdout", out, streams.stdout)
        self._show("stderr", err, streams.stderr)

    def signal(self, number: int) -> None:
        """Send the container a signal; before it runs, the signal waits for that."""
        self._connection.send({"signal": number, "last": number in _LAST})

    def follow(self, keys: bytes) -> Outcome:
        """Be its terminal until it has ended, or until the user types `keys`, where it has a terminal.

        Raises FailedError if we were too slow for it, and OSError if our own output cannot be written.
        """
        found = DetachKeys(keys)
        with contextlib.ExitStack() as end:
            end.callback(self._loop.close)
            self._begin(end, found)
            while self._outcome is None and not found.found:
                self._loop.turn()
            if found.found:
                self._connection.send({"left": True})
            outcome = self._outcome or Outcome(None)
            for output in self._outputs.values() if outcome.code is not None else ():
                output.drain()
            return outcome

    def _begin(self, end: contextlib.ExitStack, keys: DetachKeys) -> None:
        received = self._connection.receive()
        if received is None or "exit" in received[0]:
            self._hear(received)
            return
        fd = next(iter(received[1]), None)
        stdin = self._streams.stdin
        if fd is not None and self._tty:
            end.callback(os.close, fd)
            if not self._owner:
                _disturb(fd)
            end.enter_context(following_size(fd, screen()))
            if stdin >= 0:
                if os.isatty(stdin):
                    end.enter_context(terminal.RawMode(stdin))
                typed = Input(
                    self._loop, stdin, fd, close_sink=False, through=keys.feed, ended=self._end_input
                )
                end.callback(typed.close)
        elif fd is not None:
            end.callback(Input(self._loop, stdin, fd, ended=self._end_input).close)
        if stdin < 0 or fd is None:
            self._end_input()
        self._loop.watch(self._connection.fileno(), lambda: self._hear(self._connection.receive()))

    def _show(self, stream: str, fd: int, sink: int) -> None:
        # Not as the tee of an output, which ends without a word when nobody reads it.
        keep: Callable[[bytes], None] = (lambda _: None) if sink < 0 else (lambda data: write_all(sink, data))
        self._outputs[stream] = Output(self._loop, fd, keep, None)

    def _end_input(self) -> None:
        self._connection.send({"eof": True})
        if self._feeds_only and self._outcome is None:
            self._outcome = Outcome(None)

    def _hear(self, received: tuple[dict[str, Any], list[int]] | None) -> None:
        message, descriptors = received or ({"exit": _LOST}, [])
        if "slow" in message:
            raise FailedError(
                "the container wrote more than could be shown in time, and goes on without us",
                code="too-slow",
                hint="'tiffin logs' has all that it writes",
            )
        again, oom = bool(message.get("again")), bool(message.get("oom"))
        self._outcome = Outcome(int(message["exit"]), again, oom, int(message.get("peak", 0)))
        for stream, fd in zip(message.get("rest", ()), descriptors, strict=True):
            self._outputs[stream].drain()
            self._show_rest(fd, self._streams.stdout if stream == "stdout" else self._streams.stderr)

    def _show_rest(self, fd: int, sink: int) -> None:
        while sink >= 0 and (data := os.read(fd, _CHUNK)):
            write_all(sink, data)
        os.close(fd)


@contextlib.contextmanager
def leaving_by_signal() -> Iterator[None]:
    """Within the block a signal that asks us to end ends the block first, and then us."""
    ended = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

    def leave(number: int, _frame: object) -> None:
        raise _Left(number)

    saved = {number: signal.signal(number, leave) for number in ended}
    try:
        yield
    except _Left as left:
        signal.signal(left.number, signal.SIG_DFL)
        os.kill(os.getpid(), left.number)
    finally:
        for number, handler in saved.items():
            signal.signal(number, handler)


class _Left(BaseException):
    def __init__(self, number: int) -> None:
        self.number = number


def _disturb(console: int) -> None:
    """Have what runs in the terminal draw its screen anew, though its size is what it was; as Docker does."""
    size = size_of_terminal(screen())
    if size is not None:
        with contextlib.suppress(OSError):
            terminal.set_size(console, size[0] + 1, size[1] + 1)
