"""Cgroups of version 2: one hierarchy, whose inner groups hold no processes and hand controllers down.

Beside our own group is where a new one can be: its parent hands controllers down already, or is asked to.
An ordinary user may do so where systemd has delegated the parent, as it does for services of the user.
"""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING

from tiffin.errors import UnsupportedError
from tiffin.runtime.cgroups.limits import DEVICES
from tiffin.runtime.cgroups.manager import Group, no_place, parent_below, write_limits

if TYPE_CHECKING:
    from tiffin.runtime.cgroups.hierarchy import Place
    from tiffin.runtime.cgroups.limits import Write, Writes
    from tiffin.runtime.cgroups.manager import Kernel, Wanted

_HINT = (
    "as an ordinary user: systemd-run --user --scope tiffin …; in a container, move its processes into a "
    "group of their own first"
)


class V2:
    """The hierarchy of version 2."""

    def __init__(self, place: Place, kernel: Kernel) -> None:
        self._mount = Path(place.mount)
        self._own = place.own
        self._kernel = kernel

    def lacks(self, controller: str) -> str:
        """Return why there is no such controller for us; nothing if there is."""
        if self._own is None:
            return "our own group lies outside of what is mounted"
        if controller == DEVICES:
            from tiffin.linux.devicefilter import obstacle

            return obstacle()
        # A controller is used by one version at a time: the root tells which this one has.
        try:
            there = (self._mount / "cgroup.controllers").read_text().split()
        except OSError as error:
            return f"cgroup.controllers cannot be read: {error.strerror}"
        return "" if controller in there else f"this hierarchy has only: {', '.join(there) or 'none'}"

    def writes(self, both: Writes) -> tuple[Write, ...]:
        """Return what is written for this version."""
        return both.v2

    def make(self, wanted: Wanted) -> Group:
        """Make the group, with its limits. Raises UnsupportedError, and leaves nothing then."""
        writes = wanted.writes.v2
        filters = [write for write in writes if write.controller == DEVICES]
        writes = tuple(write for write in writes if write.controller != DEVICES)
        needed = list(dict.fromkeys(write.controller for write in writes))
        # Beside us; where we are at the top of what is mounted, below us.
        beside = str(Path(self._own or "/").parent)
        try:
            parent = parent_below(self._mount, beside, wanted.parent, self._kernel)
            for directory in self._down_to(parent):
                self._hand_down(directory, needed)
            directory = parent / wanted.name
            self._kernel.make(directory)
        except OSError as error:
            raise no_place(", ".join(needed) or "cgroup", error) from error
        group = Group(dict.fromkeys(needed or ["cgroup"], directory), self._kernel)
        try:
            write_limits(group.directories, () if wanted.bare else writes)
            for write in filters:
                _filter_devices(directory, write)
        except BaseException:
            group.delete()
            raise
        return group

    def extend(self, directory: Path, needed: list[str]) -> None:
        """Give a group that is there these controllers too. Raises UnsupportedError."""
        for above in self._down_to(directory.parent):
            self._hand_down(above, needed)

    def _down_to(self, parent: Path) -> list[Path]:
        below = parent.relative_to(self._mount).parts
        return [self._mount.joinpath(*below[:depth]) for depth in range(len(below) + 1)]

    def _hand_down(self, directory: Path, needed: list[str]) -> None:
        """Let `directory` give the controllers to the groups below it, if it does not yet."""
        control = directory / "cgroup.subtree_control"
        given = control.read_text().split()
        for controller in needed:
            if controller in given:
                continue
            try:
                control.write_text(f"+{controller}")
            except OSError as error:
                why = error.strerror or str(error)
                if error.errno == errno.EBUSY:
                    why = "there are processes in it"
                elif error.errno in (errno.EACCES, errno.EPERM):
                    why = "it is not delegated to this account"
                raise UnsupportedError(
                    f"the controller {controller} cannot be had for a limit: {directory} does not hand it "
                    f"down, and cannot be told to: {why}",
                    code="no-controller",
                    hint=_HINT,
                ) from error


def _filter_devices(directory: Path, write: Write) -> None:
    from tiffin.linux.devicefilter import attach  # few containers have rules for devices

    try:
        attach(directory, bytes.fromhex(write.value))
    except OSError as error:
        raise UnsupportedError(
            f"the devices of a container cannot be limited: {error.strerror}",
            code="limit-refused",
            hint="leave --device-cgroup-rule and the access of --device away",
        ) from error
