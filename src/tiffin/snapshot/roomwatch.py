"""A stream that stops before what comes out of it has filled the disk: a small blob may hold a bomb."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tiffin.errors import FailedError
from tiffin.linux.room import in_words, room_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import BinaryIO

__all__ = ["RoomWatch"]

_EACH: Final = 32 << 20  # bytes between two looks, at most
_LEAST: Final = 1 << 20
_RESERVE: Final = 256 << 20
_SHARE: Final = 100  # of a small disk the reserve is a hundredth, and a few looks at least


class RoomWatch:
    """Reads `stream`, whose bytes are written to the disk of `folder`; `what` names it in the error.

    FailedError where so little room is left that the store, and others on this machine, could not go on.
    `each` is called whenever much has come, so that the disk need not wait for the end.
    """

    def __init__(
        self, stream: BinaryIO, folder: Path, what: str, each: Callable[[], object] = lambda: None
    ) -> None:
        self._each = each
        self._stream = stream
        self._folder = folder
        self._what = what
        self._read = 0
        self._next = 0

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes, as of any stream."""
        data = self._stream.read(size)
        self._read += len(data)
        if self._read >= self._next:
            if self._read >= _EACH:
                self._each()
            room = room_of(self._folder)
            self._next = self._read + max(min(_EACH, room.size // 4), _LEAST)
            if room.size < min(_RESERVE, max(room.whole // _SHARE, 4 * _LEAST)) or room.files == 0:
                raise FailedError(
                    f"{self._what} was given up after {in_words(self._read)} had come out of it: "
                    f"{room.told(self._folder)}",
                    code="no-room",
                    hint="make room with 'tiffin system prune -a', or set TIFFIN_HOME to a larger disk",
                )
        return data
