"""What root may do to a file whatever its mode, done by who merely owns it: it has another one meanwhile."""

from __future__ import annotations

import errno
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    _Done = TypeVar("_Done")

_OWNERS = 0o700
_READ_WRITE = 0o600


def lifted(path: bytes, act: Callable[[], _Done]) -> _Done:
    """Do what acts on the file at the path; if its mode does not let us, as if it did. Raises OSError."""
    try:
        return act()
    except PermissionError as error:
        if error.errno != errno.EACCES:
            raise
        status = os.stat(path)
        wanted = _OWNERS if stat.S_ISDIR(status.st_mode) else _READ_WRITE
        if status.st_uid != os.geteuid() or status.st_mode & wanted == wanted:
            raise
    mode = stat.S_IMODE(status.st_mode)
    os.chmod(path, mode | wanted)
    try:
        return act()
    finally:
        os.chmod(path, mode)
