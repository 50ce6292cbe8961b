"""Steps of a container that comes as a bundle, in the order and with the effects of the runtime-spec.

Its mounts are made before the root is changed, so that hooks find the root filesystem at its own path; all
targets are resolved within it all the same. They are as the steps in `steps`.
"""

from __future__ import annotations

import os
import stat

from tiffin.linux import mount
from tiffin.linux.record import NamedTuple
from tiffin.runtime.hooks import run_hook
from tiffin.runtime.targets import ensure, resolve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tiffin.runtime.model import HookCall
    from tiffin.runtime.roots import Setup

_QUIET = mount.ATTR_NOSUID | mount.ATTR_NODEV | mount.ATTR_NOEXEC
_APPARMOR = ("/proc/self/attr/apparmor/exec", "/proc/self/attr/exec")


class BundleRoot(NamedTuple):
    """Lay the root filesystem over its own path, as a mount of this namespace."""

    source: int
    path: str

    def describe(self) -> str:
        """Return what this does."""
        return f"mount the root filesystem {self.path}"

    def apply(self, setup: Setup) -> None:
        """Act."""
        fd = setup.sources[self.source]
        mount.mount_setattr(fd, 0, recursive=True, propagation=mount.MS_PRIVATE, what=self.path)
        try:
            mount.move_mount_to(fd, self.path)
        except PermissionError:
            # Root of this user namespace cannot pass there; where it lies meanwhile, only hooks would see.
            mount.move_mount_to(fd, "/")
        setup.root_fd = fd


class ShowRoot(NamedTuple):
    """Let the launcher run hooks and what else it does when everything is mounted."""

    def describe(self) -> str:
        """Return what this does."""
        return "wait for the hooks of the runtime"

    def apply(self, setup: Setup) -> None:
        """Act."""
        setup.show()


class RunHooks(NamedTuple):
    """Run hooks in the namespaces of the container; the state gets the pid that this process has outside."""

    calls: tuple[HookCall, ...]
    state: bytes

    def describe(self) -> str:
        """Return what this does."""
        return "run the hooks of the container's creation"

    def apply(self, _setup: Setup) -> None:
        """Act."""
        own = os.readlink("/proc/self").encode()
        for hook in self.calls:
            run_hook(hook, self.state.replace(b'"pid":0', b'"pid":' + own))


class EnterRoot(NamedTuple):
    """Swap the roots and let go of the old one, with everything that was mounted in it."""

    def describe(self) -> str:
        """Return what this does."""
        return "change into the root filesystem"

    def apply(self, setup: Setup) -> None:
        """Act."""
        os.fchdir(setup.root_fd)
        mount.pivot_root(".", ".")
        mount.unmount(".", mount.MNT_DETACH)
        os.chdir("/")
        os.close(setup.root_fd)
        setup.root_fd = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)


class Propagate(NamedTuple):
    """Set how mounts pass between the root filesystem and where it came from."""

    flags: int

    def describe(self) -> str:
        """Return what this does."""
        return "set the propagation of the root filesystem"

    def apply(self, _setup: Setup) -> None:
        """Act."""
        mount.set_propagation("/", self.flags)


class Hold(NamedTuple):
    """Make the target of what is mounted when nothing can be made any more: a file, or a directory."""

    path: str
    directory: bool = False

    def describe(self) -> str:
        """Return what this does."""
        return f"make {self.path}"

    def apply(self, setup: Setup) -> None:
        """Act."""
        os.close(setup.target(self.path, directory=self.directory))


class Link(NamedTuple):
    """Make a symlink where nothing is yet."""

    path: str
    text: str

    def describe(self) -> str:
        """Return what this does."""
        return f"make the link {self.path}"

    def apply(self, setup: Setup) -> None:
        """Act."""
        parent = ensure(setup.root_fd, os.path.dirname(self.path), directory=True)
        try:
            os.symlink(self.text, os.path.basename(self.path), dir_fd=parent)
        except FileExistsError:
            return
        finally:
            os.close(parent)


class ShowGroups(NamedTuple):
    """Mount the cgroups that the container is in: one directory, or one for each hierarchy of version 1."""

    target: str
    sources: tuple[tuple[str, int], ...]
    """The name of each directory, empty for the one of version 2, and the number of its source."""
    readonly: bool

    def describe(self) -> str:
        """Return what this does."""
        return f"mount the container's cgroups on {self.target}"

    def apply(self, setup: Setup) -> None:
        """Act."""
        attributes = _QUIET | (mount.ATTR_RDONLY if self.readonly else 0)
        top = -1
        for name, number in self.sources:
            fd = setup.sources[number]
            mount.mount_setattr(fd, attributes, propagation=mount.MS_PRIVATE, what=self.target)
            if not name:
                setup.attach(fd, self.target)
                continue
            if top < 0:
                top = self._top(setup)
            os.mkdir(name, 0o755, dir_fd=top)
            place = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=top)
            mount.move_mount(fd, place, f"{self.target}/{name}")
            os.close(place)
            os.close(fd)
            for word in name.split(","):
                if word != name:
                    os.symlink(name, word, dir_fd=top)
        if top >= 0:
            mount.mount_setattr(top, attributes, what=self.target)
            os.close(top)

    def _top(self, setup: Setup) -> int:
        tmpfs = mount.Filesystem("tmpfs")
        tmpfs.set_string("mode", "0755")
        top = tmpfs.mount(_QUIET)
        tmpfs.close()
        setup.attach(os.dup(top), self.target)
        return top


class EnterProfile(NamedTuple):
    """Let the program that is executed next be confined by a profile of AppArmor."""

    profile: str

    def describe(self) -> str:
        """Return what this does."""
        return f"choose the AppArmor profile {self.profile}"

    def apply(self, _setup: Setup) -> None:
        """Act."""
        path = next((path for path in _APPARMOR if os.path.exists(path)), _APPARMOR[-1])
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, f"exec {self.profile}".encode())
        finally:
            os.close(fd)


class MountConsole(NamedTuple):
    """Let /dev/console be the terminal, which is standard input by now."""

    path: str = "/dev/console"

    def describe(self) -> str:
        """Return what this does."""
        return f"mount {self.path}"

    def apply(self, setup: Setup) -> None:
        """Act."""
        terminal = mount.open_tree("", dir_fd=0)
        target = resolve(setup.root_fd, self.path, links=False)
        mount.move_mount(terminal, target, self.path)
        os.close(target)
        os.close(terminal)


class CopyUp(NamedTuple):
    """Mount a tmpfs that begins with what it covers, as the option tmpcopyup asks for."""

    target: str
    flags: int
    options: str

    def describe(self) -> str:
        """Return what this does."""
        return f"mount a tmpfs with a copy of {self.target}"

    def apply(self, setup: Setup) -> None:
        """Act."""
        from tiffin.runtime.steps import MountNew

        covered = setup.target(self.target, directory=True)
        # `readonly` would be in the way of the copy, and comes after it.
        flags = self.flags & ~mount.MS_RDONLY
        MountNew("tmpfs", self.target, flags, self.options).apply(setup)
        new = resolve(setup.root_fd, self.target)
        _copy(covered, new)
        if self.flags & mount.MS_RDONLY:
            mount.mount_setattr(new, mount.ATTR_RDONLY, what=self.target)
        os.close(new)
        os.close(covered)


def _copy(source: int, target: int) -> None:
    """Copy what is in one directory into another: no link is followed."""
    listing = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=source)
    names = os.listdir(listing)
    os.close(listing)
    for name in names:
        status = os.stat(name, dir_fd=source, follow_symlinks=False)
        mode = stat.S_IMODE(status.st_mode)
        if stat.S_ISDIR(status.st_mode):
            os.mkdir(name, mode, dir_fd=target)
            pair = [
                os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
                for fd in (source, target)
            ]
            _copy(*pair)
            for fd in pair:
                os.close(fd)
        elif stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
        elif stat.S_ISREG(status.st_mode):
            _copy_file(name, source, target)
        else:
            os.mknod(name, status.st_mode, status.st_rdev, dir_fd=target)
        os.chown(name, status.st_uid, status.st_gid, dir_fd=target, follow_symlinks=False)
        if not stat.S_ISLNK(status.st_mode):
            os.chmod(name, mode, dir_fd=target)


def _copy_file(name: str, source: int, target: int) -> None:
    theirs = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source)
    ours = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=target)
    while os.sendfile(ours, theirs, None, 1 << 20):
        pass
    os.close(theirs)
    os.close(ours)
