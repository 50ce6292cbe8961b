"""Step values that few plans have, so that others do not load them. They are as those in `steps`."""

from __future__ import annotations

import os

from tiffin.linux import mount
from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tiffin.runtime.roots import Setup


class TakeDevices(NamedTuple):
    """Take hold of the device nodes that the launcher made in the source, for these paths."""

    source: int
    targets: tuple[str, ...]

    def describe(self) -> str:
        """Return what this does."""
        return f"take the devices {', '.join(self.targets)}"

    def apply(self, setup: Setup) -> None:
        """Act."""
        directory = setup.sources[self.source]
        # Only what is mounted in this namespace can be copied from; where, does not matter.
        mount.move_mount_to(directory, "/")
        for number, target in enumerate(self.targets):
            setup.prepared[target] = mount.open_tree(str(number), dir_fd=directory)
        mount.unmount("/")
        os.close(directory)


RARE_STEPS = {kind.__name__: kind for kind in (TakeDevices,)}


def make_nodes(nodes: Iterable[tuple[int, int, int, int]]) -> int:
    """Return a detached mount with device nodes, by mode, number, owner and group; for a launcher as root."""
    filesystem = mount.Filesystem("tmpfs")
    try:
        filesystem.set_string("mode", "0755")  # the child, to whom none of it belongs, goes in
        directory = filesystem.mount(mount.ATTR_NOSUID | mount.ATTR_NOEXEC)
    finally:
        filesystem.close()
    for number, (mode, device, uid, gid) in enumerate(nodes):
        name = str(number)
        os.mknod(name, mode, device, dir_fd=directory)
        os.chown(name, uid, gid, dir_fd=directory)
        os.chmod(name, mode & 0o7777, dir_fd=directory)  # whatever our umask
    return directory
