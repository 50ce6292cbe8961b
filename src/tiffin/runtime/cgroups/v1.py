"""Cgroups of version 1: a hierarchy for each controller, and a directory in each that is needed."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from tiffin.runtime.cgroups.manager import Group, no_place, parent_below, write_limits

if TYPE_CHECKING:
    from tiffin.runtime.cgroups.hierarchy import Place
    from tiffin.runtime.cgroups.limits import Write, Writes
    from tiffin.runtime.cgroups.manager import Kernel, Wanted

_SETS = ("cpuset.cpus", "cpuset.mems")


class V1:
    """The hierarchies of version 1 that are mounted."""

    def __init__(self, places: dict[str, Place], kernel: Kernel) -> None:
        self._places = places
        self._kernel = kernel

    def lacks(self, controller: str) -> str:
        """Return why there is no such controller for us; nothing if there is."""
        place = self._places.get(controller)
        if place is None:
            return "it is not mounted"
        return "" if place.own is not None else "our own group lies outside of what is mounted"

    def writes(self, both: Writes) -> tuple[Write, ...]:
        """Return what is written for this version."""
        return both.v1

    def make(self, wanted: Wanted) -> Group:
        """Make the group, with its limits. Raises UnsupportedError, and leaves nothing then."""
        group = Group({}, self._kernel, parted=True)
        writes = wanted.writes.v1
        try:
            for controller in self._needed(writes, every=wanted.every):
                try:
                    group.directories[controller] = self._directory(controller, wanted)
                except OSError as error:
                    raise no_place(controller, error) from error
            write_limits(group.directories, () if wanted.bare else writes)
        except BaseException:
            group.delete()
            raise
        return group

    def _directory(self, controller: str, wanted: Wanted) -> Path:
        place = self._places[controller]
        parent = parent_below(Path(place.mount), place.own or "/", wanted.parent, self._kernel)
        self._inherit(controller, parent)
        directory = parent / wanted.name
        with suppress(FileExistsError):  # cpu and cpuacct share a hierarchy
            self._kernel.make(directory)
        self._inherit(controller, directory)
        return directory

    def _needed(self, writes: tuple[Write, ...], *, every: bool) -> list[str]:
        """The controllers with a limit; all there are if only the parent was named, or for `every` one."""
        named = list(dict.fromkeys(write.controller for write in writes))
        if every:
            return list(dict.fromkeys((*named, *(name for name in self._places if not self.lacks(name)))))
        return named or [name for name in self._places if not self.lacks(name)]

    def _inherit(self, controller: str, directory: Path) -> None:
        """Fill a new cpuset, which begins empty and takes no process then, with what its parent has."""
        if controller != "cpuset":
            return
        for name in _SETS:
            with suppress(FileNotFoundError):
                if not (directory / name).read_text().strip():
                    (directory / name).write_text((directory.parent / name).read_text())
