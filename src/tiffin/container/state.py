"""Where a container stands: one small file, written by its supervisor and believed only while that lives.

A supervisor that was killed cannot write what became of its container; but then the kernel has
killed the container with it, and whoever reads the file finds that out from the process itself.
Runs under `python -IS`; standard library only.
"""

from __future__ import annotations

import errno
import json
import os

from tiffin.linux import files
from tiffin.linux.process import Identity
from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any, Literal

    Status = Literal["created", "running", "paused", "restarting", "exited"]

__all__ = ["FILE", "LOST", "RUNNING", "State", "boot", "read", "write"]


FILE = "state.json"
RUNNING = ("running", "paused", "restarting")
LOST = 137
"""The exit code of a container whose supervisor died: the kernel sent it SIGKILL."""


class State(NamedTuple):
    """Times are nanoseconds since 1970, 0 for never. `ports` are the real ones, as `Published` in JSON.

    `restarts` counts since a user started it, who may have `stopped` it; `health` is as `health.Health`.
    Of one with limits: the files that take pids of its `cgroups`, whether a process was killed because
    the limit of memory was reached (`oom`), and the most memory that was used, in bytes. Of one that was
    paused: the directory of the group that was made for that (`freezer`). Of one whose supervisor was
    killed: the directories of the groups that it has `left`.
    """

    status: Status = "created"
    pid: int = 0
    supervisor: Identity = Identity(0, 0)
    exit_code: int = 0
    error: str = ""
    started: int = 0
    finished: int = 0
    address: str = ""
    ports: tuple[tuple[Any, ...], ...] = ()
    restarts: int = 0
    stopped: bool = False
    health: tuple[Any, ...] = ()
    boot: str = ""
    cgroups: tuple[str, ...] = ()
    oom: bool = False
    peak: int = 0
    freezer: str = ""
    left: tuple[str, ...] = ()

    @property
    def running(self) -> bool:
        """Tell whether the container runs, or, as Docker has it, is paused or waits to be started again."""
        return self.status in RUNNING

    def over(self, status: Status, code: int) -> State:
        """The same after an end with this code: nothing is left of what only a process has."""
        ended = self._replace(status=status, exit_code=code, pid=0, address="", ports=(), cgroups=())
        return ended._replace(freezer="")


def write(directory: Path, state: State, *, sync: bool = False) -> None:
    """Put the state in the place of the old one at once; where the disk is full, write over it.

    How a container ended is worth a `sync`: after a power cut nobody could find it out.
    """
    data = json.dumps(state._asdict()).encode()
    try:
        files.atomic_write(directory / FILE, data, sync=sync)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not _overwrite(directory / FILE, data):
            raise


def _overwrite(path: Path, data: bytes) -> bool:
    """Tell whether the file has this content now, which needs no room; JSON may end with blanks."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            wanted = data.ljust(os.fstat(fd).st_size)
            return os.pwrite(fd, wanted, 0) == len(wanted)
        finally:
            os.close(fd)
    except OSError:
        return False


def read(directory: Path) -> State:
    """Return the state; that of a container whose supervisor is gone is exited, whatever the file says."""
    try:
        wire = json.loads((directory / FILE).read_bytes())
        ports = tuple(tuple(port) for port in wire.pop("ports"))
        wire |= {"supervisor": Identity(*wire["supervisor"]), "health": tuple(wire.get("health", ()))}
        wire |= {name: tuple(wire.get(name, ())) for name in ("cgroups", "left")}
        state = State(**wire, ports=ports)
    except (FileNotFoundError, NotADirectoryError):
        return State()
    except (ValueError, TypeError, KeyError):
        return State("exited", exit_code=LOST, error="its state file cannot be read")
    if not state.running:
        return state
    if state.boot and state.boot != boot():
        return _lost(state, "the machine was started anew")
    return state if state.supervisor.alive else _lost(state, "its supervisor was killed")


def boot() -> str:
    """Return what tells this start of the machine from every other."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:  # noqa: PTH123 - at each start
            return file.read().strip()
    except OSError:
        return ""


def _lost(state: State, why: str) -> State:
    # What is held in the first one has to go on, or it cannot end and leave the others.
    groups = (*([state.freezer] if state.freezer else ()), *map(os.path.dirname, state.cgroups))
    return state.over("exited", LOST)._replace(error=why, left=tuple(dict.fromkeys(groups)))
