"""The processes of a container, as this machine numbers them.

Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["gather", "has_own_space", "join", "joined", "pids_of", "state_of"]

_TRIES = 200
_PAUSE = 0.001


def pids_of(first: int) -> list[int]:
    """Return the processes in the pid namespace of `first`, and in those that were made in it.

    Where it shares that with others, those in its mount namespace, and the children of these. Those that
    `exec` brought in are among them. Raises OSError if there is no process `first`.
    """
    kind = "pid" if has_own_space(first) else "mnt"
    if kind == "mnt" and _shares_files(first):
        from tiffin.runtime.orphans import below, filtered_with  # it has a root directory, if anything

        return sorted(filtered_with(first) or [first, *below(first)])
    space = os.readlink(f"/proc/{first}/ns/{kind}")
    children: dict[int, list[int]] = {}
    found: list[int] = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):  # ended meanwhile, or another user's, and so not of ours
                children.setdefault(int(_stat(int(name))[1]), []).append(int(name))
                if os.readlink(f"/proc/{name}/ns/{kind}") == space:
                    found.append(int(name))
    seen = set(found)
    for pid in found:  # it grows: whoever made a namespace of its own is the parent of the first one in it
        fresh = [child for child in children.get(pid, ()) if child not in seen]
        seen.update(fresh)
        found += fresh
    return sorted(found)


def _shares_files(first: int) -> bool:
    """Whether it is in our own mount namespace; there we may not even look at other users."""
    try:
        return os.readlink(f"/proc/{first}/ns/mnt") == os.readlink("/proc/self/ns/mnt")
    except PermissionError:
        return True


def joined(files: Sequence[str]) -> list[int]:
    """Return the processes that are in a cgroup, by its files that take pids."""
    found: set[int] = set()
    for path in files:
        with open(path, encoding="ascii") as file:
            found.update(map(int, file.read().split()))
    return sorted(found)


def gather(files: Sequence[str], pids: Callable[[], Sequence[int]]) -> None:
    """Move the processes into the cgroups of these files that take pids, until a look finds none outside.

    A child is where its parent is, so that none is missed. One that is about to end is moved no more, and
    not waited for. Raises OSError for what may not be moved.
    """
    for _ in range(_TRIES):
        outside = [(path, pid) for path in files for pid in _outside(path, pids())]
        if not outside:
            return
        for path, pid in outside:
            join(path, pid)
        time.sleep(_PAUSE)


def join(path: str, pid: int) -> None:
    """Move a process into a cgroup, by its file that takes pids, if it has not ended."""
    with contextlib.suppress(ProcessLookupError), open(path, "wb", 0) as file:
        file.write(str(pid).encode())


def _outside(path: str, pids: Sequence[int]) -> list[int]:
    inside = set(joined([path]))  # read after the processes: who is in it now was in it, or came into it
    return [pid for pid in pids if pid not in inside and state_of(pid) is not None]


def has_own_space(first: int) -> bool:
    """Tell whether the process is the first one of a pid namespace below ours."""
    with open(f"/proc/{first}/status", encoding="utf-8", errors="replace") as file:
        numbers = next((line.split()[1:] for line in file if line.startswith("NSpid:")), [])
    return len(numbers) > 1 and numbers[-1] == "1"


def state_of(pid: int) -> tuple[str, int] | None:
    """Return the letter of its state and when it started, None if it has ended."""
    try:
        fields = _stat(pid)
    except OSError:
        return None
    letter = fields[0].decode()
    return None if letter in "ZX" else (letter, int(fields[19]))


def _stat(pid: int) -> list[bytes]:
    """The fields of /proc/PID/stat from the state on: the name before it may hold anything."""
    fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 4096).rpartition(b")")[2].split()
    finally:
        os.close(fd)
