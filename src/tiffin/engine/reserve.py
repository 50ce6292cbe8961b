"""A little room that is kept for the day when the disk is full: nothing can be removed without any.

The database writes down what goes before it goes, and so does the journal. What makes room, or ends who
takes it, spends the reserve where there is none left; when there is plenty again it is laid up again.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from tiffin.linux.room import room_of

if TYPE_CHECKING:
    from tiffin.store.home import Home

__all__ = ["lay_up", "spend"]

_NAME = "reserve"
_SIZE = 512 << 10
_PLENTY = 16 * _SIZE


def lay_up(home: Home) -> None:
    """Keep the reserve, if there is none and the disk has plenty."""
    place = home.root / _NAME
    with suppress(OSError):  # then there is none
        if place.exists() or room_of(home.root).size < _PLENTY:
            return
        fd = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, _SIZE)
        finally:
            os.close(fd)


def spend(home: Home) -> None:
    """Give the reserve back to the disk, if that is as good as full."""
    with suppress(OSError):
        room = room_of(home.root)
        if room.size < _SIZE or room.files == 0:
            (home.root / _NAME).unlink(missing_ok=True)
