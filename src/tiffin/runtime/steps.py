"""Step values: each is one action of the child on its way from a fresh namespace to a container.

A step is a tuple of plain values, so a plan can be printed, compared and handed to another process. It has
`describe()`, one phrase for errors and listings, and `apply(setup)`, which acts. The steps before `Pivot`
see the host's file system; those after it see only the container's, and what was opened before.
"""

from __future__ import annotations

import errno
import os
import stat

from tiffin.linux import mount
from tiffin.linux.namespace import NEWCGROUP, set_domainname, set_hostname, unshare
from tiffin.linux.record import NamedTuple
from tiffin.runtime.inlays import AttachPrepared, PrepareFile, PrepareOverlay
from tiffin.runtime.roots import BindRoot, MakePrivate, OverlayRoot, Pivot
from tiffin.runtime.targets import resolve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tiffin.runtime.roots import Setup

_NULL_DEVICE = os.makedev(1, 3)


class Prepare(NamedTuple):
    """Make a /proc or /sys of the new namespaces while the host's is in sight: the kernel wants that."""

    kind: str
    attributes: int
    instead: str
    """The directory of the host to show, read only, where the kernel refuses a fresh one ("" for none)."""

    def describe(self) -> str:
        """Return what this does."""
        return f"create a {self.kind} file system"

    def apply(self, setup: Setup) -> None:
        """Act."""
        try:
            filesystem = mount.Filesystem(self.kind)
            fd = filesystem.mount(self.attributes)
            filesystem.close()
        except PermissionError as error:
            if not self.instead:
                reason = f"{error.strerror}: the /proc outside has hidden parts, or its namespace is not ours"
                raise OSError(error.errno, reason) from None
            fd = mount.open_tree(self.instead, recursive=True)
            mount.mount_setattr(fd, self.attributes, recursive=True, what=self.instead)
        setup.prepared[self.kind] = fd


class OpenDevice(NamedTuple):
    """Take hold of a device node of the host: a user namespace cannot make one."""

    path: str

    def describe(self) -> str:
        """Return what this does."""
        return f"open the device {self.path}"

    def apply(self, setup: Setup) -> None:
        """Act."""
        setup.prepared[self.path] = mount.open_tree(self.path)


class Attach(NamedTuple):
    """Mount what an earlier step prepared. Its target may not be a symlink: /proc is not the image's."""

    prepared: str
    target: str

    def describe(self) -> str:
        """Return what this does."""
        return f"mount {self.target}"

    def apply(self, setup: Setup) -> None:
        """Act."""
        fd = setup.prepared.pop(self.prepared)
        directory = stat.S_ISDIR(os.fstat(fd).st_mode)
        os.close(setup.target(self.target, directory=directory))
        target_fd = resolve(setup.root_fd, self.target, links=False)
        mount.move_mount(fd, target_fd, self.target)
        os.close(target_fd)
        os.close(fd)


class MountNew(NamedTuple):
    """Mount a new file system, such as a tmpfs, which takes the mode of what it covers if none is said."""

    kind: str
    target: str
    flags: int
    options: str
    optional: bool = False
    fixed: bool = False
    """The target belongs to the runtime: a symlink in its place is an error."""

    def describe(self) -> str:
        """Return what this does."""
        return f"mount {self.kind} on {self.target}"

    def apply(self, setup: Setup) -> None:
        """Act."""
        options = self._with_mode(setup)
        target_fd = setup.target(self.target, directory=True)
        if self.fixed:
            os.close(target_fd)
            target_fd = resolve(setup.root_fd, self.target, links=False)
        try:
            mount.mount(self.kind, f"/proc/self/fd/{target_fd}", self.kind, self.flags, options)
        except OSError:
            if not self.optional:
                raise
        os.close(target_fd)

    def _with_mode(self, setup: Setup) -> str:
        if self.kind != "tmpfs" or "mode=" in self.options:
            return self.options
        try:
            fd = resolve(setup.root_fd, self.target)
        except OSError:
            return self.options  # nothing is there yet
        mode = f"mode={stat.S_IMODE(os.fstat(fd).st_mode):o}"
        os.close(fd)
        return f"{self.options},{mode}" if self.options else mode


class Bind(NamedTuple):
    """Mount a source of the plan: a volume, or a file or directory of the host."""

    source: int
    target: str
    readonly: bool
    attributes: int = 0
    """Further attributes of the mount, such as nosuid."""
    shallow: bool = False
    """What is mounted below the source stays writable, if it is."""
    propagation: int = mount.MS_PRIVATE

    def describe(self) -> str:
        """Return what this does."""
        return f"mount a volume on {self.target}"

    def apply(self, setup: Setup) -> None:
        """Act."""
        fd = setup.sources[self.source]
        whole = self.attributes | (mount.ATTR_RDONLY if self.readonly and not self.shallow else 0)
        mount.mount_setattr(fd, whole, recursive=True, propagation=self.propagation, what=self.target)
        if self.readonly and self.shallow:
            mount.mount_setattr(fd, mount.ATTR_RDONLY, what=self.target)
        setup.attach(fd, self.target)


class Make(NamedTuple):
    """Make a symlink with this text, or, without a text, a directory."""

    path: str
    link: str = ""

    def describe(self) -> str:
        """Return what this does."""
        return f"make {self.path}"

    def apply(self, setup: Setup) -> None:
        """Act."""
        if not self.link:
            os.close(setup.target(self.path, directory=True))
            return
        parent_fd = resolve(setup.root_fd, os.path.dirname(self.path))
        os.symlink(self.link, os.path.basename(self.path), dir_fd=parent_fd)
        os.close(parent_fd)


class Mask(NamedTuple):
    """Hide files below /proc and /sys: an empty, read-only directory or /dev/null is seen in their place."""

    paths: tuple[str, ...]

    def describe(self) -> str:
        """Return what this does."""
        return "hide what the container must not see of the host"

    def apply(self, setup: Setup) -> None:
        """Act."""
        empty = -1
        for path in self.paths:
            try:
                target_fd = resolve(setup.root_fd, path, links=False)
            except (FileNotFoundError, NotADirectoryError, PermissionError):
                continue
            if stat.S_ISDIR(os.fstat(target_fd).st_mode):
                # Before Linux 6.15 a mount has to be attached somewhere to be copied: the first of them is.
                copy = _empty_directory() if empty < 0 else mount.open_tree("", dir_fd=empty)
                empty = copy if empty < 0 else empty
            else:
                copy = _null(setup.root_fd)
            mount.move_mount(copy, target_fd, path)
            os.close(target_fd)
            if copy != empty:
                os.close(copy)
        if empty >= 0:
            os.close(empty)


def _null(root_fd: int) -> int:
    """The null device: what a volume on /dev has in its place would be shown instead (CVE-2025-31133)."""
    fd = resolve(root_fd, "/dev/null", links=False)
    try:
        status = os.fstat(fd)
        if not stat.S_ISCHR(status.st_mode) or status.st_rdev != _NULL_DEVICE:
            raise OSError(errno.EINVAL, "it is not the null device", "/dev/null")
        return mount.open_tree("", dir_fd=fd)
    finally:
        os.close(fd)


def _empty_directory() -> int:
    tmpfs = mount.Filesystem("tmpfs")
    tmpfs.set_string("size", "0")
    tmpfs.set_string("mode", "0555")
    fd = tmpfs.mount(mount.ATTR_RDONLY | mount.ATTR_NOSUID | mount.ATTR_NODEV | mount.ATTR_NOEXEC)
    tmpfs.close()
    return fd


class MakeReadonly(NamedTuple):
    """Let nothing be written at these paths, with all that is below them."""

    paths: tuple[str, ...]

    def describe(self) -> str:
        """Return what this does."""
        return f"make {', '.join(self.paths)} read only"

    def apply(self, setup: Setup) -> None:
        """Act."""
        for path in self.paths:
            try:
                fd = resolve(setup.root_fd, path, links=False)
            except (FileNotFoundError, NotADirectoryError):
                continue
            copy = mount.open_tree("", dir_fd=fd, recursive=True)
            mount.mount_setattr(copy, mount.ATTR_RDONLY, recursive=True, what=path)
            mount.move_mount(copy, fd, path)
            os.close(copy)
            os.close(fd)


class ReadonlyRoot(NamedTuple):
    """Let nothing be written in the root filesystem; what is mounted in it keeps its own mode."""

    def describe(self) -> str:
        """Return what this does."""
        return "make the root filesystem read only"

    def apply(self, setup: Setup) -> None:
        """Act."""
        mount.mount_setattr(setup.root_fd, mount.ATTR_RDONLY, what="/")


class OwnCgroups(NamedTuple):
    """Let the cgroups that the process is in by now be the top of what it sees of them."""

    def describe(self) -> str:
        """Return what this does."""
        return "make a cgroup namespace"

    def apply(self, _setup: Setup) -> None:
        """Act."""
        unshare(NEWCGROUP)


class Hostname(NamedTuple):
    """Give the container its name."""

    name: str

    def describe(self) -> str:
        """Return what this does."""
        return f"set the host name {self.name}"

    def apply(self, _setup: Setup) -> None:
        """Act."""
        set_hostname(self.name)


class Domainname(NamedTuple):
    """Give the container the name of its domain."""

    name: str

    def describe(self) -> str:
        """Return what this does."""
        return f"set the domain name {self.name}"

    def apply(self, _setup: Setup) -> None:
        """Act."""
        set_domainname(self.name)


class Sysctl(NamedTuple):
    """Set a kernel parameter of the container's namespaces, before /proc/sys is read only."""

    key: str
    value: str
    optional: bool

    def describe(self) -> str:
        """Return what this does."""
        return f"set the kernel parameter {self.key} to {self.value}"

    def apply(self, setup: Setup) -> None:
        """Act."""
        try:
            fd = resolve(setup.root_fd, "/proc/sys/" + self.key.replace(".", "/"), os.O_WRONLY, links=False)
            try:
                os.write(fd, self.value.encode())
            finally:
                os.close(fd)
        except OSError as error:
            if not self.optional or error.errno == errno.ENOMEM:
                raise


if TYPE_CHECKING:
    from typing import TypeAlias

    from tiffin.runtime import bundlesteps
    from tiffin.runtime.libraries import FindLibraries
    from tiffin.runtime.rare_steps import (
        ChangeRoot,
        EnterDirectory,
        MountHierarchies,
        Narrow,
        NoDevices,
        TakeDevices,
    )

    Step: TypeAlias = (
        MakePrivate
        | OverlayRoot
        | BindRoot
        | Prepare
        | OpenDevice
        | PrepareFile
        | PrepareOverlay
        | Pivot
        | Attach
        | AttachPrepared
        | MountNew
        | Bind
        | Make
        | Mask
        | MakeReadonly
        | ReadonlyRoot
        | OwnCgroups
        | Hostname
        | Domainname
        | Sysctl
        | TakeDevices
        | MountHierarchies
        | NoDevices
        | Narrow
        | ChangeRoot
        | EnterDirectory
        | FindLibraries
        | bundlesteps.BundleRoot
        | bundlesteps.ShowRoot
        | bundlesteps.RunHooks
        | bundlesteps.EnterRoot
        | bundlesteps.Propagate
        | bundlesteps.Hold
        | bundlesteps.Link
        | bundlesteps.ShowGroups
        | bundlesteps.EnterProfile
        | bundlesteps.MountConsole
        | bundlesteps.CopyUp
    )
STEPS = {
    kind.__name__: kind
    for kind in (
        MakePrivate,
        OverlayRoot,
        BindRoot,
        Prepare,
        OpenDevice,
        PrepareFile,
        PrepareOverlay,
        Pivot,
        Attach,
        AttachPrepared,
        MountNew,
        Bind,
        Make,
        Mask,
        MakeReadonly,
        ReadonlyRoot,
        OwnCgroups,
        Hostname,
        Domainname,
        Sysctl,
    )
}
