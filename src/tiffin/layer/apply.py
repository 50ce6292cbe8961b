"""A layer's tar → a directory in overlayfs form. The tar may be hostile.

Promises that nothing outside the directory is touched, whatever names and
links the tar has: every parent is opened by the kernel as if the directory
were `/`, and only its last component is made, never followed. Whiteouts become
what overlayfs understands. What breaks a rule is `CorruptError` or `InvalidError`.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final, NamedTuple

from tiffin.errors import UnsupportedError
from tiffin.layer import whiteout
from tiffin.layer.hashing import BackgroundHash
from tiffin.layer.names import clean, invalid
from tiffin.layer.place import Place
from tiffin.layer.tree import is_kept
from tiffin.layer.untar import TarReader
from tiffin.linux.files import write_all

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from tiffin.layer.owners import Owners
    from tiffin.layer.untar import Member
    from tiffin.oci.digest import DiffID

_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ID_LIMIT: Final = 2**32 - 1  # the last one, -1, means "do not change" to the kernel
_NODES: Final = {"3": stat.S_IFCHR, "4": stat.S_IFBLK, "6": stat.S_IFIFO}
_PAGE: Final = 4096


class Limits(NamedTuple):
    """How much a tar may ask for: entries, and bytes of one file and of all, holes counted."""

    entries: int = 10_000_000
    file: int = 1 << 42
    total: int = 1 << 44


class Applied(NamedTuple):
    """What was unpacked: the digest and size of the tar, its entries, and about what they take on disk."""

    diff_id: DiffID
    size: int
    entries: int
    usage: int


def apply(
    stream: BinaryIO,
    root: Path,
    owners: Owners,
    limits: Limits = Limits(),  # noqa: B008  # frozen
    *,
    whiteouts: bool = True,
    owner: tuple[int, int] | None = None,
) -> Applied:
    """Unpack the uncompressed tar `stream`, to its end, into the directory `root`, which exists.

    A later entry replaces an earlier one of the same name. Parents that the tar
    does not name belong to root, with mode 0755 and the time 0, and so does the
    root itself if the tar is silent about it; what it names belongs to `owner` if that is given.
    After an error `root` is to be thrown away. Without `whiteouts` it is no layer, and names that would
    mean one are names like any other.
    """
    with BackgroundHash() as total, Place(root, owners) as place:
        reader = TarReader(stream, total.update)
        applier = _Applier(reader, place, owners, limits, whiteouts=whiteouts)
        place.plain(place.root_fd)
        for member in reader.members():
            applier.member(member if owner is None else member._replace(uid=owner[0], gid=owner[1]))
        place.finish()
        return Applied(total.diff_id(), total.size, applier.entries, applier.usage)


class _Applier:
    def __init__(
        self, reader: TarReader, place: Place, owners: Owners, limits: Limits, *, whiteouts: bool
    ) -> None:
        self._whiteouts = whiteouts
        self._reader = reader
        self._place = place
        self._owners = owners
        self._limits = limits
        self._total = 0
        self.entries = 0
        self.usage = 0

    def member(self, member: Member) -> None:
        """Make one entry, if its claims are in bounds."""
        path = clean(member.name)
        self._check(member, path)
        directory, _, name = path.rpartition("/")
        if self._whiteouts and name.startswith(whiteout.PREFIX):
            self._whiteout(directory, name, path)
            return
        if not path:
            if member.type != "5":
                raise invalid(member.name, "it names the root itself, and is no directory")
            self._dress(self._place.root_fd, member, path)
            self._place.remember("", member.mtime_ns)
            return
        match member.type:
            case "0":
                self._file(member, directory, name)
            case "1":
                self._hard_link(member, directory, name)
            case "2":
                self._symlink(member, directory, name)
            case "5":
                self._directory(member, directory, name)
            case "3" | "4" | "6":
                self._node(member, directory, name)
            case _:
                raise UnsupportedError(
                    f"the tar's entry {path!r} is of the unknown type {member.type!r}",
                    code="tar-entry-type",
                    hint="write the archive with a current tar",
                )

    def _check(self, member: Member, path: str) -> None:
        limits = self._limits
        self.entries += 1
        self._total += member.size
        if self.entries > limits.entries:
            raise invalid(member.name, f"the layer has more than {limits.entries} entries")
        if member.size > limits.file or self._total > limits.total:
            raise invalid(member.name, f"its {member.size} bytes are more than a layer may have")
        if member.uid >= _ID_LIMIT or member.gid >= _ID_LIMIT:
            raise invalid(member.name, f"its owner {member.uid}:{member.gid} is out of range")
        parents = path.rpartition("/")[0]
        if self._whiteouts and whiteout.PREFIX in parents and f"/{parents}".find(f"/{whiteout.PREFIX}") >= 0:
            raise invalid(member.name, "it lies below a whiteout")

    def _whiteout(self, directory: str, name: str, path: str) -> None:
        if name == whiteout.OPAQUE_MARKER:
            parent, _ = self._place.parent(directory)
            whiteout.make_opaque(f"/proc/self/fd/{parent}")
            return
        if name.startswith(whiteout.META_PREFIX):
            return  # bookkeeping of aufs, reserved by the specification
        hidden = name.removeprefix(whiteout.PREFIX)
        if hidden in ("", ".", ".."):
            raise invalid(os.fsencode(path), "it is a whiteout of no name")
        self._place.hide(directory, hidden)

    def _file(self, member: Member, directory: str, name: str) -> None:
        try:
            fd = os.open(name, _NEW_FILE, 0o600, dir_fd=self._place.leaf(directory, name))
        except FileExistsError:
            fd = os.open(name, _NEW_FILE, 0o600, dir_fd=self._place.free(directory, name))
        try:
            written = _write(fd, member, self._reader.content())
            self._dress(fd, member, name)
            os.utime(fd, ns=(member.mtime_ns, member.mtime_ns))
        finally:
            os.close(fd)
        self.usage += -(-written // _PAGE) * _PAGE

    def _directory(self, member: Member, directory: str, name: str) -> None:
        path, fd = self._place.make_directory(directory, name)
        self._dress(fd, member, path)
        self._place.remember(path, member.mtime_ns)
        self.usage += _PAGE

    def _symlink(self, member: Member, directory: str, name: str) -> None:
        target = os.fsdecode(member.link)
        if not target or "\0" in target or len(member.link) >= _PAGE:
            raise invalid(member.name, "it is a link to a name that no link can have")
        parent = self._place.free(directory, name)
        os.symlink(target, name, dir_fd=parent)
        host = f"/proc/self/fd/{parent}/{name}"
        self._owners.change(host, member.uid, member.gid)
        os.utime(host, ns=(member.mtime_ns, member.mtime_ns), follow_symlinks=False)

    def _node(self, member: Member, directory: str, name: str) -> None:
        if self._whiteouts and member.type == "3" and member.major == member.minor == 0:
            self._place.hide(
                directory, name
            )  # what overlayfs calls a whiteout, from a tar of its upper directory
            return
        if member.major > 0xFFF or member.minor > 0xFFFFF:
            raise invalid(member.name, f"there is no device {member.major}:{member.minor}")
        parent = self._place.free(directory, name)
        device = os.makedev(member.major, member.minor) if member.type in "34" else 0
        host = f"/proc/self/fd/{parent}/{name}"
        self._owners.make_node(host, _NODES[member.type] | 0o600, device)
        self._owners.change(host, member.uid, member.gid)
        os.chmod(host, member.mode)
        os.utime(host, ns=(member.mtime_ns, member.mtime_ns), follow_symlinks=False)

    def _hard_link(self, member: Member, directory: str, name: str) -> None:
        source = clean(member.link)
        if not source:
            raise invalid(member.name, "it is a hard link to the root itself")
        parent = self._place.leaf(directory, name)
        try:
            self._place.link(source, parent, name)
        except FileExistsError:
            if not self._place.same(source, parent, name):
                self._place.link(source, self._place.free(directory, name), name)

    def _dress(self, fd: int, member: Member, path: str) -> None:
        """Owner, then mode, then attributes: each would undo what comes before it in another order."""
        self._owners.change(fd, member.uid, member.gid)
        os.fchmod(fd, member.mode)
        for name, value in member.xattrs.items():
            if is_kept(name):
                _set_attribute(fd, name, value, path)


def _set_attribute(fd: int, name: str, value: bytes, path: str) -> None:
    try:
        os.setxattr(fd, name, value)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ERANGE, errno.E2BIG):
            raise invalid(os.fsencode(path), f"its attribute {name[:100]!r} is malformed") from None
        if error.errno != errno.EOPNOTSUPP:  # a file system without attributes loses them, as everywhere
            raise


def _write(fd: int, member: Member, content: Iterator[tuple[int, memoryview]]) -> int:
    """Write the content, leaving holes where the archive has none; return the bytes written."""
    written = 0
    for offset, data in content:
        if offset != written:
            os.lseek(fd, offset, os.SEEK_SET)
        write_all(fd, data)
        written += len(data)
    if written != member.size:
        os.ftruncate(fd, member.size)
    return written
