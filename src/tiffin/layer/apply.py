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
from tiffin.layer.owners import TrueOwners
from tiffin.layer.place import Place
from tiffin.layer.telling import Telling
from tiffin.layer.tree import Entry, is_kept
from tiffin.layer.untar import TarReader
from tiffin.linux.files import RootPath, write_all

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tiffin.layer.owners import Owners
    from tiffin.layer.tree import Kind
    from tiffin.layer.untar import Member, Readable
    from tiffin.oci.digest import DiffID

_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_ID_LIMIT: Final = 2**32 - 1  # the last one, -1, means "do not change" to the kernel
_NODES: Final = {"3": stat.S_IFCHR, "4": stat.S_IFBLK, "6": stat.S_IFIFO}
_PAGE: Final = 4096
_EACH_NAME: Final = 160  # bytes that a name takes beside its letters


class Limits(NamedTuple):
    """How much a tar may ask for: entries, and bytes of one file and of all, holes counted.

    `names` is the memory that all their names may take, whoever sorts them; of short ones that are some
    six million.
    """

    entries: int = 10_000_000
    names: int = 1 << 30
    file: int = 1 << 42
    total: int = 1 << 44


class Applied(NamedTuple):
    """What was unpacked: the digest and size of the tar, its entries, and about what they take on disk.

    `tar` is the digest of the directory's canonical tar, if it was asked for and could be told on the way.
    """

    diff_id: DiffID
    size: int
    entries: int
    usage: int
    tar: DiffID | None = None


def apply(  # noqa: PLR0913  # each caller leaves out most of them
    stream: Readable,
    root: Path,
    owners: Owners,
    limits: Limits = Limits(),  # noqa: B008  # frozen
    *,
    whiteouts: bool = True,
    owner: tuple[int, int] | None = None,
    tell: bool = False,
) -> Applied:
    """Unpack the uncompressed tar `stream`, to its end, into the directory `root`, which exists.

    A later entry replaces an earlier one of the same name. Parents that the tar
    does not name belong to root, with mode 0755 and the time 0, and so does the
    root itself if the tar is silent about it; what it names belongs to `owner` if that is given.
    After an error `root` is to be thrown away. Without `whiteouts` it is no layer, and names that would
    mean one are names like any other. With `tell` the canonical tar of a layer is told of meanwhile.
    """
    with BackgroundHash() as total, Place(root, owners) as place, Telling() as told:
        reader = TarReader(stream, total.update)
        applier = _Applier(reader, place, owners, limits, told, whiteouts=whiteouts)
        if not (tell and whiteouts and isinstance(owners, TrueOwners)):
            told.spoil()  # what is recorded differs from what is told, if owners are
        place.plain(place.root_fd)
        for member in reader.members():
            applier.member(member if owner is None else member._replace(uid=owner[0], gid=owner[1]))
        place.finish()
        tar = told.diff_id() if place.straight else None
        return Applied(total.diff_id(), total.size, applier.entries, applier.usage, tar)


class _Applier:
    def __init__(
        self,
        reader: TarReader,
        place: Place,
        owners: Owners,
        limits: Limits,
        told: Telling,
        *,
        whiteouts: bool,
    ) -> None:
        self._whiteouts = whiteouts
        self._told = told
        self._first: dict[int, str] = {}  # inodes that have several names, and the first of them
        self._reader = reader
        self._place = place
        self._owners = owners
        self._limits = limits
        self._total = 0
        self._names = 0
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
            self._tell("", "directory", member)
            return
        match member.type:
            case "0":
                self._file(member, directory, name, path)
            case "1":
                self._hard_link(member, directory, name, path)
            case "2":
                self._symlink(member, directory, name)
                self._tell(path, "symlink", member, os.fsdecode(member.link))
            case "5":
                self._directory(member, directory, name)
                self._tell(path, "directory", member)
            case "3" | "4" | "6":
                self._node(member, directory, name)
                self._told.spoil()  # they are rare, and depend on what the kernel allows
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
        self._names += len(path) + _EACH_NAME
        if self.entries > limits.entries or self._names > limits.names:
            raise invalid(member.name, f"the layer has more entries than can be held: {self.entries:,}")
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
            self._told.opaque(directory)
            return
        if name.startswith(whiteout.META_PREFIX):
            return  # bookkeeping of aufs, reserved by the specification
        hidden = name.removeprefix(whiteout.PREFIX)
        if hidden in ("", ".", ".."):
            raise invalid(os.fsencode(path), "it is a whiteout of no name")
        self._place.hide(directory, hidden)
        self._told.add(Entry(RootPath(f"{directory}/{hidden}" if directory else hidden), "whiteout", 0, 0, 0))

    def _tell(self, path: str, kind: Kind, member: Member, link: str = "") -> None:
        """Tell of an entry that is as the tar says; not of attributes, which a file system may refuse."""
        if not self._told.orderly:
            return
        _name, _type, mode, uid, gid, size, mtime_ns, *_rest = member
        if member.sparse is not None or any(map(is_kept, member.xattrs)):
            self._told.spoil()
            return
        size = size if kind == "file" else 0
        self._told.add(Entry(RootPath(path), kind, mode, uid, gid, size, mtime_ns, link))

    def _file(self, member: Member, directory: str, name: str, path: str) -> None:
        try:
            fd = os.open(name, _NEW_FILE, 0o600, dir_fd=self._place.leaf(directory, name))
        except FileExistsError:
            fd = os.open(name, _NEW_FILE, 0o600, dir_fd=self._place.free(directory, name))
        try:
            self._tell(path, "file", member)
            written = _write(fd, member, self._reader.content(), self._told.data)
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
        self._owners.set_mode(host, member.mode)
        os.utime(host, ns=(member.mtime_ns, member.mtime_ns), follow_symlinks=False)

    def _hard_link(self, member: Member, directory: str, name: str, path: str) -> None:
        source = clean(member.link)
        if not source:
            raise invalid(member.name, "it is a hard link to the root itself")
        parent = self._place.leaf(directory, name)
        try:
            status = self._place.link(source, parent, name)
            self._tell_link(path, source, status)
        except FileExistsError:
            self._told.spoil()
            if not self._place.same(source, parent, name):
                self._place.link(source, self._place.free(directory, name), name)

    def _tell_link(self, path: str, source: str, status: os.stat_result) -> None:
        """Tell of another name: it leads to the first one, and has what belongs to all of them."""
        first = self._first.setdefault(status.st_ino, source)
        owner = (status.st_uid, status.st_gid)
        entry = Entry(RootPath(path), "hardlink", stat.S_IMODE(status.st_mode), *owner, 0, status.st_mtime_ns)
        if stat.S_ISREG(status.st_mode):
            self._told.add(entry._replace(link=first))
        else:
            self._told.spoil()

    def _dress(self, fd: int, member: Member, path: str) -> None:
        """Owner, then mode, then attributes: each would undo what comes before it in another order."""
        self._owners.change(fd, member.uid, member.gid)
        self._owners.set_mode(fd, member.mode)
        for name, value in member.xattrs.items():
            if is_kept(name):
                self._set_attribute(fd, name, value, path)

    def _set_attribute(self, fd: int, name: str, value: bytes, path: str) -> None:
        try:
            self._owners.set_attribute(fd, name, value)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ERANGE, errno.E2BIG):
                raise invalid(os.fsencode(path), f"its attribute {name[:100]!r} is malformed") from None
            if error.errno != errno.EOPNOTSUPP:  # a file system without attributes loses them, as everywhere
                raise


def _write(
    fd: int,
    member: Member,
    content: Iterator[tuple[int, memoryview]],
    told: Callable[[memoryview], object],
) -> int:
    """Write the content, leaving holes where the archive has none; return the bytes written."""
    written = 0
    for offset, data in content:
        if offset != written:
            os.lseek(fd, offset, os.SEEK_SET)
        write_all(fd, data)
        told(data)
        written += len(data)
    if written != member.size:
        os.ftruncate(fd, member.size)
    return written
