"""Cgroups at a path that somebody else has chosen: those of the OCI runtime, one for each hierarchy.

They are found again by their directories, which the state of a container tells; a group that is not there any
more is no error.
"""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tiffin.errors import InvalidError, UnsupportedError
from tiffin.runtime.cgroups.limits import Writes
from tiffin.runtime.cgroups.manager import Kernel, Wanted, none_mounted, own_hierarchies
from tiffin.runtime.cgroups.v1 import V1
from tiffin.runtime.cgroups.v2 import V2

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tiffin.oci.runtimespec import Resources
    from tiffin.runtime.cgroups.hierarchy import Hierarchies

_PATIENCE, _MOMENT = 2.0, 0.01


class Groups:
    """The directories of a container's cgroups, by the names that they have below /sys/fs/cgroup."""

    def __init__(self, directories: dict[str, Path], elsewhere: dict[str, str] | None = None) -> None:
        self._directories = directories
        self._elsewhere = elsewhere or {}

    @classmethod
    def of(cls, named: Mapping[str, str]) -> Groups:
        """Those that were written down."""
        return cls({name: Path(path) for name, path in named.items()})

    @property
    def joins(self) -> tuple[str, ...]:
        """The files that take the pid of a process which is to be in the groups."""
        return tuple(str(path / "cgroup.procs") for path in dict.fromkeys(self._directories.values()))

    def named(self) -> dict[str, str]:
        """The directories as text."""
        return {name: str(path) for name, path in self._directories.items()}

    def here(self) -> dict[str, str]:
        """Where the caller is: what a container without groups of its own is in."""
        return self._elsewhere

    def join(self, pid: int) -> None:
        """Put a process into the groups."""
        for path in self.joins:
            with open(path, "w", encoding="ascii") as file:
                file.write(str(pid))

    def pids(self) -> list[int]:
        """Every process in the groups, and in those below."""
        found: set[int] = set()
        for directory in dict.fromkeys(self._directories.values()):
            for place, _, files in os.walk(directory):
                if "cgroup.procs" in files:
                    try:
                        found |= set(
                            map(int, Path(place, "cgroup.procs").read_text(encoding="ascii").split())
                        )
                    except OSError:
                        continue
        return sorted(found)

    def _freezer(self) -> tuple[Path, str, str] | None:
        """The file that holds processes still, and what it takes to do so and not to."""
        for name, file, words in (
            ("freezer", "freezer.state", ("FROZEN", "THAWED")),
            ("", "cgroup.freeze", ("1", "0")),
        ):
            directory = self._directories.get(name)
            if directory is not None and (directory / file).exists():
                return directory / file, *words
        return None

    @property
    def frozen(self) -> bool:
        """Whether the processes are held still."""
        found = self._freezer()
        return found is not None and found[0].read_text(encoding="ascii").strip() in {found[1], "FREEZING"}

    def freeze(self, *, on: bool) -> None:
        """Hold the processes still, or let them go on. Raises UnsupportedError."""
        found = self._freezer()
        if found is None:
            raise UnsupportedError(
                "the container has no cgroup that could be frozen",
                code="no-controller",
                hint="run it as root",
            )
        found[0].write_text(found[1] if on else found[2], encoding="ascii")

    def delete(self) -> None:
        """Remove the groups and those below, whose last processes may be about to end."""
        end = time.monotonic() + _PATIENCE
        for directory in dict.fromkeys(self._directories.values()):
            for place, _, _ in os.walk(directory, topdown=False):
                _remove(place, end)


def _remove(place: str, end: float) -> None:
    while True:
        try:
            os.rmdir(place)
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > end:
                return
            time.sleep(_MOMENT)
        else:
            return


def make_groups(path: str, identity: str, resources: Resources, found: Hierarchies | None = None) -> Groups:
    """Make the groups at `path`, as linux.cgroupsPath says it, with these limits.

    An absolute path begins at the top, another one is a name below where the caller is; without one it is the
    id. Where none can be made, and nothing is limited, there is none. Raises UnsupportedError, InvalidError.
    """
    parent, name = _parted(path, identity)
    found = found or own_hierarchies()
    writes = Writes.of(resources)
    kernel = Kernel()
    elsewhere: dict[str, str] = {}
    try:
        if found.v1:
            elsewhere = {controller: f"{each.mount}{each.own or ''}" for controller, each in found.v1.items()}
            group = V1(dict(found.v1), kernel).make(Wanted(name, writes, parent, every=True))
            return Groups(group.directories, elsewhere)
        if found.v2 is not None:
            elsewhere = {"": f"{found.v2.mount}{found.v2.own or ''}"}
            group = V2(found.v2, kernel).make(Wanted(name, writes, parent))
            return Groups({"": next(iter(group.directories.values()))}, elsewhere)
    except UnsupportedError:
        if writes.v1 or writes.v2:
            raise
        return Groups({}, elsewhere)
    if writes.v1 or writes.v2:
        raise none_mounted()
    return Groups({}, elsewhere)


def _parted(path: str, identity: str) -> tuple[str, str]:
    """Return the path of the parent, empty for where the caller is, and the name of the group."""
    if ".." in path.split("/"):
        raise InvalidError(
            f"config.json: linux.cgroupsPath {path} leads out of the hierarchy", code="invalid-config"
        )
    if path.count(":") == 2 and "/" not in path:
        raise UnsupportedError(
            f"config.json: linux.cgroupsPath {path} is one of systemd's",
            code="no-systemd-cgroups",
            hint="tell the engine to manage cgroups itself: native.cgroupdriver=cgroupfs, for Docker",
        )
    parts = [part for part in path.split("/") if part]
    if not parts:
        return "", identity
    if path.startswith("/"):
        return "/" + "/".join(parts[:-1]), parts[-1]
    if len(parts) > 1:
        raise UnsupportedError(
            f"config.json: linux.cgroupsPath {path} is neither absolute nor a name",
            code="unsupported-property",
            hint="begin it with a slash",
        )
    return "", parts[0]
