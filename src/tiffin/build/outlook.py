"""Whether the result of a step will fit on the disk: looked at before the step begins.

What certainly cannot fit is refused. What only probably will not is told: a file system may share blocks or
compress, and a command may write less than the last time.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from tiffin.errors import FailedError
from tiffin.events import Notice
from tiffin.linux.mountinfo import mount_of, read_mounts
from tiffin.linux.room import in_words, room_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from tiffin.build.selection import Selected
    from tiffin.events import Emit
    from tiffin.snapshot.merged import Node

__all__ = ["Outlook", "needs"]

_EXACT = frozenset(("ext2", "ext3", "ext4", "tmpfs"))
"""File systems on which a copy takes what it holds: others share blocks between files, or compress them."""


class Outlook:
    """Looks at the disk of `folder`, where results go; `advice` says what would make room."""

    def __init__(self, folder: Path, emit: Emit, advice: Callable[[], str]) -> None:
        self._folder = folder
        self._emit = emit
        self._advice = advice

    def copy(self, what: str, taken: Sequence[tuple[Sequence[Selected], bool]]) -> None:
        """Look before files are copied; with each selection goes whether archives in it are unpacked.

        Raises FailedError if they cannot fit.
        """
        size, files, exact = needs(taken)
        room = room_of(self._folder)
        if size <= room.size and (room.files is None or files <= room.files):
            return
        exact &= mount_of(read_mounts(), os.path.realpath(self._folder)).kind in _EXACT
        wanted = in_words(size) if size > room.size else f"{files:,} files"
        text = f"{what} copies {wanted}, and {room.told(self._folder)}"
        if exact:
            raise FailedError(text, code="no-room", hint=self._advice())
        self._warn(text)

    def run(self, what: str, before: int | None) -> None:
        """Look before a command runs, whose result took `before` bytes the last time that it was built."""
        room = room_of(self._folder)
        if before is not None and before > room.size:
            self._warn(f"{what} made {in_words(before)} the last time, and {room.told(self._folder)}")

    def _warn(self, text: str) -> None:
        self._emit(Notice(f"{text}: it will probably not fit; {self._advice()}"))


def needs(taken: Iterable[tuple[Sequence[Selected], bool]]) -> tuple[int, int, bool]:
    """Return the bytes and the files of what is copied, and whether it takes at least so much.

    Holes do not count, nor the further names of one file. What an archive holds may be more, or less.
    """
    size, files, exact = 0, 0, True
    seen: set[tuple[int, int]] = set()
    for selection, unpack in taken:
        for node in _nodes(selection):
            status = node.status
            if status.st_nlink > 1 and not node.is_directory:
                if (status.st_dev, status.st_ino) in seen:
                    continue
                seen.add((status.st_dev, status.st_ino))
            files += 1
            if stat.S_ISREG(status.st_mode):
                size += min(status.st_size, status.st_blocks * 512)
        exact &= not unpack
    return size, files, exact


def _nodes(selection: Iterable[Selected]) -> Iterable[Node]:
    for chosen in selection:
        yield chosen.node
        yield from chosen.below
