"""Names by which files are executed: a process is called by the last part of the path that was executed.

A loader would be called by its own name, and each program be `ld-linux-x86-64.so.2` to `ps` and `pkill`. So
there are links to it by the names of programs, in a directory beside the root. The kernel keeps the path in
the memory of the process and of its children, and by that it is known which program they run.
"""

from __future__ import annotations

import os
from _blake2 import blake2b  # `hashlib` takes long to load

_MOST = 1 << 14
_PROGRAM = b"/.program"


class Names:
    """Links in the directory `place`, which all who answer for the same root share."""

    def __init__(self, place: bytes) -> None:
        self._place = place
        self._made: set[bytes] = set()

    def path(self, target: bytes, program: bytes, name: bytes) -> bytes:
        """Return a path to the target, by which the program is executed; it ends in the name if it can."""
        folder = b"%s/%s" % (self._place, blake2b(target + b"\0" + program).hexdigest()[:32].encode())
        path = b"%s/%s" % (folder, name)
        if path in self._made:
            return path
        if len(self._made) >= _MOST or path.endswith(_PROGRAM):
            return target
        try:
            os.makedirs(folder, 0o700, exist_ok=True)
            _link(program, folder + _PROGRAM)
            _link(target, path)
        except OSError:
            return target
        self._made.add(path)
        return path

    def program(self, path: bytes) -> bytes:
        """Return of which program the path is; nothing if it is none of ours."""
        if not path.startswith(self._place + b"/"):
            return b""
        try:
            return os.readlink(os.path.dirname(path) + _PROGRAM)
        except OSError:
            return b""


def _link(text: bytes, path: bytes) -> None:
    try:
        os.symlink(text, path)
    except FileExistsError:
        return
