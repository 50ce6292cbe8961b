"""A directory as a layer: its entries in canonical order, as they will stand in the tar.

Promises that the same tree gives the same entries on every machine and file
system: parents first, names sorted by their bytes, only such attributes as
belong to an image.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from tiffin.errors import FailedError, UnsupportedError
from tiffin.layer.owners import recorded_node
from tiffin.layer.whiteout import OPAQUE, PREFIX, WHITEOUT, is_whiteout
from tiffin.linux import ownerrecord
from tiffin.linux.files import RootPath

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tiffin.layer.owners import Owners

Kind = Literal["file", "hardlink", "symlink", "directory", "fifo", "char", "block", "whiteout"]

CAPABILITY: Final = "security.capability"
_PRIVATE: Final = ("user.overlay.", "user.tiffin.")
_KINDS: Final[dict[int, Kind]] = {
    stat.S_IFREG: "file",
    stat.S_IFLNK: "symlink",
    stat.S_IFDIR: "directory",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
}
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NOTHING: Final[Mapping[str, bytes]] = {}
_NO_READ: Final = frozenset((errno.ENODATA, errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.EOVERFLOW))


class Entry(NamedTuple):
    """One entry of a layer.

    `path` is relative to the layer, the empty path is its root. `mode` has the
    permission bits only, `link` the text of a symlink, or the path of the entry
    that a hard link shares. `usage` is what the entry takes on disk. `content` is
    there of small files only, and if it was asked for.
    """

    path: RootPath
    kind: Kind
    mode: int
    uid: int
    gid: int
    size: int = 0
    mtime_ns: int = 0
    link: str = ""
    device: int = 0
    xattrs: Mapping[str, bytes] = _NOTHING
    opaque: bool = False
    usage: int = 0
    content: bytes = b""


def scan(root: Path, owners: Owners, *, small: int = 0) -> Iterator[Entry]:
    """Yield the entries of the layer directory `root`; sockets are no part of a layer.

    The root itself comes first, and only if it is not a plain directory of root's with
    mode 0755: then it has to be told to whoever unpacks the layer. Files of up to `small`
    bytes come with their content: while one is open for it, all else costs little.
    """
    base = os.fspath(root)
    seen: dict[tuple[int, int], RootPath] = {}
    top = _entry(base, RootPath(""), os.lstat(base), _all_xattrs(base), owners)
    if not is_plain(top):
        yield top
    stack = [("", iter(_names(base)))]
    while stack:
        prefix, names = stack[-1]
        found = next(names, None)
        if found is None:
            stack.pop()
            continue
        name, is_file = found
        path = RootPath(prefix + name)
        host = f"{base}/{path}"
        try:
            looked = _look_into(host, small, seen) if is_file and small else _look_at(host)
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise _too_deep(host) from error
            raise
        if name.startswith(PREFIX):
            raise _unspeakable(path)
        status, xattrs, content = looked
        if stat.S_ISSOCK(status.st_mode):
            continue
        entry = _entry(host, path, status, xattrs, owners, content)
        if status.st_nlink > 1 and entry.kind == "file":
            entry = as_hard_link(entry, status, seen)
        yield entry
        if entry.kind == "directory":
            stack.append((f"{path}/", iter(_names(host))))


def is_plain(top: Entry) -> bool:
    """Whether the root of a layer is one that nobody has to be told of."""
    return (top.mode, top.uid, top.gid, top.opaque) == (0o755, 0, 0, False) and not top.xattrs


def kept_xattrs(host: str) -> Mapping[str, bytes]:
    """The attributes of the entry at `host` that are part of an image: capabilities, and the user's own."""
    found = _all_xattrs(host)
    return _kept(found) if found else _NOTHING


def is_kept(name: str) -> bool:
    """Whether the attribute `name` is part of an image."""
    return name == CAPABILITY or (name.startswith("user.") and not name.startswith(_PRIVATE))


def normal_capability(value: bytes) -> bytes:
    """A file capability for the namespace's own root in the form that says nothing of namespaces.

    Revision 3 is revision 2 and a root id (capabilities(7)): for root id 0 they mean the same.
    """
    if len(value) == 24 and value[3] == 3 and value[20:24] == b"\0\0\0\0":
        return value[:3] + b"\x02" + value[4:20]
    return value


def read_exactly(fd: int, size: int, host: str) -> bytes:
    """The first `size` bytes of the file at `host`, open and unread. Raises FailedError if there are less."""
    data = os.read(fd, size)
    while len(data) < size:
        more = os.read(fd, size - len(data))
        if not more:
            raise changed(host)
        data += more
    return data


def changed(host: str) -> FailedError:
    """The error for a file that changed under our eyes."""
    return FailedError(
        f"{host} became shorter while its layer was read",
        code="layer-changed",
        hint="something still writes to it; stop that and try again",
    )


def _look_at(host: str) -> tuple[os.stat_result, Mapping[str, bytes], bytes]:
    return os.lstat(host), _all_xattrs(host), b""


def _look_into(
    host: str, small: int, seen: Mapping[tuple[int, int], RootPath]
) -> tuple[os.stat_result, Mapping[str, bytes], bytes]:
    """The same of a file, and its content if it is small and not seen under another name."""
    try:
        fd = os.open(host, _READ)
    except PermissionError:  # what nobody may read can still be empty
        return _look_at(host)
    try:
        status = os.fstat(fd)
        size = status.st_size
        wanted = 0 < size <= small and (status.st_nlink < 2 or (status.st_dev, status.st_ino) not in seen)
        return status, _all_xattrs(fd), read_exactly(fd, size, host) if wanted else b""
    finally:
        os.close(fd)


def _entry(
    host: str,
    path: RootPath,
    status: os.stat_result,
    found: Mapping[str, bytes],
    owners: Owners,
    content: bytes = b"",
) -> Entry:
    mode = status.st_mode
    kind = _KINDS[stat.S_IFMT(mode)]
    if (kind == "char" or WHITEOUT in found) and is_whiteout(host, status):
        return Entry(path, "whiteout", 0, 0, 0)
    xattrs = _kept(found) if found else _NOTHING
    uid, gid = owners.read(host, status)
    size, device, link = 0, 0, ""
    if kind == "file":
        size = status.st_size
        node = recorded_node(host, found) if found and not size else None
        if node is not None and node.device is not None:
            kind, device = _KINDS[stat.S_IFMT(node.mode)], node.device
    elif kind == "symlink":
        link = os.readlink(host)
    elif kind != "directory":
        device = status.st_rdev
    return Entry(
        path,
        kind,
        owners.mode(host, status),
        uid,
        gid,
        size,
        status.st_mtime_ns,
        link,
        device,
        xattrs,
        kind == "directory" and found.get(OPAQUE) == b"y",
        status.st_blocks * 512,
        content,
    )


def entry_at(host: str, path: RootPath, status: os.stat_result, owners: Owners) -> Entry:
    """The entry `path` that lies at `host`, of which `status` is what lstat says."""
    return _entry(host, path, status, _all_xattrs(host), owners)


def as_hard_link(entry: Entry, status: os.stat_result, seen: dict[tuple[int, int], RootPath]) -> Entry:
    """The entry of a file with several names, as a hard link if one of them came before."""
    first = seen.setdefault((status.st_dev, status.st_ino), entry.path)
    if first == entry.path:
        return entry
    return entry._replace(kind="hardlink", link=first, size=0, usage=0, xattrs=_NOTHING, content=b"")


def _names(directory: str) -> list[tuple[str, bool]]:
    """The names in the directory, sorted, and whether they are those of files."""
    with os.scandir(directory) as entries:
        names = [(entry.name, entry.is_file(follow_symlinks=False)) for entry in entries]
    if "".join([name for name, _ in names]).isascii():
        names.sort()
    else:  # surrogates of names that are not UTF-8 would sort elsewhere
        names.sort(key=lambda each: os.fsencode(each[0]))
    return names


def _all_xattrs(target: str | int) -> Mapping[str, bytes]:
    """The attributes of an open file, or of what lies at a path, a link itself."""
    follow = isinstance(target, int)
    try:
        names = os.listxattr(target, follow_symlinks=follow)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.ENOSYS):
            return _NOTHING
        raise
    values = {}
    for name in names:
        try:
            values[name] = os.getxattr(target, name, follow_symlinks=follow)
        except OSError as error:  # of a kind that we may not see, or of a namespace that is not ours
            if error.errno not in _NO_READ:
                raise
    return values


def _kept(found: Mapping[str, bytes]) -> Mapping[str, bytes]:
    kept = {
        name: normal_capability(value) if name == CAPABILITY else value
        for name, value in sorted(found.items())
        if is_kept(name)
    }
    if (recorded := found.get(ownerrecord.CAPABILITY)) is not None:
        kept = {CAPABILITY: normal_capability(recorded), **kept}
    return kept


def _too_deep(host: str) -> UnsupportedError:
    return UnsupportedError(
        f"{host[:200]}… lies too deep: its path has {len(os.fsencode(host))} bytes, and 4095 are the limit",
        code="path-too-long",
        hint="remove it in the step that makes it",
    )


def _unspeakable(path: RootPath) -> UnsupportedError:
    return UnsupportedError(
        f"the name of {path!r} begins with {PREFIX}, which has another meaning in the layers of an image",
        code="reserved-name",
        hint="remove or rename the file in the step that makes it",
    )
