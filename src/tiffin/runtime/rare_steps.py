"""Step values that few plans have, so that others do not load them. They are as those in `steps`."""

from __future__ import annotations

import errno
import os
import socket

from tiffin.linux import mount
from tiffin.linux.namespace import NEWNS, setns
from tiffin.linux.record import NamedTuple
from tiffin.linux.terminal import receive_fd, send_fd
from tiffin.runtime.libraries import FindLibraries
from tiffin.runtime.steps import MountNew
from tiffin.runtime.targets import resolve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tiffin.runtime.roots import Setup
    from tiffin.runtime.steps import Step


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


class NoDevices(NamedTuple):
    """Let no device node be used but these: root of this machine could make others."""

    paths: tuple[str, ...]

    def describe(self) -> str:
        """Return what this does."""
        return "let no other devices be used"

    def apply(self, setup: Setup) -> None:
        """Act."""
        mount.mount_setattr(setup.root_fd, mount.ATTR_NODEV, recursive=True, what="/")
        for path in self.paths:
            fd = resolve(setup.root_fd, path)
            mount.mount_setattr(fd, 0, cleared=mount.ATTR_NODEV, what=path)
            os.close(fd)


class MountHierarchies(NamedTuple):
    """Mount cgroups of version 1 at the target, read only: a directory for each hierarchy, as Docker does."""

    target: str
    controllers: tuple[str, ...]

    def describe(self) -> str:
        """Return what this does."""
        return f"mount the cgroups of {', '.join(self.controllers)} on {self.target}"

    def apply(self, setup: Setup) -> None:
        """Act."""
        tmpfs = mount.Filesystem("tmpfs")
        tmpfs.set_string("mode", "0755")
        top = tmpfs.mount(_QUIET)
        tmpfs.close()
        setup.attach(os.dup(top), self.target)
        for names in self._hierarchies():
            os.mkdir(names, 0o755, dir_fd=top)
            fd = os.open(names, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=top)
            flags = mount.MS_RDONLY | mount.MS_NOSUID | mount.MS_NODEV | mount.MS_NOEXEC
            mount.mount("cgroup", f"/proc/self/fd/{fd}", "cgroup", flags, names)
            os.close(fd)
            for name in names.split(","):
                if name != names:
                    os.symlink(names, name, dir_fd=top)
        mount.mount_setattr(top, mount.ATTR_RDONLY, what=self.target)
        os.close(top)

    def _hierarchies(self) -> list[str]:
        """Return those with one of the controllers, as they are named where the process is."""
        with open("/proc/self/cgroup", encoding="utf-8") as file:
            found = [line.split(":")[1] for line in file]
        return [names for names in found if set(names.split(",")) & set(self.controllers)]


def open_within(pid: int, path: str, *, recursive: bool) -> int:
    """Return a detached copy of a mount in the mount namespace of a process, as its root sees it."""
    space = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    child = os.fork()
    if child == 0:
        try:
            setns(space, NEWNS)
            send_fd(theirs.fileno(), mount.open_tree(path, recursive=recursive))
        finally:
            os._exit(0)
    theirs.close()
    os.close(space)
    fd = receive_fd(ours.fileno())
    ours.close()
    os.waitpid(child, 0)
    if fd is None:
        raise OSError(errno.EPERM, "it cannot be taken from there", f"/proc/{pid}/root{path}")
    return fd


def show_hierarchies(late: tuple[Step, ...], controllers: Iterable[str]) -> tuple[Step, ...]:
    """Return the steps with which a container sees its group of version 1, and not one without limits."""
    return tuple(
        MountHierarchies(step.target, tuple(controllers)) if isinstance(step, MountNew) else step
        for step in late
    )


class Narrow(NamedTuple):
    """Show of what was prepared for this target only what lies at `subpath`; links stay within it."""

    target: str
    subpath: str

    def describe(self) -> str:
        """Return what this does."""
        return f"find {self.subpath} for {self.target}"

    def apply(self, setup: Setup) -> None:
        """Act."""
        whole = setup.prepared[self.target]
        # Only a mount of this namespace can be copied in part, before Linux 6.15: it is here for a moment.
        mount.move_mount_to(whole, "/")
        part = resolve(whole, self.subpath)
        setup.prepared[self.target] = mount.open_tree("", dir_fd=part)
        os.close(part)
        mount.unmount("/")
        os.close(whole)


_QUIET = mount.ATTR_NOSUID | mount.ATTR_NODEV | mount.ATTR_NOEXEC


class ChangeRoot(NamedTuple):
    """Take a directory as the root, where nothing can be mounted."""

    path: str

    def describe(self) -> str:
        """Return what this does."""
        return "change the root directory"

    def apply(self, setup: Setup) -> None:
        """Act."""
        os.chroot(self.path)
        os.chdir("/")
        setup.root_fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


class EnterDirectory(NamedTuple):
    """Be in a directory that is taken for the root, where even the root cannot be another one."""

    path: str

    def describe(self) -> str:
        """Return what this does."""
        return "enter the directory that is the root"

    def apply(self, setup: Setup) -> None:
        """Act."""
        os.chdir(self.path)
        setup.root_fd = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


RARE_STEPS = {
    kind.__name__: kind
    for kind in (
        *(NoDevices, TakeDevices, MountHierarchies, Narrow, FindLibraries, ChangeRoot),
        EnterDirectory,
    )
}


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
