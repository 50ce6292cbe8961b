"""Names by which files are executed: a process is called by the last part of the path that was executed.

A loader would be called by its own name, and each program be `ld-linux-x86-64.so.2` to `ps` and `pkill`. So
there are links to it by the names of programs, in a directory beside the root.
"""

from __future__ import annotations

import os

from tiffin.linux.remove import remove_at

_MOST = 1 << 14


class Names:
    """Links in the directory `place`, which is made when the first one is needed."""

    def __init__(self, place: bytes) -> None:
        self._place = place
        self._numbers: dict[bytes, int] = {}
        self._made: set[tuple[int, bytes]] = set()

    def path(self, target: bytes, name: bytes) -> bytes:
        """Return a path that ends in the name and leads to the target, if there can be one."""
        number = self._numbers.setdefault(target, len(self._numbers))
        path = b"%s/%d/%s" % (self._place, number, name)
        if (number, name) in self._made:
            return path
        if not name or len(self._made) >= _MOST:
            return target
        try:
            os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)
            os.symlink(target, path)
        except OSError:
            return target
        self._made.add((number, name))
        return path

    def close(self) -> None:
        """Remove all of them."""
        if self._numbers:
            above, _, name = self._place.rpartition(b"/")
            fd = os.open(above, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                remove_at(fd, os.fsdecode(name))
            finally:
                os.close(fd)
