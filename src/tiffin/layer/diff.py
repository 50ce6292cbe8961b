"""What a step changed: an overlay's upper directory made canonical, or two whole trees compared.

The same step on the same parent must give the same layer next month, so
everything that only says *when* goes: copies that overlayfs made on its way,
and all times, those inside compiled Python files included.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from tiffin.layer.moments import settle
from tiffin.layer.tree import kept_xattrs
from tiffin.layer.whiteout import clear_opaque, is_opaque, is_whiteout
from tiffin.linux.files import RootPath

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from tiffin.layer.owners import Owners

_SECOND: Final = 1_000_000_000
_CACHE_DIRECTORY: Final = "__pycache__"


class Repeated(NamedTuple):
    """Files that a layer holds again though their content is as it was: how many, and their bytes."""

    files: int = 0
    size: int = 0


Lower = Callable[[RootPath], os.stat_result | None]
"""What lstat says of a path, relative to the root, in the merged tree below; None if there is nothing."""


def normalise(
    upper: Path,
    lower: Lower,
    epoch: int,
    owners: Owners,
    *,
    place: Callable[[RootPath], str | None] | None = None,
    began: int | None = None,
) -> Repeated:
    """Make the overlay upper directory `upper`, which nobody uses any more, say only what was changed.

    Return what is in it though only its owner, mode or attributes changed: to change one of them,
    overlayfs copies the whole file, with its times.

    1. Directories that overlayfs copied up and nothing is left in go, if mode, owner and
       attributes are those below; so do whiteouts and opaque marks that hide nothing, and
       files that are in everything as below: who opens one to write has it copied.
    2. Every time becomes `epoch` (seconds), or, where an entry replaces one below: for a
       directory, and for a file whose content is as it was, at least that one's time, so that
       what was compiled from it stays valid; else at least a second more, so that whatever
       compares times sees the change.
    3. Compiled Python files that name the old time of their source (PEP 552) name the new one.
    4. The known files in which programs note the time (see `layer.moments`) name the epoch, if
       `began` says when the step began, in seconds.

    `place` gives the host path of what `lower` finds; it is needed to compare
    attributes and recorded owners: without it a directory that has any is kept.
    """
    base = os.fspath(upper)
    times = _Times(epoch)
    _Pruner(base, lower, owners, place, times).prune()
    if began is not None:
        times.forget(settle(base, times.paths, began, epoch))
    for compiled, source in times.compiled():
        _retime(f"{base}/{compiled}", *times.seconds(source))
    times.set(base)
    return times.repeated


class _Times:
    """The time that each entry is to get; of names that share a file, the latest."""

    def __init__(self, epoch: int) -> None:
        self.repeated = Repeated()
        self._epoch = epoch * _SECOND
        self._new: dict[str, int] = {}
        self._old: dict[str, int] = {}
        self._shared: dict[tuple[int, int], list[str]] = {}

    def note(self, path: str, status: os.stat_result, below: os.stat_result | None) -> None:
        moment = self._epoch
        if below is not None:
            seconds = below.st_mtime_ns // _SECOND
            copied_up = _is_copied_up(status, below)
            if not copied_up and not (stat.S_ISDIR(status.st_mode) and stat.S_ISDIR(below.st_mode)):
                seconds += 1
            moment = max(moment, seconds * _SECOND)
            if copied_up:
                self.repeated = Repeated(self.repeated.files + 1, self.repeated.size + status.st_size)
        self._old[path], self._new[path] = status.st_mtime_ns, moment
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            names = self._shared.setdefault((status.st_dev, status.st_ino), [])
            names.append(path)
            latest = max(self._new[name] for name in names)
            self._new.update((name, latest) for name in names)

    @property
    def paths(self) -> Collection[str]:
        """Everything that gets a time."""
        return self._new.keys()

    def forget(self, paths: Iterable[str]) -> None:
        """Set no time for these, which are gone."""
        for path in paths:
            del self._new[path]

    def compiled(self) -> Iterator[tuple[str, str]]:
        """Each compiled Python file whose source is here too, and that source."""
        for path in self._new:
            source = source_of(path) if path.endswith(".pyc") else None
            if source in self._new:
                yield path, source

    def seconds(self, path: str) -> tuple[int, int]:
        """The old and the new time, as a compiled file would name them."""
        return self._old[path] // _SECOND, self._new[path] // _SECOND

    def set(self, base: str) -> None:
        for path, moment in self._new.items():
            os.utime(f"{base}/{path}", ns=(moment, moment), follow_symlinks=False)


def _is_copied_up(status: os.stat_result, below: os.stat_result) -> bool:
    """Whether a file is as large and as old as the one below: overlayfs keeps the time of what it copies."""
    if not (stat.S_ISREG(status.st_mode) and stat.S_ISREG(below.st_mode)):
        return False
    return (status.st_size, status.st_mtime_ns) == (below.st_size, below.st_mtime_ns)


class _Visited(NamedTuple):
    """A directory of the upper tree, with what is known of the one below."""

    path: str
    below: os.stat_result | None
    covers: bool  # there is a directory below, and only directories lead to it
    inside: bool  # one above it hides that directory already
    opaque: bool  # it is marked to hide that directory


class _Pruner:
    def __init__(
        self,
        base: str,
        lower: Lower,
        owners: Owners,
        place: Callable[[RootPath], str | None] | None,
        times: _Times,
    ) -> None:
        self._base = base
        self._lower = lower
        self._owners = owners
        self._place = place
        self._times = times

    def prune(self) -> None:
        """Visit children before their directory: only then is it known whether anything is left in it."""
        below = self._lower(RootPath(""))
        self._times.note("", os.lstat(self._base), below)
        root = _Visited("", below, below is not None, False, is_opaque(self._base))
        stack = [(root, iter(os.listdir(self._base)))]
        while stack:
            parent, names = stack[-1]
            name = next(names, None)
            if name is None:
                stack.pop()
                if parent.path:
                    self._leave(parent)
                continue
            path = f"{parent.path}/{name}" if parent.path else name
            host = f"{self._base}/{path}"
            status = os.lstat(host)
            below = self._lower(RootPath(path)) if parent.covers else None
            if stat.S_ISDIR(status.st_mode):
                covers = below is not None and stat.S_ISDIR(below.st_mode)
                visited = _Visited(path, below, covers, parent.inside or parent.opaque, is_opaque(host))
                stack.append((visited, iter(os.listdir(host))))
            elif not is_whiteout(host, status):
                if parent.inside or parent.opaque or not self._same_file(path, host, status, below):
                    self._times.note(path, status, below)
                else:
                    os.unlink(host)
            elif below is None or parent.inside or parent.opaque:
                os.unlink(host)

    def _same_file(self, path: str, host: str, status: os.stat_result, below: os.stat_result | None) -> bool:
        """Whether a file was copied up, and neither its content nor anything else of it was changed."""
        if below is None or status.st_nlink > 1 or status.st_mode != below.st_mode:
            return False
        other = self._place(RootPath(path)) if self._place is not None else None
        return (
            other is not None
            and _is_copied_up(status, below)
            and self._owners.read(host, status) == self._owners.read(other, below)
            and self._owners.mode(host, status) == self._owners.mode(other, below)
            and kept_xattrs(host) == kept_xattrs(other)
            and _same_content(host, other)
        )

    def _leave(self, directory: _Visited) -> None:
        host = f"{self._base}/{directory.path}"
        status = os.lstat(host)
        if directory.opaque and (directory.inside or not directory.covers):
            clear_opaque(host)  # overlayfs marks every new directory
        copied_up = directory.covers and not directory.inside and not directory.opaque
        if copied_up and not os.listdir(host) and self._same(directory, host, status):
            os.rmdir(host)
            return
        self._times.note(directory.path, status, directory.below)

    def _same(self, directory: _Visited, host: str, status: os.stat_result) -> bool:
        below = directory.below
        if below is None or status.st_mode != below.st_mode:
            return False
        if self._place is None:
            owner = (below.st_uid, below.st_gid)
            return self._owners.read(host, status) == owner and not kept_xattrs(host)
        other = self._place(RootPath(directory.path))
        return (
            other is not None
            and self._owners.read(host, status) == self._owners.read(other, below)
            and self._owners.mode(host, status) == self._owners.mode(other, below)
            and kept_xattrs(host) == kept_xattrs(other)
        )


def source_of(path: str) -> str | None:
    """The source of the compiled file `path` (PEP 3147): a/x.py of a/__pycache__/x.cpython-311.pyc."""
    directory, _, name = path.rpartition("/")
    parent, _, last = directory.rpartition("/")
    if last != _CACHE_DIRECTORY:
        return f"{path[:-1]}"
    stem, dot, tag = name.removesuffix(".pyc").partition(".")
    if not dot or not tag:
        return None
    return f"{parent}/{stem}.py" if parent else f"{stem}.py"


def _retime(host: str, old: int, new: int) -> None:
    """Let the compiled file `host` name the time `new`, if it is checked by time and names `old`."""
    if not stat.S_ISREG(os.lstat(host).st_mode):
        return
    fd = os.open(host, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        head = os.pread(fd, 16, 0)
        if len(head) < 16 or head[2:4] != b"\r\n" or head[4:8] != bytes(4):
            return
        if head[8:12] == (old & 0xFFFFFFFF).to_bytes(4, "little"):
            os.pwrite(fd, (new & 0xFFFFFFFF).to_bytes(4, "little"), 8)
    finally:
        os.close(fd)


class Change(NamedTuple):
    """One difference between two trees; a deletion stands for all that was below the path."""

    kind: Literal["add", "modify", "delete"]
    path: RootPath


def tree_changes(lower: Path, upper: Path, owners: Owners, since_ns: int | None = None) -> Iterator[Change]:
    """Yield what leads from the tree `lower` to the tree `upper`, parents first, names by their bytes.

    An added directory is followed by what is in it. A directory whose entries
    changed is not itself modified. `since_ns` says when `upper` became a copy of
    `lower`: files that the kernel has not touched since need not be read.
    """
    old, new = os.fspath(lower), os.fspath(upper)
    compare = _Comparer(owners, since_ns)
    if not compare.same(old, new):
        yield Change("modify", RootPath(""))
    stack = [_pairs(old, new, "")]
    while stack:
        pair = next(stack[-1], None)
        if pair is None:
            stack.pop()
            continue
        path, before, after = pair
        if after is None:
            yield Change("delete", path)
            continue
        directory = stat.S_ISDIR(after.st_mode)
        if before is None:
            yield Change("add", path)
        elif stat.S_IFMT(before.st_mode) != stat.S_IFMT(after.st_mode):
            yield Change("delete", path)
            yield Change("add", path)
            before = None
        elif not compare.same(f"{old}/{path}", f"{new}/{path}"):
            yield Change("modify", path)
        if directory:
            stack.append(_pairs(old if before is not None else None, new, f"{path}/"))


def _pairs(
    old: str | None, new: str, prefix: str
) -> Iterator[tuple[RootPath, os.stat_result | None, os.stat_result | None]]:
    before = set(os.listdir(f"{old}/{prefix}")) if old is not None else set()
    after = set(os.listdir(f"{new}/{prefix}"))
    for name in sorted(before | after, key=os.fsencode):
        path = RootPath(prefix + name)
        one = os.lstat(f"{old}/{path}") if name in before else None
        two = os.lstat(f"{new}/{path}") if name in after else None
        yield path, one, two


class _Comparer:
    def __init__(self, owners: Owners, since_ns: int | None) -> None:
        self._owners = owners
        self._since = since_ns

    def same(self, old: str, new: str) -> bool:
        """Whether two entries of one type say the same: all but the times of directories and links."""
        one, two = os.lstat(old), os.lstat(new)
        if self._since is not None and two.st_ctime_ns < self._since:
            return True
        if one.st_mode != two.st_mode or self._owners.read(old, one) != self._owners.read(new, two):
            return False
        if self._owners.mode(old, one) != self._owners.mode(new, two):
            return False
        kind = stat.S_IFMT(two.st_mode)
        if kind == stat.S_IFLNK:
            return os.readlink(old) == os.readlink(new)
        if kept_xattrs(old) != kept_xattrs(new):
            return False
        if kind in (stat.S_IFCHR, stat.S_IFBLK):
            return one.st_rdev == two.st_rdev
        if kind != stat.S_IFREG:
            return True
        if one.st_size != two.st_size or one.st_mtime_ns != two.st_mtime_ns:
            return False
        return _same_content(old, new)


def _same_content(old: str, new: str) -> bool:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    one = os.open(old, flags)
    try:
        two = os.open(new, flags)
        try:
            while True:
                data = os.read(one, 1 << 20)
                if data != os.read(two, 1 << 20):
                    return False
                if not data:
                    return True
        finally:
            os.close(two)
    finally:
        os.close(one)
