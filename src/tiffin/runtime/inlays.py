"""Steps that mount what is made for one container: a file in memory, a tree of layers.

They are prepared while the host's file system is in sight, and attached in the container. What is made
lies on no disk of the container's, or is thrown away with it.
"""

from __future__ import annotations

import os

from tiffin.linux import mount
from tiffin.linux.record import NamedTuple
from tiffin.runtime.roots import OverlayRoot

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tiffin.runtime.roots import Setup

_NAME = "file"


class PrepareFile(NamedTuple):
    """Write a file into memory of its own: it is on no disk, and ends with the container."""

    target: str
    data: bytes
    mode: int
    uid: int
    gid: int

    def describe(self) -> str:
        """Return what this does; never the data."""
        return f"write the file for {self.target} into memory"

    def apply(self, setup: Setup) -> None:
        """Act."""
        tmpfs = mount.Filesystem("tmpfs")
        tmpfs.set_string("mode", "0700")
        tmpfs_fd = tmpfs.mount(mount.ATTR_NOSUID | mount.ATTR_NODEV | mount.ATTR_NOEXEC)
        tmpfs.close()
        fd = os.open(_NAME, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=tmpfs_fd)
        view = memoryview(self.data)
        while view:
            view = view[os.write(fd, view) :]
        os.fchown(fd, self.uid, self.gid)
        os.fchmod(fd, self.mode)
        os.close(fd)
        # Before Linux 6.15 only a mount of this namespace can be copied in part: it is here for a moment.
        mount.move_mount_to(tmpfs_fd, "/")
        setup.prepared[self.target] = mount.open_tree(_NAME, dir_fd=tmpfs_fd)
        mount.unmount("/")
        os.close(tmpfs_fd)


class PrepareOverlay(NamedTuple):
    """Stack layers, sources of the plan, top first, to be mounted as one tree."""

    target: str
    lowers: tuple[int, ...]
    upper: int
    upper_name: str
    work_name: str
    by_path: bool = False

    def describe(self) -> str:
        """Return what this does."""
        return f"stack {len(self.lowers)} layers for {self.target}"

    def apply(self, setup: Setup) -> None:
        """Act."""
        layers = OverlayRoot(self.lowers, self.upper, self.upper_name, self.work_name, True, self.by_path)
        setup.prepared[self.target] = layers.mount(setup)


class AttachPrepared(NamedTuple):
    """Mount what was prepared for this target, which is the image's and may be a symlink."""

    target: str
    readonly: bool

    def describe(self) -> str:
        """Return what this does."""
        return f"mount {self.target}"

    def apply(self, setup: Setup) -> None:
        """Act."""
        fd = setup.prepared.pop(self.target)
        if self.readonly:
            mount.mount_setattr(fd, mount.ATTR_RDONLY, what=self.target)
        setup.attach(fd, self.target)
