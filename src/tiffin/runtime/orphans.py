"""End what a process leaves where there is no pid namespace whose end would end it: all our descendants.

The caller is a subreaper and has no other children: whose parent ends becomes a child of the caller, so
that nobody gets away. Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal

__all__ = ["Orphans", "below", "end_children", "end_in", "filtered_with"]

_TRIES = 500
_PAUSE = 0.01


def end_children() -> None:
    """Kill every child until there is none, and so what was below them."""
    while True:
        for pid in _children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _children() -> list[int]:
    own = os.getpid()
    return [pid for pid, parent in _parents().items() if parent == own]


def _parents() -> dict[int, int]:
    """The parent of each process; the ended ones too, as long as nobody has waited for them."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                fd = os.open(f"/proc/{name}/stat", os.O_RDONLY | os.O_CLOEXEC)
                try:
                    found[int(name)] = int(os.read(fd, 4096).rpartition(b")")[2].split()[1])
                finally:
                    os.close(fd)
    return found


def end_in(root: str) -> None:
    """Kill what has the directory `root` for its own, and nobody to end it: its supervisor was killed."""
    with contextlib.suppress(FileNotFoundError):
        wanted, real = os.stat(root), os.path.realpath(root)
        for pid in _parents():
            with contextlib.suppress(OSError):  # ended, or another user's: that nobody is told of
                has_root = os.path.samestat(os.stat(f"/proc/{pid}/root"), wanted)
                # Who is told of a root directory has that of the machine, and runs programs of the other one.
                if has_root or os.readlink(f"/proc/{pid}/exe").startswith(f"{real}/"):
                    os.kill(pid, signal.SIGKILL)


class Orphans:
    """The processes below this one, a subreaper, that have the directory `root` for their own.

    Those of another user cannot be looked at without rights that this rung has not; ours can, so what
    cannot be looked at is the container's. Those that are `traced` have more filters than this one.
    """

    def __init__(self, root: str, *, traced: bool = False) -> None:
        self._root = os.stat(root)
        self._filters = _filters(os.getpid()) if traced else -1

    def end(self) -> None:
        """Kill until none is left: a process that is about to die may have made another one."""
        killed: set[int] = set()
        for _ in range(_TRIES):
            for pid in killed:  # who is not our child is waited for by another
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
            found = [pid for pid in below(os.getpid()) if self._is_ours(pid)]
            if not found:
                return
            for pid in found:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            killed.update(found)
            time.sleep(_PAUSE)

    def _is_ours(self, pid: int) -> bool:
        try:
            if self._filters >= 0:
                return _filters(pid) > self._filters
            return os.path.samestat(os.stat(f"/proc/{pid}/root"), self._root)
        except PermissionError:
            return True
        except OSError:
            return False  # it has ended


def filtered_with(first: int) -> list[int]:
    """The processes of the container of `first`, which has no namespace but a filter; none if not even that.

    All are below who launched it, and have more filters. That lives as long as `first`, which dies with it.
    """
    parents = _parents()
    with contextlib.suppress(OSError, KeyError):
        launcher = parents[first]
        own = _filters(launcher)
        if _filters(first) > own:
            return [pid for pid in below(launcher) if _has_more(pid, own)]
    return []


def _has_more(pid: int, filters: int) -> bool:
    with contextlib.suppress(OSError):  # it has ended
        return _filters(pid) > filters
    return False


def _filters(pid: int) -> int:
    """How many filters of system calls the process has."""
    with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
        return next((int(line.split()[1]) for line in file if line.startswith("Seccomp_filters:")), 0)


def below(first: int) -> list[int]:
    """The processes of which `first` is a parent, or a parent of a parent, and so on."""
    children: dict[int, list[int]] = {}
    for pid, parent in _parents().items():
        children.setdefault(parent, []).append(pid)
    found = list(children.get(first, ()))
    for pid in found:  # it grows
        found += children.get(pid, ())
    return found
