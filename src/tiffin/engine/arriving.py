"""A blob that arrives, by one connection or by several where that pays, and is read meanwhile.

The first connection asks for all that is missing, as every registry understands. Where it turns out to be
slow and much is left, others ask for pieces of their own; a registry that gives none is asked no more.
"""

from __future__ import annotations

import io
import threading
import time
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Protocol, Self

from tiffin.errors import CorruptError, DeniedError, NotFoundError, UnauthorizedError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiffin.oci.descriptor import Descriptor
    from tiffin.store.partials import Partial

HELPERS: Final = 3  # connections besides the first
_ROOM: Final = threading.BoundedSemaphore(6)  # of connections, for all blobs together
_CHUNK: Final = 1 << 18
_LOOK: Final = 0.5  # seconds that the pace is taken over
_WORTH: Final = 2.0  # seconds that have to be left for another connection to pay
_FAST: Final = 120 << 20  # bytes a second: beyond that it is not the network that limits
_WAIT: Final = 0.5
_TOLD: Final = 1 << 20  # bytes between two words of progress


class Remote(Protocol):
    """What gives blobs from the middle; `registry.client.Repository` does."""

    def open_at(self, descriptor: Descriptor, start: int) -> BinaryIO:
        """A stream from `start` to the end."""
        ...

    def open_piece(self, descriptor: Descriptor, start: int, stop: int) -> BinaryIO | None:
        """A stream from `start` up to `stop`; None where there are no parts to be had."""
        ...


class Arrival:
    """One blob under way into `partial`; `told` hears how many bytes are here, and may end it by an error.

    with Arrival(...) as arrival:
        read(arrival.stream())
    """

    def __init__(
        self,
        remote: Remote,
        descriptor: Descriptor,
        partial: Partial,
        told: Callable[[int], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._remote = remote
        self._descriptor = descriptor
        self._partial = partial
        self._turn = partial.turn
        self._told = told
        self._clock = clock
        self._changed = threading.Condition()
        self._taken = {n for n in range(partial.pieces) if partial.start(n) == partial.stop(n)}
        self._failure: BaseException | None = None
        self._ended = False
        self._working = 0
        self._parts: bool | None = None  # whether the registry gives parts; unknown at first
        self._helpers = 0
        self._said = 0
        self._looked = (0.0, 0)

    def __enter__(self) -> Self:
        """Begin to fetch what is missing."""
        self._looked = (self._clock(), self._partial.received)
        if len(self._taken) < self._partial.pieces:
            self._begin(self._fetch_on)
        return self

    def __exit__(self, *_: object) -> None:
        """Fetch no more. Threads that wait for the network end by themselves, and write nothing."""
        with self._changed:
            self._ended = True

    def stream(self) -> BinaryIO:
        """The bytes from the beginning; a read waits for those that are not here yet."""
        return io.BufferedReader(_Following(self), 1 << 20)

    def read_into(self, view: memoryview, at: int, piece: int) -> tuple[int, int]:
        """Fill `view` with bytes from `at` on, at least one but at the end; the count, and the piece."""
        with self._changed:
            while True:
                piece, upto = self._partial.frontier(piece)
                if upto > at or upto == self._descriptor.size:
                    break
                if self._failure is not None:
                    raise self._failure
                if not self._changed.wait(_WAIT):
                    self._told(self._partial.received)
        count = min(len(view), upto - at)
        return self._partial.read_into(view[:count], at) if count else 0, piece

    def _begin(self, work: Callable[[], None]) -> None:
        with self._changed:
            self._working += 1
        # Not waited for: one that hangs in a read of the network must not hold up the end of the command.
        threading.Thread(target=self._run, args=(work,), name="receive", daemon=True).start()

    def _run(self, work: Callable[[], None]) -> None:
        failure: BaseException | None = None
        try:
            work()
        except BaseException as error:  # noqa: BLE001  # raised again where the blob is read
            failure = error
        with self._changed:
            self._working -= 1
            self._failure = self._failure or failure
            over = self._ended or self._failure is not None
            left_over = not over and not self._working and len(self._taken) < self._partial.pieces
            self._changed.notify_all()
        if left_over:  # what a helper gave back when the first connection had ended
            self._begin(self._fetch_on)

    def _take(self, piece: int | None = None) -> int | None:
        """Take this piece, or the first that nobody has; None if that cannot be."""
        with self._changed:
            if self._ended or self._failure is not None:
                return None
            if piece is None:
                piece = next((n for n in range(self._partial.pieces) if n not in self._taken), None)
            if piece is None or piece in self._taken or piece >= self._partial.pieces:
                return None
            self._taken.add(piece)
            return piece

    def _fetch_on(self) -> None:
        counted = _ROOM.acquire(blocking=False)  # it begins in any case, and leaves less room for others
        try:
            piece = self._take()
            while piece is not None:
                piece = self._fetch_from(piece)
        finally:
            if counted:
                _ROOM.release()

    def _fetch_from(self, piece: int) -> int | None:
        """Fetch the piece, and those after it until others have the next; return what to go on with."""
        partial = self._partial
        if self._parts:
            part = self._remote.open_piece(self._descriptor, partial.start(piece), partial.stop(piece))
            if part is not None:
                with part:
                    self._receive(part, piece)
                return self._take()
        with self._remote.open_at(self._descriptor, partial.start(piece)) as stream:
            while True:
                self._receive(stream, piece)
                following = self._take(piece + 1)
                if following is None:
                    return self._take()
                if partial.start(following) != partial.stop(piece):  # some of it is here
                    return following
                piece = following

    def _help(self) -> None:
        """Fetch pieces until there is none; what does not work is left to the first connection."""
        partial = self._partial
        try:
            while (piece := self._take()) is not None:
                try:
                    part = self._remote.open_piece(
                        self._descriptor, partial.start(piece), partial.stop(piece)
                    )
                    self._parts = part is not None
                    if part is not None:
                        with part:
                            self._receive(part, piece)
                        continue
                except (UnavailableError, UnauthorizedError, DeniedError, NotFoundError, CorruptError):
                    self._parts = False
                with self._changed:
                    self._taken.discard(piece)
                return
        finally:
            _ROOM.release()
            with self._changed:
                self._helpers -= 1

    def _receive(self, stream: BinaryIO, piece: int) -> None:
        """Write what comes, up to the end of the piece."""
        partial, buffer = self._partial, memoryview(bytearray(_CHUNK))
        while not self._ended and (left := partial.stop(piece) - partial.start(piece)):
            count = _fill(stream, buffer[:left])
            if not count:
                raise CorruptError(
                    f"content {self._descriptor.digest} ends after {partial.start(piece)}"
                    f" of {partial.size} bytes"
                )
            partial.write(piece, buffer[:count], self._turn)
            with self._changed:
                self._changed.notify_all()
            self._tell()
            self._look()

    def _tell(self) -> None:
        received = self._partial.received
        if received - self._said >= _TOLD or received == self._descriptor.size:
            self._said = received
            self._told(received)

    def _look(self) -> None:
        """Let others help, if it is slow, much is left, and there is room for more connections."""
        with self._changed:
            looked, had = self._looked
            now, has = self._clock(), self._partial.received
            if now - looked < _LOOK or self._parts is False:
                return
            self._looked = (now, has)
            pace = (has - had) / (now - looked)
            wanted = min(HELPERS - self._helpers, self._partial.pieces - len(self._taken))
            if pace >= _FAST or self._descriptor.size - has < pace * _WORTH:
                return
            count = 0
            while count < wanted and _ROOM.acquire(blocking=False):
                count += 1
            self._helpers += count
        for _ in range(count):
            self._begin(self._help)


class _Following(io.RawIOBase):
    """The bytes of an arrival from the beginning on."""

    def __init__(self, arrival: Arrival) -> None:
        super().__init__()
        self._arrival = arrival
        self._at = 0
        self._piece = 0

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill `buffer` with what is here; 0 at the end."""
        count, self._piece = self._arrival.read_into(memoryview(buffer).cast("B"), self._at, self._piece)
        self._at += count
        return count


def _fill(stream: BinaryIO, view: memoryview) -> int:
    """What has come, without waiting for more."""
    if isinstance(stream, io.BufferedReader):
        return stream.readinto1(view)
    data = stream.read(len(view))
    view[: len(data)] = data
    return len(data)
