"""The way into a root filesystem: what the steps share, and the steps that mount the root and enter it.

They see the host's file system; the last one lets go of it.
"""

from __future__ import annotations

import os
import stat

from tiffin.linux import mount
from tiffin.linux.libc import kernel
from tiffin.linux.record import NamedTuple
from tiffin.runtime.targets import ensure, refuse_proc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_FD_LAYERS_SINCE = (6, 15)  # overlayfs takes layers as descriptors


class Setup:
    """What the steps share: the detached mounts of the plan's sources, and those that steps prepare."""

    def __init__(self, sources: list[int]) -> None:
        self.sources = sources
        self.prepared: dict[str, int] = {}
        self.root_fd = -1
        self.show: Callable[[], None] = lambda: None
        """Lets the launcher look at the root filesystem, and returns when it has done what it wanted."""

    def target(self, path: str, *, directory: bool) -> int:
        """Open the mount target, made if it is missing; not one in /proc."""
        fd = ensure(self.root_fd, path, directory=directory)
        try:
            refuse_proc(fd, path)
        except OSError:
            os.close(fd)
            raise
        return fd

    def attach(self, mount_fd: int, path: str) -> None:
        """Attach a detached mount, which this consumes, at a path in the container."""
        directory = stat.S_ISDIR(os.fstat(mount_fd).st_mode)
        target_fd = self.target(path, directory=directory)
        mount.move_mount(mount_fd, target_fd, path)
        os.close(target_fd)
        os.close(mount_fd)

    def become_root(self, root_fd: int) -> None:
        """Lay the new root over the old one and stand in it."""
        mount.move_mount_to(root_fd, "/")
        os.fchdir(root_fd)
        os.close(root_fd)


class MakePrivate(NamedTuple):
    """Cut the mount namespace loose from the one it was copied from."""

    def describe(self) -> str:
        """Return what this does."""
        return "make all mounts private"

    def apply(self, _setup: Setup) -> None:
        """Act."""
        mount.set_propagation("/", mount.MS_REC | mount.MS_PRIVATE)


class OverlayRoot(NamedTuple):
    """Mount layers as the root: sources of the lowers, top first, and of the upper's directory."""

    lowers: tuple[int, ...]
    upper: int
    upper_name: str
    work_name: str
    volatile: bool
    by_path: bool = False

    def describe(self) -> str:
        """Return what this does."""
        return (
            f"mount {len(self.lowers)} layers{' and a writable one' if self.upper >= 0 else ''} as the root"
        )

    def apply(self, setup: Setup) -> None:
        """Act."""
        setup.become_root(self.mount(setup))

    def mount(self, setup: Setup) -> int:
        """Mount the layers and return the mount, detached. The sources are used up."""
        used = (*self.lowers, *([self.upper] if self.upper >= 0 else []))
        for index in used:
            # A layer has to be in this namespace to be used; where, does not matter: nobody goes there.
            # Each lies on the one before; on the copy of a shared mount it would be seen on the machine too.
            mount.mount_setattr(setup.sources[index], 0, propagation=mount.MS_PRIVATE, what="a layer")
            mount.move_mount_to(setup.sources[index], "/")
        if self.by_path or kernel() < _FD_LAYERS_SINCE:
            fd = self._mount_by_path(setup)
        else:
            fd = self._mount_by_fd(setup)
        for index in used:
            # Off the old root again: the overlay holds them, and `Pivot` lets go of one mount only.
            mount.unmount("/")
            os.close(setup.sources[index])
        return fd

    def _mount_by_fd(self, setup: Setup) -> int:
        overlay = mount.Filesystem("overlay")
        for flag in self._flags():
            overlay.set_flag(flag)
        for index in self.lowers:
            overlay.set_fd("lowerdir+", setup.sources[index])
        if self.upper >= 0:
            for key, name in (("upperdir", self.upper_name), ("workdir", self.work_name)):
                fd = os.open(name, os.O_PATH | os.O_DIRECTORY, dir_fd=setup.sources[self.upper])
                overlay.set_fd(key, fd)
                os.close(fd)
        fd = overlay.mount()
        overlay.close()
        return fd

    def _mount_by_path(self, setup: Setup) -> int:
        """Name the layers by their descriptors: short names, so that hundreds fit in a page of options."""
        here = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        os.chdir("/proc/self/fd")
        options = [*self._flags(), "lowerdir=" + ":".join(str(setup.sources[index]) for index in self.lowers)]
        if self.upper >= 0:
            place = setup.sources[self.upper]
            options += [f"upperdir={place}/{self.upper_name}", f"workdir={place}/{self.work_name}"]
        mount.mount("overlay", "/proc", "overlay", 0, ",".join(options))
        os.fchdir(here)
        os.close(here)
        fd = mount.open_tree("/proc")
        mount.unmount("/proc")
        return fd

    def _flags(self) -> list[str]:
        """Attributes kept as user.overlay.* work without privileges over the disk's file system."""
        return ["userxattr", *(["volatile"] if self.volatile and self.upper >= 0 else [])]


class BindRoot(NamedTuple):
    """Take one directory as the root as it is."""

    source: int
    readonly: bool

    def describe(self) -> str:
        """Return what this does."""
        return "mount one directory as the root"

    def apply(self, setup: Setup) -> None:
        """Act."""
        fd = setup.sources[self.source]
        # A copy of a mount that is shared is too, and nobody can change into such a root.
        attributes = mount.ATTR_RDONLY if self.readonly else 0
        mount.mount_setattr(fd, attributes, propagation=mount.MS_PRIVATE, what="/")
        setup.become_root(fd)


class Pivot(NamedTuple):
    """Swap the roots and let go of the old one, with everything that was mounted in it."""

    def describe(self) -> str:
        """Return what this does."""
        return "change into the root filesystem"

    def apply(self, setup: Setup) -> None:
        """Act."""
        mount.pivot_root(".", ".")
        mount.unmount(".", mount.MNT_DETACH)
        os.chdir("/")
        setup.root_fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
