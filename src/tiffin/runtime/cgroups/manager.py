"""Limits for a group of processes: a cgroup is made, joined by its processes, looked at, and deleted.

`make_group` picks the version that has the controllers. The life of a Group: its limits stand when it is
made; whoever starts a process writes its pid into all files of `joins` before its program begins; `usage`
tells what was used; `delete` is called when no process is in it. A caller that is killed leaves an empty
directory, which the next one removes.
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tiffin.errors import InvalidError, UnsupportedError
from tiffin.runtime.cgroups.hierarchy import read_hierarchies
from tiffin.runtime.cgroups.limits import DEVICES, Writes
from tiffin.runtime.cgroups.stats import read_usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tiffin.oci.runtimespec import Resources
    from tiffin.runtime.cgroups.hierarchy import Hierarchies
    from tiffin.runtime.cgroups.limits import Write
    from tiffin.runtime.cgroups.stats import Usage

_PREFIX = "tiffin-"
_TRIES = 50
_NOTHING = Writes()


class Kernel(NamedTuple):
    """How groups are made and removed: the directories, with the files that the kernel puts into them."""

    make: Callable[[Path], None] = os.mkdir
    remove: Callable[[Path], None] = os.rmdir


class Wanted(NamedTuple):
    """A group to make. `parent` is a path from the top of the hierarchy, empty for where we are."""

    name: str
    writes: Writes
    parent: str = ""
    every: bool = False
    """In each hierarchy of version 1, and not only where there is a limit."""
    bare: bool = False
    """With the controllers of the limits, which are written by somebody else."""


class Group:
    """A cgroup: its directory for each controller; with version 2 they are one."""

    def __init__(self, directories: dict[str, Path], kernel: Kernel, *, parted: bool = False) -> None:
        self.directories = directories
        self.parted = parted
        """Whether each controller has a hierarchy of its own, as in version 1."""
        self._kernel = kernel

    @property
    def joins(self) -> tuple[str, ...]:
        """The files that take the pid of a process which is to be in the group."""
        return tuple(str(path / "cgroup.procs") for path in dict.fromkeys(self.directories.values()))

    def usage(self) -> Usage:
        """Return what was used so far."""
        return read_usage(self.directories)

    def delete(self) -> None:
        """Remove it, whose last process may be about to end; what cannot be removed is left to the next."""
        for directory in dict.fromkeys(self.directories.values()):
            for _ in range(_TRIES):
                try:
                    self._kernel.remove(directory)
                except OSError as error:
                    if error.errno != errno.EBUSY:
                        break
                    time.sleep(0.02)
                else:
                    break


class Manager(Protocol):
    """One version of cgroups."""

    def lacks(self, controller: str) -> str:
        """Return why there is no such controller for us; nothing if there is."""
        ...

    def writes(self, both: Writes) -> tuple[Write, ...]:
        """Return what is written for this version."""
        ...

    def make(self, wanted: Wanted) -> Group:
        """Make a group, with its limits."""
        ...


def make_group(
    resources: Resources, parent: str = "", *, found: Hierarchies | None = None, kernel: Kernel | None = None
) -> Group:
    """Make a group with these limits. Raises UnsupportedError that names the missing controller, and why."""
    return make_written(Writes.of(resources), parent, found=found, kernel=kernel)


def make_written(
    writes: Writes,
    parent: str = "",
    *,
    bare: bool = False,
    found: Hierarchies | None = None,
    kernel: Kernel | None = None,
) -> Group:
    """Do the same for limits that are known by what is written for them; `bare` is as in Wanted."""
    from tiffin.runtime.cgroups.v1 import V1
    from tiffin.runtime.cgroups.v2 import V2

    found = found or own_hierarchies()
    kernel = kernel or Kernel()
    managers: list[Manager] = [V2(found.v2, kernel)] if found.v2 is not None else []
    if found.v1:
        # Version 2 can always limit devices; a machine on which version 1 has them looks there.
        first = DEVICES in found.v1 and any(write.controller == DEVICES for write in writes.v1)
        managers.insert(0 if first else 1, V1(dict(found.v1), kernel))
    needs = writes.v1 or writes.v2
    manager = choose(managers, writes) if needs else _usual(managers)
    group = new_group(manager, writes, parent, bare=bare)
    for directory in {path.parent for path in group.directories.values()}:
        _sweep(directory, kernel)
    return group


def new_group(manager: Manager, writes: Writes = _NOTHING, parent: str = "", *, bare: bool = False) -> Group:
    """Make a group with a name of its own. Raises what `Manager.make` raises."""
    name = f"{_PREFIX}{os.getpid()}-{os.urandom(4).hex()}"
    return manager.make(Wanted(name, writes, parent, bare=bare))


def own_hierarchies() -> Hierarchies:
    """Return where this machine has its cgroups, and where this process is in them."""
    return read_hierarchies(Path("/proc/self/mountinfo").read_text(), Path("/proc/self/cgroup").read_text())


def choose(managers: Iterable[Manager], writes: Writes) -> Manager:
    """Return the first manager that lacks none of the controllers. Raises UnsupportedError."""
    reasons: dict[str, list[str]] = {}
    for manager in managers:
        controllers = {write.controller for write in manager.writes(writes)}
        missing = {name: why for name in sorted(controllers) if (why := manager.lacks(name))}
        if not missing:
            return manager
        for name, why in missing.items():
            reasons.setdefault(name, []).append(f"{type(manager).__name__.lower()}: {why}")
    if not reasons:
        raise none_mounted()
    what = "; ".join(f"{name} ({', '.join(whys)})" for name, whys in reasons.items())
    raise UnsupportedError(
        f"a limit needs a controller of cgroups that is not to be had: {what}",
        code="no-controller",
        hint="leave the limit away, or have the controller enabled (kernel option cgroup_enable=…)",
    )


def _usual(managers: Iterable[Manager]) -> Manager:
    """Return the manager for a group without limits of its own: those of its parent shall count."""
    all_of_them = list(managers)
    with_memory = [manager for manager in all_of_them if not manager.lacks("memory")]
    return (with_memory or [choose(all_of_them, Writes())])[0]


def parent_below(mount: Path, own: str, asked: str, kernel: Kernel) -> Path:
    """Return the directory to make a group in: where we are, or what was asked for, made if it is missing.

    Raises OSError if it cannot be made.
    """
    if not asked:
        return mount / own.lstrip("/")
    parts = [part for part in asked.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise InvalidError(f"--cgroup-parent {asked}: it leads out of the hierarchy", code="usage")
    directory = mount
    for part in parts:
        directory /= part
        with suppress(FileExistsError):
            kernel.make(directory)
    return directory


def none_mounted() -> UnsupportedError:
    """Return the error for limits on a machine without cgroups."""
    return UnsupportedError(
        "limits need cgroups, and none are mounted here",
        code="no-controller",
        hint="mount them as root: mount -t cgroup2 none /sys/fs/cgroup",
    )


def no_place(controller: str, error: OSError) -> UnsupportedError:
    """Return the error for a group that cannot be made."""
    directory = os.path.dirname(error.filename or "")
    why = "it is not this account's" if isinstance(error, PermissionError) else error.strerror
    hint = "run it as root, or, with cgroups of version 2: systemd-run --user --scope tiffin …"
    if error.errno == errno.EROFS:
        hint = "mount /sys/fs/cgroup writable in the surrounding container, or limit that container"
    return UnsupportedError(
        f"the controller {controller} cannot be had for a limit: no group can be made in {directory}: {why}",
        code="no-controller",
        hint=hint,
    )


def write_limits(directories: Mapping[str, Path], writes: Iterable[Write]) -> None:
    """Write the limits. Raises UnsupportedError for one that the kernel does not take."""
    for write in writes:
        path = directories[write.controller] / write.file
        try:
            fd = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
            try:
                os.write(fd, write.value.encode())
            finally:
                os.close(fd)
        except OSError as error:
            if write.optional:
                continue
            missing = isinstance(error, FileNotFoundError)
            why = "this kernel has no such limit" if missing else error.strerror
            raise UnsupportedError(
                f"{write.file} cannot be set to {write.value}: {why}",
                code="limit-refused",
                hint="leave the limit away, or use a kernel that is built with it"
                if missing
                else "compare with what the group above has: limits can only be tightened",
            ) from error


def _sweep(directory: Path, kernel: Kernel) -> None:
    """Remove groups of processes like this one that were killed; one with processes cannot be removed."""
    for path in directory.glob(f"{_PREFIX}*-*"):
        owner = path.name.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdigit() and not Path(f"/proc/{owner}").exists():
            with suppress(OSError):
                kernel.remove(path)
