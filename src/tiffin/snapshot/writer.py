"""A layer written straight into its directory, on top of a parent that is only read.

For steps that add files and run nothing: no mount, no second copy, every rung.
The directory becomes what overlayfs would have made of the same writes into
an upper directory: parents that exist below are copied up with their
metadata, a file replaces the file below it, nothing is ever removed, so there
are no whiteouts. Files get the times that `layer.diff` documents: one epoch,
or a second more than the file that they replace.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tiffin.errors import FailedError, InvalidError
from tiffin.layer.owners import standing_node
from tiffin.layer.tree import kept_xattrs
from tiffin.linux.files import RootPath, copy_data, write_all
from tiffin.linux.remove import remove_tree
from tiffin.snapshot.copies import Copies
from tiffin.snapshot.telling import Teller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tiffin.layer.describe import LayerInfo
    from tiffin.layer.owners import Owners
    from tiffin.snapshot.merged import MergedTree, Node

_SECOND = 1_000_000_000
_MUCH = 64 << 20  # bytes that the disk is given to write while more of them come
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Meta(NamedTuple):
    """Owner and mode (the twelve low bits) that an entry gets; `xattrs` of the host path, if any."""

    uid: int
    gid: int
    mode: int
    xattrs_of: str | None = None


class LayerWriter:
    """Writes below `upper`, a new directory, as a layer over `parent`; times are `epoch` seconds.

    Where a directory meets a file or a file a directory, the new one is
    refused with InvalidError, or takes its place inside `with writer.replacing()`. With `tell` the
    layer's tar is told of while it is written, which saves `describe` the reading where that can be done.
    `wrote` is called whenever much was written, so that the disk need not wait for the end.
    """

    def __init__(
        self,
        upper: Path,
        parent: MergedTree,
        owners: Owners,
        epoch: int,
        *,
        tell: bool = False,
        wrote: Callable[[], object] = lambda: None,
    ) -> None:
        self._replace = False
        self._upper = os.fspath(upper)
        self._parent = parent
        self._owners = owners
        self._time = epoch * _SECOND
        # What is known of directories: the parent's node, or None where there is none below.
        self._directories: dict[str, Node | None] = {"/": parent.root}
        self._files: set[str] = set()
        self._links: dict[tuple[int, int], str] = {}
        self._later = Copies()
        self._teller = Teller(owners) if tell else None
        self._wrote = wrote
        self._unwritten = 0
        self._furnish("/", Meta(0, 0, 0o755) if parent.root is None else self._meta_of(parent.root))

    @contextmanager
    def replacing(self) -> Iterator[LayerWriter]:
        """Let new entries take the place of others of another kind, as an archive's do."""
        self._replace = True
        try:
            yield self
        finally:
            self._replace = False

    def exists(self, path: RootPath) -> bool:
        """Whether there is anything at the canonical `path`, here or below."""
        return path in self._files or path in self._directories or self._below(path) is not None

    def is_directory(self, path: RootPath) -> bool:
        """Whether the canonical `path` is a directory, here or below."""
        if path in self._directories:
            return True
        below = None if path in self._files else self._below(path)
        return below is not None and below.is_directory

    def make_directory(self, path: RootPath, new: Meta, *, overwrite: bool = False) -> bool:
        """Make the directory at the canonical `path` and its parents; return whether it is new.

        New ones are dressed as `new`, attributes only the last; one that exists keeps its metadata
        unless `overwrite`.
        """
        if path in self._directories:
            if overwrite and path != "/":
                self._dress(self._upper + path, new)
                self._spoil()
            return False
        parent = RootPath(path.rpartition("/")[0] or "/")
        if parent not in self._directories:
            self.make_directory(parent, new._replace(xattrs_of=None))
        below = self._below(path)
        if path in self._files or (below is not None and not below.is_directory):
            if not self._replace:
                raise InvalidError(
                    f"cannot copy to {path}: it is not a directory", code="copy-to-non-directory"
                )
            self._discard(path)
            below = None
        os.mkdir(self._upper + path)
        self._directories[path] = below
        self._furnish(path, new if below is None or overwrite else self._meta_of(below))
        return below is None

    def next_source(self) -> None:
        """Keep no hard links between what was put and what comes now: it is another source's."""
        self._links.clear()

    def put_file(self, path: RootPath, source: Node, meta: Meta, *, keep_links: bool = False) -> None:
        """Copy the content of the file `source` to the canonical `path`, whose parent exists."""
        host, moment = self._claim(path)
        self._unwritten += source.status.st_size
        if self._unwritten >= _MUCH:
            self._unwritten = 0
            self._wrote()
        if not keep_links or source.status.st_nlink == 1:
            if self._teller is None:
                self._later.add(self._copy, source, host, meta, moment)
            else:
                then = self._teller.file(path, source.status.st_size, meta, moment, host)
                self._later.add(self._copy, source, host, meta, moment, then=then)
            return
        self._spoil()
        identity = (source.status.st_dev, source.status.st_ino)
        first = self._links.setdefault(identity, host)
        if first == host:
            self._copy(source, host, meta, moment)
        else:
            os.link(first, host, follow_symlinks=False)

    def _copy(self, source: Node, host: str, meta: Meta, moment: int) -> bytes | None:
        """Copy a file; return its content if that went through our hands."""
        out = os.open(host, _NEW, 0o600)
        try:
            fd = os.open(source.host, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                content = copy_data(fd, out, source.status.st_size)
                _check_unchanged(source, os.fstat(fd))
            finally:
                os.close(fd)
            if self._dress(out, meta):
                self._spoil()
            os.utime(out, ns=(moment, moment))
        finally:
            os.close(out)
        return content

    def put_bytes(self, path: RootPath, data: bytes, meta: Meta) -> None:
        """Write a file that holds `data` at the canonical `path`, whose parent exists."""
        host, moment = self._claim(path)
        out = os.open(host, _NEW, 0o600)
        try:
            write_all(out, data)
            self._dress(out, meta)
            os.utime(out, ns=(moment, moment))
        finally:
            os.close(out)
        self._spoil()

    def put_link(self, path: RootPath, target: str, meta: Meta) -> None:
        """Make a symbolic link with the text `target` at the canonical `path`."""
        host, moment = self._claim(path)
        os.symlink(target, host)
        self._owners.change(host, meta.uid, meta.gid)
        os.utime(host, ns=(moment, moment), follow_symlinks=False)
        if self._teller is not None:
            self._later.add(_nothing, then=self._teller.link(path, target, meta, moment))

    def put_special(self, path: RootPath, source: Node, meta: Meta) -> None:
        """Make the fifo or device node that `source` is at the canonical `path`."""
        host, moment = self._claim(path)
        node = standing_node(source.host, source.status)
        mode, device = (node.mode, node.device) if node else (source.status.st_mode, source.status.st_rdev)
        self._owners.make_node(host, mode, device or 0)
        self._dress(host, meta)
        os.utime(host, ns=(moment, moment))
        self._spoil()

    def abandon(self) -> None:
        """Wait for what is under way, whatever came of it: the directory is about to go."""
        self._later.abandon()
        if self._teller is not None:
            self._teller.close()

    def finish(self) -> LayerInfo | None:
        """Wait for all copies, and set the times of the directories: nothing more is put into them.

        Returns what the layer is, if it could be told of.
        """
        self._later.drain()
        self._later.abandon()
        for path in self._directories:
            moment = self._moment(path)
            os.utime(self._upper + path, ns=(moment, moment))
        return self._teller.close() if self._teller is not None else None

    def _moment(self, directory: str) -> int:
        """The time of a directory that was made."""
        below = self._directories[directory]
        return self._time if below is None else max(self._time, below.status.st_mtime_ns)

    def _furnish(self, path: str, meta: Meta) -> None:
        """Dress a directory that was made, and tell of it."""
        if self._dress(self._upper + path, meta):
            self._spoil()
        if self._teller is not None:
            self._later.add(_nothing, then=self._teller.directory(path, meta, self._moment(path)))

    def _spoil(self) -> None:
        if self._teller is not None:
            self._teller.spoil()

    def _claim(self, path: RootPath) -> tuple[str, int]:
        """Make room at `path` for something that is no directory; return its host path and time."""
        below = self._below(path)
        if path in self._files or path in self._directories or below is not None:
            if self.is_directory(path) and not self._replace:
                raise InvalidError(f"cannot copy a file over the directory {path}", code="copy-to-directory")
            self._discard(path)
        host = self._upper + path
        self._files.add(path)
        return host, self._time if below is None else max(self._time, _next_second(below.status))

    def _discard(self, path: RootPath) -> None:
        """Forget what was written at `path`; what lies below is hidden by what comes next."""
        if path in self._files or path in self._directories:
            self._spoil()
            self._later.drain()
        if path in self._files:
            self._files.remove(path)
            os.unlink(self._upper + path)
        elif path in self._directories:
            remove_tree(Path(self._upper + path))
            for known in [known for known in self._directories if f"{known}/".startswith(f"{path}/")]:
                del self._directories[known]
            self._files = {known for known in self._files if not known.startswith(f"{path}/")}

    def _below(self, path: RootPath) -> Node | None:
        directory, _, name = path.rpartition("/")
        directory = directory or "/"
        if directory in self._directories:
            node = self._directories[directory]
            return None if node is None else self._parent.child(node, name)
        return self._parent.resolve(path, follow=False).node

    def _meta_of(self, node: Node) -> Meta:
        uid, gid = self._owners.read(node.host, node.status)
        return Meta(uid, gid, self._owners.mode(node.host, node.status), node.host)

    def _dress(self, target: int | str, meta: Meta) -> bool:
        """Give it owner, mode and attributes; whether it has such."""
        self._owners.change(target, meta.uid, meta.gid)
        self._owners.set_mode(target, meta.mode)
        if meta.xattrs_of is None:
            return False
        found = kept_xattrs(meta.xattrs_of)
        for name, value in found.items():
            self._owners.set_attribute(target, name, value)
        return bool(found)


def _nothing() -> None:
    """What is done later of what is done already."""


def _check_unchanged(source: Node, now: os.stat_result) -> None:
    """Raise unless the file is still the one that was hashed for the cache key."""
    then = source.status
    if (then.st_size, then.st_mtime_ns, then.st_ctime_ns) != (now.st_size, now.st_mtime_ns, now.st_ctime_ns):
        raise FailedError(
            f"{source.path} was changed while it was copied",
            code="source-changed",
            hint="build again when nothing writes to it; exclude what always changes in .dockerignore",
        )


def _next_second(status: os.stat_result) -> int:
    return (status.st_mtime_ns // _SECOND + 1) * _SECOND
