"""The files of a container as `cp` reads and writes them, whether it runs or not.

Nothing that a container has made may lead out of it. One that runs can change what lies on a path while
we walk it: so its files are read by a process whose root is the container's, and written below
directories that the kernel opens inside that root (openat2); the process is in the container's user
namespace and in no other of its namespaces. One that does not run is read as its layers lie, and locked.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tiffin.engine.standing import ROOT, UPPER, directory_of, tree_of
from tiffin.errors import ConflictError
from tiffin.layer.tree import Entry, as_hard_link, entry_at, kept_xattrs, scan
from tiffin.linux import namespace
from tiffin.linux.files import RootPath, open_in_root
from tiffin.runtime.exec import read_map

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiffin.container.record import Record
    from tiffin.engine.engine import Engine
    from tiffin.layer.owners import Owners

DIRECTORY, FILE, NOTHING = "directory", "file", ""


class Packed(NamedTuple):
    """An entry whose path is relative to what is copied, and where its content lies."""

    entry: Entry
    host: str


class End(Protocol):
    """Where files are copied from, or to. Used by one process, for one copy."""

    def kind(self, path: str, *, follow: bool) -> str:
        """What is at `path`: DIRECTORY, FILE for all else, or NOTHING."""

    def packed(self, path: str, *, follow: bool) -> Iterator[Packed]:
        """What is at `path`, itself first, under the empty path."""

    def directory(self, path: str) -> tuple[Path, Owners]:
        """The directory at `path` to write into, and how owners are kept there."""


class Host:
    """The files of this machine, with the rights of who calls."""

    def __init__(self, owners: Owners) -> None:
        self._owners = owners

    def kind(self, path: str, *, follow: bool) -> str:
        """See `End`."""
        try:
            status = os.stat(path, follow_symlinks=follow)  # noqa: PTH116 - a final slash counts
        except (FileNotFoundError, NotADirectoryError):
            return NOTHING
        return DIRECTORY if stat.S_ISDIR(status.st_mode) else FILE

    def packed(self, path: str, *, follow: bool) -> Iterator[Packed]:
        """See `End`."""
        place = os.path.realpath(path) if follow or path.endswith(("/", "/.")) or path == "." else path
        return packed_tree(place, self._owners)

    def directory(self, path: str) -> tuple[Path, Owners]:
        """See `End`."""
        return Path(path), self._owners


class Running:
    """The files of the container whose first process is `pid`. Changes the user namespace of this process."""

    def __init__(self, pid: int, owners: Owners) -> None:
        users = Path(f"/proc/{pid}/ns/user")
        if users.readlink() != Path("/proc/self/ns/user").readlink():
            fd = os.open(users, os.O_RDONLY | os.O_CLOEXEC)
            namespace.setns(fd, namespace.NEWUSER)
            with contextlib.suppress(PermissionError):  # where a user namespace has one id, nobody may
                os.setgroups([])
            uid, gid = map(_first, ("uid", "gid"))
            os.setresgid(gid, gid, gid)
            os.setresuid(uid, uid, uid)
        self._root = os.open(f"/proc/{pid}/root", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._owners = owners

    def kind(self, path: str, *, follow: bool) -> str:
        """See `End`."""
        flags = os.O_PATH if follow or path.endswith("/") else os.O_PATH | os.O_NOFOLLOW
        try:
            fd = open_in_root(self._root, path, flags)
        except (FileNotFoundError, NotADirectoryError):
            return NOTHING
        try:
            return DIRECTORY if stat.S_ISDIR(os.fstat(fd).st_mode) else FILE
        finally:
            os.close(fd)

    def packed(self, path: str, *, follow: bool) -> Iterator[Packed]:
        """See `End`. From here on this process sees the container's files alone, and loads no code."""
        os.fchdir(self._root)
        os.chroot(".")
        sys.meta_path.clear()
        place = os.path.realpath(f"/{path}") if follow or path.endswith(("/", "/.")) else f"/{path}"
        return packed_tree(place, self._owners)

    def directory(self, path: str) -> tuple[Path, Owners]:
        """See `End`."""
        fd = open_in_root(self._root, path, os.O_RDONLY | os.O_DIRECTORY)
        return Path(f"/proc/self/fd/{fd}"), self._owners


class Unrooted(Running):
    """The same where nobody can change the root directory: the container has nothing but a directory.

    Who swaps what lies on a path while it is read can lead out of it: to what it could read itself.
    """

    def __init__(self, root: Path, owners: Owners) -> None:
        self._root = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._owners = owners

    def packed(self, path: str, *, follow: bool) -> Iterator[Packed]:
        """See `End`."""
        links = follow or path.endswith(("/", "/."))
        fd = open_in_root(self._root, path, os.O_PATH if links else os.O_PATH | os.O_NOFOLLOW)
        return packed_tree(str(Path(f"/proc/self/fd/{fd}").readlink()), self._owners)


class Stopped:
    """The files of a container that does not run, and must not begin to meanwhile."""

    def __init__(self, engine: Engine, record: Record) -> None:
        engine.enter()
        self._record = record
        self._owners = engine.owners
        directory = directory_of(engine, record)
        self._upper = directory / ROOT if (directory / ROOT).exists() else directory / UPPER
        self._tree = tree_of(engine, record)

    def kind(self, path: str, *, follow: bool) -> str:
        """See `End`."""
        found = self._tree.resolve(path, follow=follow or path.endswith("/"))
        self._check(found.path)
        if found.node is None:
            return NOTHING
        return DIRECTORY if found.node.is_directory else FILE

    def packed(self, path: str, *, follow: bool) -> Iterator[Packed]:
        """See `End`."""
        top = self._tree.resolve(path, follow=follow or path.endswith(("/", "/."))).node
        assert top is not None
        self._owners.open_up(top.host, below=True)
        yield Packed(
            entry_at(top.host, RootPath(""), top.status, self._owners)._replace(opaque=False), top.host
        )
        if not top.is_directory:
            return
        seen: dict[tuple[int, int], RootPath] = {}
        cut = len(top.path.rstrip("/")) + 1
        for node in self._tree.walk(top):
            if stat.S_ISSOCK(node.status.st_mode):
                continue
            entry = entry_at(node.host, RootPath(node.path[cut:]), node.status, self._owners)
            if node.status.st_nlink > 1 and entry.kind == "file":
                entry = as_hard_link(entry, node.status, seen)
            yield Packed(entry._replace(opaque=False), node.host)

    def directory(self, path: str) -> tuple[Path, Owners]:
        """See `End`. What the image alone has is taken into the container's own layer, as it is."""
        if self._record.read_only:
            raise ConflictError(f"the files of {self._record.name} are read-only", code="read-only")
        found = self._tree.resolve(path).path
        self._check(found)
        host = os.fspath(self._upper)
        taken = ""
        for name in found.strip("/").split("/"):
            taken, host = f"{taken}/{name}", f"{host}/{name}"
            if name and not os.path.lexists(host):
                self._take_up(taken, host)
        return self._upper / found.strip("/"), self._owners

    def _take_up(self, path: str, host: str) -> None:
        node = self._tree.resolve(path, follow=False).node
        assert node is not None
        os.mkdir(host)  # noqa: PTH102 - the name may be no UTF-8
        self._owners.change(host, *self._owners.read(node.host, node.status))
        self._owners.set_mode(host, self._owners.mode(node.host, node.status))
        for name, value in kept_xattrs(node.host).items():
            self._owners.set_attribute(host, name, value)
        os.utime(host, ns=(node.status.st_mtime_ns, node.status.st_mtime_ns))

    def _check(self, path: str) -> None:
        for mount in self._record.mounts:
            if f"{path}/".startswith(f"{mount.target.rstrip('/')}/"):
                raise ConflictError(
                    f"{path} is on what is mounted at {mount.target}, and {self._record.name} does not run",
                    code="not-mounted",
                    hint=f"start it first: tiffin start {self._record.name}",
                )


def _first(kind: str) -> int:
    """Return root, or the first user or group of this user namespace if it has no root."""
    lines = read_map(os.getpid(), kind)
    return 0 if namespace.host_id(lines, 0) is not None else lines[0].inside


def packed_tree(place: str, owners: Owners) -> Iterator[Packed]:
    """What is at the host path `place`, itself first."""
    owners.open_up(place, below=True)
    status = os.lstat(place)
    if stat.S_ISSOCK(status.st_mode):
        raise ConflictError(f"{place} is a socket, which cannot be copied", code="is-socket")
    yield Packed(entry_at(place, RootPath(""), status, owners)._replace(opaque=False), place)
    if stat.S_ISDIR(status.st_mode):
        for entry in scan(Path(place), owners):
            if entry.path:
                yield Packed(entry, f"{place}/{entry.path}")
