"""Programs of the system that the network needs: found on PATH, run without a shell, their words kept.

`subprocess` would cost a waiting supervisor a megabyte; a spawn and a pipe are enough.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import os

from tiffin.linux.record import NamedTuple

__all__ = ["Running", "find", "linger", "run", "start"]

_PLACES = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_KEPT = 4096


def find(name: str) -> str:
    """Return the path of the program, or nothing; the system's own directories count even off PATH."""
    for directory in f"{os.environ.get('PATH', '')}:{_PLACES}".split(":"):
        path = f"{directory}/{name}"
        if directory.startswith("/") and os.access(path, os.X_OK):
            return path
    return ""


class Running(NamedTuple):
    """A program that was started: `finish` must be called once."""

    pid: int
    output: int

    def finish(self) -> tuple[int, str]:
        """Wait for the end; return the exit status and the first lines of all output."""
        try:
            status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            return status, os.pread(self.output, _KEPT, 0).decode("utf-8", "replace").strip()
        finally:
            os.close(self.output)


def start(arguments: list[str], text: bytes = b"") -> Running:
    """Start a program that reads `text`."""
    source, sink = os.memfd_create("input", os.MFD_CLOEXEC), os.memfd_create("output", os.MFD_CLOEXEC)
    try:
        os.write(source, text)
        os.lseek(source, 0, os.SEEK_SET)
        actions = [(os.POSIX_SPAWN_DUP2, source, 0), *((os.POSIX_SPAWN_DUP2, sink, out) for out in (1, 2))]
        pid = os.posix_spawn(arguments[0], arguments, {"PATH": _PLACES}, file_actions=actions)
    except BaseException:
        os.close(sink)
        raise
    finally:
        os.close(source)
    return Running(pid, sink)


def run(arguments: list[str], text: bytes = b"") -> tuple[int, str]:
    """Return the exit status and the first lines of all output of a program that reads `text`."""
    return start(arguments, text).finish()


def linger(function: str, state: str, nft: str) -> None:
    """Start a function of `linger`, which takes away later what is left there, and leave it to itself."""
    from tiffin.linux import interpreter  # when a container ends: its start does not wait for it

    arguments = [*interpreter.command("tiffin.network.linger", function), state, nft]
    actions = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1, 2)]
    os.posix_spawn(arguments[0], arguments, {"PATH": _PLACES}, file_actions=actions, setsid=True)
