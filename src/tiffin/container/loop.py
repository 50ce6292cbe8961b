"""One waiting place for everything that a supervisor waits for, and the bytes that it moves.

Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Input", "Loop", "Output", "Timer", "write_all"]

_CHUNK = 1 << 16
_TURNS = 16


class Timer:
    """A moment at which a loop calls a handler, unless it is cancelled."""

    def __init__(self, timers: set[Timer], when: float, handler: Callable[[], None]) -> None:
        self._timers = timers
        self.when = when
        self.handler = handler
        timers.add(self)

    def cancel(self) -> None:
        """Do not call it."""
        self._timers.discard(self)


class Loop:
    """Calls a handler for each descriptor that is ready, and at the moments that were asked for."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self._timers: set[Timer] = set()

    def watch(self, fd: int, handler: Callable[[], None], events: int = select.EPOLLIN) -> None:
        """Call `handler` whenever the descriptor is ready; a plain file raises PermissionError."""
        self._epoll.register(fd, events)
        self._handlers[fd] = handler

    def forget(self, fd: int) -> None:
        """Do so no more; call it before the descriptor is closed."""
        if self._handlers.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def later(self, seconds: float, handler: Callable[[], None]) -> Timer:
        """Call `handler` once, so many seconds from now."""
        return Timer(self._timers, time.monotonic() + seconds, handler)

    def turn(self) -> None:
        """Wait once."""
        for fd, _ in self._epoll.poll(self._patience()):
            handler = self._handlers.get(fd)
            if handler is not None:
                handler()
        if self._timers:
            now = time.monotonic()
            for timer in [timer for timer in self._timers if timer.when <= now]:
                if timer in self._timers:  # the one before may have cancelled it
                    timer.cancel()
                    timer.handler()

    def _patience(self) -> float | None:
        if not self._timers:
            return None
        return max(min(timer.when for timer in self._timers) - time.monotonic(), 0)

    def close(self) -> None:
        """Forget everything."""
        self._timers.clear()
        self._handlers.clear()
        self._epoll.close()


class Output:
    """What the container writes to one descriptor goes to `keep`, and to `tee` if there is one.

    When nobody reads `tee` any more, the container is told so as it would be in a shell: its end breaks.
    """

    def __init__(self, loop: Loop, fd: int, keep: Callable[[bytes], None], tee: int | None) -> None:
        self._loop = loop
        self._fd = fd
        self._keep = keep
        self._tee = tee
        self._paused = False
        os.set_blocking(fd, False)
        loop.watch(fd, self.move)

    def move(self) -> None:
        """Move what there is, in turns, so that others get theirs."""
        for _ in range(_TURNS):
            if self._fd < 0 or self._paused or not self._once():
                return

    def pause(self, *, wanted: bool) -> None:
        """Leave what comes where it is, or go on."""
        if self._fd >= 0 and wanted != self._paused:
            if wanted:
                self._loop.forget(self._fd)
            else:
                self._loop.watch(self._fd, self.move)
        self._paused = wanted

    def drain(self) -> None:
        """Move all that is left, and close."""
        while self._fd >= 0 and self._once():
            pass
        self.close()

    def close(self) -> None:
        """Read no more."""
        if self._fd >= 0:
            self._loop.forget(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _once(self) -> bool:
        try:
            data = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return False
        except OSError as error:
            if error.errno != errno.EIO:  # a terminal that nobody holds open any more
                raise
            data = b""
        if not data:
            self.close()
            return False
        self._keep(data)
        if self._tee is not None:
            try:
                write_all(self._tee, data)
            except OSError:
                self.close()
                return False
        return True


class Input:
    """What comes from `source` goes to the container, as fast as it takes it; its end is the end there.

    `source` is somebody else's: it is neither closed nor made non-blocking. `sink` is ours. What is read
    goes through `through`, which may keep some of it back; `ended` is called when there is no more to move.
    """

    def __init__(
        self,
        loop: Loop,
        source: int,
        sink: int,
        *,
        close_sink: bool = True,
        through: Callable[[bytes], bytes] | None = None,
        ended: Callable[[], None] | None = None,
    ) -> None:
        self._loop = loop
        self._source = source
        self._sink = sink
        self._close_sink = close_sink
        self._through = through
        self._ended = ended
        self._rest = b""
        self._plain = False
        os.set_blocking(sink, False)
        self._read_next()

    def close(self) -> None:
        """Move no more, and tell the container that this was the end."""
        if self._sink < 0:
            return
        self._loop.forget(self._source)
        self._loop.forget(self._sink)
        if self._close_sink:
            os.close(self._sink)
        self._sink = -1
        if self._ended is not None:
            self._ended()

    @property
    def closed(self) -> bool:
        """Whether there is nothing more to move."""
        return self._sink < 0

    def _read_next(self) -> None:
        try:
            self._loop.watch(self._source, self._readable)
        except PermissionError:
            self._plain = True
            self._loop.watch(self._sink, self._writable, select.EPOLLOUT)

    def _readable(self) -> None:
        if self._fill():
            self._loop.forget(self._source)
            self._loop.watch(self._sink, self._writable, select.EPOLLOUT)

    def _fill(self) -> bool:
        try:
            self._rest = os.read(self._source, _CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            self._rest = b""  # the terminal was hung up
        if not self._rest:
            self.close()
        elif self._through is not None:
            self._rest = self._through(self._rest)
        return bool(self._rest)

    def _writable(self) -> None:
        if not self._rest and not self._fill():
            return
        try:
            self._rest = self._rest[os.write(self._sink, self._rest) :]
        except BlockingIOError:
            return
        except OSError:
            self.close()  # the container reads no more
            return
        if not self._rest and not self._plain:
            self._loop.forget(self._sink)
            self._read_next()


def write_all(fd: int, data: bytes) -> None:
    """Write all of it, waiting where the descriptor, which may be somebody else's, does not block."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            with contextlib.suppress(InterruptedError):
                select.select([], [fd], [])
