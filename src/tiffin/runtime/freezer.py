"""Hold all processes of a container still, and let them go on: by a cgroup, or else by signals.

| way | where | what it is like |
| --- | --- | --- |
| `Unified` | cgroups of version 2 that we may make | nothing inside notices; SIGKILL still ends it |
| `Legacy` | the freezer of version 1 | the same, but SIGKILL waits until it is let go |
| `Stops` | everywhere | SIGSTOP to each process: a parent in the container can see that of its child |

The life of a Freezer: `freeze` and `thaw` in turns, as often as one likes, then `close`. A group that was
made for it keeps the processes until they end; `release` takes its `place` when a supervisor was killed.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from functools import partial
from pathlib import Path

from tiffin.errors import FailedError, UnsupportedError
from tiffin.linux.namespace import pidfd_open, pidfd_send_signal
from tiffin.runtime import members

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import ClassVar, Protocol

    from tiffin.runtime.cgroups.manager import Group

    class Freezer(Protocol):
        """One way."""

        @property
        def place(self) -> str:
            """The directory that was made for it; empty if none was."""
            ...

        def freeze(self) -> None:
            """Return when nothing in the container runs. Raises FailedError, and holds nothing then."""
            ...

        def thaw(self) -> None:
            """Let go on what `freeze` has stopped."""
            ...

        def close(self) -> None:
            """Take back what was made for it, when no process is left."""
            ...


__all__ = ["Legacy", "Stops", "Unified", "freezer_of", "legacy", "release", "unified", "unified_of"]

_PATIENCE = 10.0
_V1, _V2 = "freezer.state", "cgroup.freeze"


class _Cgroup:
    """A cgroup that stops its processes when `HELD` is written into `FILE`.

    `group` is the same one if it was made for this, and processes have to be moved into it.
    """

    FILE: ClassVar[str]
    HELD: ClassVar[str]
    FREE: ClassVar[str]

    def __init__(self, directory: Path, group: Group | None, pids: Callable[[], Sequence[int]]) -> None:
        self._directory = directory
        self._group = group
        self._pids = pids

    @property
    def place(self) -> str:
        """The directory that was made for it; empty if none was."""
        return str(self._directory) if self._group is not None else ""

    def freeze(self) -> None:
        """Move the processes in, until no new one comes, and stop the group."""
        try:
            self._gather()
            self._write(self.HELD)
            self._gather()
            _await(self._reached)
        except BaseException:
            self.thaw()
            raise

    def thaw(self) -> None:
        """Let the group go on."""
        self._write(self.FREE)

    def close(self) -> None:
        """Remove the group, if it was made for this."""
        if self._group is not None:
            self._group.delete()

    def _gather(self) -> None:
        """Move the processes in until there is no other; a child is where its parent is."""
        if self._group is not None:
            members.gather([f"{self.place}/cgroup.procs"], self._pids)

    def _reached(self) -> bool:
        raise NotImplementedError

    def _write(self, value: str) -> None:
        (self._directory / self.FILE).write_text(value)


class Unified(_Cgroup):
    """One of version 2."""

    FILE, HELD, FREE = _V2, "1", "0"

    def _reached(self) -> bool:
        return "frozen 1" in _read(self._directory / "cgroup.events")


class Legacy(_Cgroup):
    """One of version 1's freezer."""

    FILE, HELD, FREE = _V1, "FROZEN", "THAWED"

    def _reached(self) -> bool:
        # What was born meanwhile is stopped only when it is asked for once more (freezer-subsystem.rst).
        self._write(self.HELD)
        return _read(self._directory / self.FILE).strip() == self.HELD


class Stops:
    """SIGSTOP, and SIGCONT to those that it has stopped: what had stopped by itself stays so."""

    place = ""

    def __init__(self, pids: Callable[[], Sequence[int]]) -> None:
        self._pids = pids
        self._stopped: dict[int, int] = {}

    def freeze(self) -> None:
        """Stop what runs, until a look at all of it finds nothing that does.

        A process with a signal to come makes no child, so none is missed.
        """
        sent: set[tuple[int, int]] = set()
        try:
            while fresh := [one for one in self._moving() if one not in sent]:
                for pid, started in fresh:
                    _send(pid, started, signal.SIGSTOP)
                    self._stopped[pid] = started
                sent.update(fresh)
            _await(lambda: not self._moving())
        except BaseException:
            self.thaw()
            raise

    def thaw(self) -> None:
        """Let go on what was stopped here."""
        for pid, started in self._stopped.items():
            _send(pid, started, signal.SIGCONT)
        self._stopped.clear()

    def close(self) -> None:
        """Nothing was made."""

    def _moving(self) -> list[tuple[int, int]]:
        """The processes that are neither stopped nor over, with the time of their start."""
        found = [(pid, members.state_of(pid)) for pid in self._pids()]
        return [(pid, state[1]) for pid, state in found if state is not None and state[0] not in "Tt"]


def freezer_of(first: int, joins: Sequence[str]) -> Freezer:
    """Return the best way that there is for the container of the process `first`, with these cgroups.

    Raises UnsupportedError where nothing tells its processes from ours.
    """
    if joins:
        found = unified_of(joins)
        if found is not None:
            return found
        pids: Callable[[], Sequence[int]] = partial(members.joined, joins)
    elif _is_beside_us(first) and not _is_traced(first):
        raise UnsupportedError("a process that shares our mounts is in no container", code="not-contained")
    else:
        pids = partial(members.pids_of, first)
    for way in (unified, legacy):
        made = way(pids)
        if made is not None and _takes(made.place, first):
            return made
        if made is not None:
            made.close()
    return Stops(pids)


def _is_traced(first: int) -> bool:
    from tiffin.runtime.orphans import filtered_with  # of one rung only

    return bool(filtered_with(first))


def _is_beside_us(first: int) -> bool:
    """Whether it has our mounts and our root directory; of another user's nobody is told."""
    try:
        return all(
            os.path.samestat(os.stat(f"/proc/{first}/{name}"), os.stat(f"/proc/self/{name}"))
            for name in ("ns/mnt", "root")
        )
    except PermissionError:
        return False


def unified_of(joins: Sequence[str]) -> Unified | None:
    """Return the way by the groups that the processes have, if they are one of version 2."""
    directory = Path(joins[0]).parent
    return Unified(directory, None, partial(members.joined, joins)) if (directory / _V2).exists() else None


def unified(pids: Callable[[], Sequence[int]]) -> Unified | None:
    """Return a new group of version 2 for these processes, None if there can be none."""
    from tiffin.runtime.cgroups.manager import Kernel, new_group, own_hierarchies
    from tiffin.runtime.cgroups.v2 import V2

    place = own_hierarchies().v2
    if place is None or place.own is None:
        return None
    try:
        group = new_group(V2(place, Kernel()))
    except (OSError, UnsupportedError):
        return None
    (directory,) = set(group.directories.values())
    if not (directory / _V2).exists():  # before Linux 5.2
        group.delete()
        return None
    return Unified(directory, group, pids)


def legacy(pids: Callable[[], Sequence[int]]) -> Legacy | None:
    """Return a new group of the freezer of version 1, None if there can be none."""
    from tiffin.runtime.cgroups.manager import Kernel, new_group, own_hierarchies
    from tiffin.runtime.cgroups.v1 import V1

    place = own_hierarchies().v1.get("freezer")
    if place is None or place.own is None:
        return None
    try:
        group = new_group(V1({"freezer": place}, Kernel()))
    except (OSError, UnsupportedError):
        return None
    return Legacy(group.directories["freezer"], group, pids)


def release(place: str) -> None:
    """Let go on, and so end, what a supervisor that was killed has left in a group, and remove that."""
    directory = Path(place)
    if not directory.exists():
        return
    for way in (Unified, Legacy):
        if (directory / way.FILE).exists():
            with contextlib.suppress(OSError):
                (directory / way.FILE).write_text(way.FREE)
    _end(directory)
    from tiffin.runtime.cgroups.manager import Group, Kernel

    Group({"freezer": directory}, Kernel()).delete()


def _end(directory: Path) -> None:
    """Kill who is still there: the kernel has not, where the container shared the processes of others."""
    with contextlib.suppress(OSError):
        for pid in members.joined([str(directory / "cgroup.procs")]):
            found = members.state_of(pid) if pid else None  # 0 is one that we do not see
            if found is not None:
                _send(pid, found[1], signal.SIGKILL)


def _takes(place: str, pid: int) -> bool:
    """Whether we may move the process into the group."""
    try:
        members.join(f"{place}/cgroup.procs", pid)
    except PermissionError:
        return False
    return True


def _send(pid: int, started: int, number: int) -> None:
    """Send a signal to this very process, if it has not ended."""
    with contextlib.suppress(ProcessLookupError):
        pidfd = pidfd_open(pid)
        try:
            if (state := members.state_of(pid)) is not None and state[1] == started:
                pidfd_send_signal(pidfd, number)
        finally:
            os.close(pidfd)


def _await(reached: Callable[[], bool]) -> None:
    """Wait: a process that waits for a disk in the kernel is stopped only after that."""
    end = time.monotonic() + _PATIENCE
    pause = 0.001
    while not reached():
        if time.monotonic() > end:
            raise FailedError(
                f"a process of the container did not stop within {_PATIENCE:.0f} seconds",
                code="not-frozen",
                hint="it may wait for a disk or a network file system; try again",
                exit_status=1,
            )
        time.sleep(pause)
        pause = min(pause * 2, 0.1)


def _read(path: Path) -> str:
    return path.read_text(encoding="ascii")
