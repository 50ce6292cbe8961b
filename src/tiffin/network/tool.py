"""Programs of the system that the network needs: found on PATH, run without a shell, their words kept.

`subprocess` would cost a waiting supervisor a megabyte; a spawn and a pipe are enough.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import os

__all__ = ["find", "run"]

_PLACES = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_KEPT = 4096


def find(name: str) -> str:
    """Return the path of the program, or nothing; the system's own directories count even off PATH."""
    for directory in f"{os.environ.get('PATH', '')}:{_PLACES}".split(":"):
        path = f"{directory}/{name}"
        if directory.startswith("/") and os.access(path, os.X_OK):
            return path
    return ""


def run(arguments: list[str], text: bytes = b"") -> tuple[int, str]:
    """Return the exit status and the first lines of all output of a program that reads `text`."""
    source, sink = os.memfd_create("input", os.MFD_CLOEXEC), os.memfd_create("output", os.MFD_CLOEXEC)
    try:
        os.write(source, text)
        os.lseek(source, 0, os.SEEK_SET)
        actions = [(os.POSIX_SPAWN_DUP2, source, 0), *((os.POSIX_SPAWN_DUP2, sink, out) for out in (1, 2))]
        pid = os.posix_spawn(arguments[0], arguments, {"PATH": _PLACES}, file_actions=actions)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        return status, os.pread(sink, _KEPT, 0).decode("utf-8", "replace").strip()
    finally:
        os.close(source)
        os.close(sink)
