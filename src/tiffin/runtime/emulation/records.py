"""Whose the files of a container are: read from what was recorded, and recorded, while it runs.

Files and directories carry their owner. Links, fifos and the like cannot: what is asked of them in this life
of the container is in a file of entries beside its upper directory, what layers say of theirs in the
attributes of their directories.
"""

from __future__ import annotations

import errno
import os
import stat

from tiffin.linux import files, statx
from tiffin.linux.ownerrecord import ENTRY, LINKS, OWNER, Record, entries, entry, parse, parse_links, spell
from tiffin.runtime.emulation.lifting import lifted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tiffin.linux.ownerrecord import Birth

NONE = Record(0, 0)
_CARRIERS = (stat.S_IFREG, stat.S_IFDIR)
_TYPE, _MODE, _SET_ID = 0o170000, 0o7777, 0o6000
_MOST_REMEMBERED = 1 << 16
_MOST_LINKS = 1 << 18  # some 60 MB: who makes more links for others than that gets no more


class Records:
    """The owners of one container: `journal` is its file of entries, or -1; `layers`, top first, are open.

    Its root is the directory `root` of this process, whose /proc is at `proc`. Where a layer is changed while
    the container runs, links that were made `since` then (in nanoseconds) are not those that it tells of.
    """

    def __init__(
        self, journal: int, layers: list[int], *, root: bytes = b"/", proc: bytes = b"", since: int = 0
    ) -> None:
        self._journal = journal
        self._layers = layers
        self._root = root.rstrip(b"/")
        self._proc = proc
        self._since = since
        self._links: dict[Birth, tuple[int, int]] = {}
        self._lower: dict[tuple[int, int], tuple[int, int]] = {}
        self._read = 0
        self._device = os.lstat(root).st_dev

    def at(self, path: bytes, *, follow: bool) -> Record | None:
        """Return what is recorded of what is at the path, None for nothing. Raises OSError."""
        text = lifted(path, lambda: files.getxattr(path, OWNER, follow=follow))
        if text is not None:
            return parse(text)
        if follow and not self._knows_links():
            return None
        status = os.stat(path, follow_symlinks=follow)
        if stat.S_IFMT(status.st_mode) in _CARRIERS:
            return None
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))
        try:
            owner = self._of_link(fd, os.fstat(fd))
        finally:
            os.close(fd)
        return Record(*owner) if owner != (0, 0) else None

    def of(self, fd: int) -> Record:
        """Return the owner of what is open as O_PATH."""
        status = os.fstat(fd)
        if stat.S_IFMT(status.st_mode) in _CARRIERS:
            return _carried(self._named(fd)) or NONE
        return Record(*self._of_link(fd, status))

    def set(self, fd: int, uid: int, gid: int) -> None:
        """Record these owners of what is open as O_PATH. Raises OSError where nothing can be written."""
        path = self._named(fd)
        status = os.fstat(fd)
        if stat.S_IFMT(status.st_mode) not in _CARRIERS:
            self._set_link(fd, status, (uid, gid))
            return
        known = _carried(path)
        if known is None and (uid, gid) == (0, 0):
            return
        record = (known or NONE)._replace(uid=uid, gid=gid)
        if record.device is None and stat.S_ISREG(status.st_mode):
            record = record._replace(mode=record.mode & ~_SET_ID)
        try:
            if record == NONE:
                lifted(path, lambda: os.removexattr(path, OWNER))
            else:
                lifted(path, lambda: os.setxattr(path, OWNER, spell(record)))
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:  # what is in memory, and in no layer, may have none
                raise

    def set_mode(self, path: bytes, mode: int, *, hidden: bool) -> None:
        """Record the mode of a file or directory if it is not what is on disk, or of a device."""
        known = _carried(path)
        if known is None and not hidden:
            return
        record = known or NONE
        kind = record.mode & _TYPE or mode & _TYPE
        told = record._replace(mode=kind | mode & _MODE if hidden or record.device is not None else 0)
        if told == NONE:
            os.removexattr(path, OWNER)
        elif told != record:
            os.setxattr(path, OWNER, spell(told))

    def set_new(self, fd: int, owner: tuple[int, int]) -> None:
        """Record the owners of a file that has just been made and is open."""
        if owner != (0, 0):
            try:
                os.setxattr(fd, OWNER, spell(Record(*owner)))
            except OSError as error:
                if error.errno != errno.EOPNOTSUPP:
                    raise

    def set_node(self, fd: int, mode: int, device: int, owner: tuple[int, int]) -> None:
        """Let the empty file that is open stand for a device node."""
        os.setxattr(fd, OWNER, spell(Record(*owner, mode, device)))

    def _set_link(self, fd: int, status: os.stat_result, owner: tuple[int, int]) -> None:
        if self._of_link(fd, status) == owner:
            return
        birth = status.st_ino, statx.born(fd)
        if len(self._links) >= _MOST_LINKS and birth not in self._links:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._links[birth] = owner
        if self._journal >= 0 and status.st_dev == self._device:
            os.write(self._journal, entry(birth, owner))

    def _knows_links(self) -> bool:
        """Tell whether any link has got an owner while the container runs; others may have written of it."""
        if self._journal >= 0:
            size, begin = os.fstat(self._journal).st_size, self._read
            if size > begin:
                data = os.pread(self._journal, size - begin, begin)
                self._links |= entries(data)
                self._read = begin + len(data) - len(data) % ENTRY  # several threads may read the same
        return bool(self._links)

    def _of_link(self, fd: int, status: os.stat_result) -> tuple[int, int]:
        if self._knows_links():
            found = self._links.get((status.st_ino, statx.born(fd)))
            if found is not None:
                return found
        if status.st_dev != self._device or (self._since and statx.born(fd) >= self._since):
            return 0, 0
        key = status.st_dev, status.st_ino
        if key not in self._lower:
            if len(self._lower) >= _MOST_REMEMBERED:
                self._lower.clear()
            self._lower[key] = self._in_layers(fd, status.st_ino)
        return self._lower[key]

    def _named(self, fd: int) -> bytes:
        return self._proc + b"self/fd/%d" % fd

    def _in_layers(self, fd: int, inode: int) -> tuple[int, int]:
        """Return what the topmost layer with a link of that name says, if it is this link."""
        real = os.readlink(self._named(fd)).removeprefix(self._root)
        directory, _, name = real.rpartition(b"/")
        for layer in self._layers:
            try:
                parent = files.open_in_root(
                    layer, files.RootPath(os.fsdecode(directory)), os.O_PATH, links=False
                )
            except OSError:
                continue
            try:
                if os.stat(name, dir_fd=parent, follow_symlinks=False).st_ino != inode:
                    return 0, 0
                links = parse_links(os.getxattr(self._named(parent), LINKS))
            except FileNotFoundError:
                continue
            except OSError:
                return 0, 0
            finally:
                os.close(parent)
            return links.owner(name) if links else (0, 0)
        return 0, 0


def _carried(path: bytes) -> Record | None:
    text = lifted(path, lambda: files.getxattr(path, OWNER))
    return None if text is None else parse(text)
