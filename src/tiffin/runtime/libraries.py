"""Libraries of this machine that were mounted into a container: their links, and a place in its ld.so.cache.

What a vendor's toolkit does by `create-symlinks` and `update-ldcache`, without it and without running
anything of the container's: its cache is read, and written again with these libraries before all others;
with a file in /etc/ld.so.conf.d they are still found when the container runs ldconfig itself.

In a runtime spec this is a hook, which is this module as a program, so that every runtime can do it; the
own runtime does it as a step, while the root filesystem can be written. Runs under `python -IS`; standard
library only.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import sys

from tiffin.linux import ldcache
from tiffin.linux.record import NamedTuple
from tiffin.runtime.targets import ensure, resolve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tiffin.runtime.roots import Setup

__all__ = ["FindLibraries", "main"]

_CACHE, _CONFIGURED = "etc/ld.so.cache", "etc/ld.so.conf.d"
_ROOTFS = "rootfs"
"""Where bundles have their root, by custom and in ours, whose documents are not for everybody."""
_OURS = "00-tiffin-driver.conf"
_LARGEST = 64 << 20
_IS_THERE = frozenset((errno.EEXIST, errno.EROFS))


class FindLibraries(NamedTuple):
    """Make links, pairs of a path and what it leads to; have the linker find `names`, with their paths."""

    links: tuple[tuple[str, str], ...]
    names: tuple[tuple[str, str], ...]
    flags: int
    """Those of an entry of the cache: the ABI of the libraries."""

    def describe(self) -> str:
        """Return what this does."""
        return f"have {len(self.names)} libraries of this machine found"

    def apply(self, setup: Setup) -> None:
        """Act."""
        self.apply_to(setup.root_fd)

    def apply_to(self, root: int) -> None:
        """Act on the root filesystem of this descriptor, which nothing leads out of."""
        for path, target in self.links:
            _link(root, path, target)
        if self.names:
            _write_cache(root, [ldcache.Entry(name, path, self.flags) for name, path in self.names])
            _configure(root, list(dict.fromkeys(os.path.dirname(path) for _, path in self.names)))

    def withdraw(self, upper: int, cache: str, before: bytes) -> None:
        """Take all of it out of the layer of this descriptor again; `cache` held `before` below it.

        What ran there may have written the cache anew: then only these libraries go.
        """
        for path, target in self.links:
            with contextlib.suppress(OSError), _opened(upper, os.path.dirname(path)) as where:
                name = os.path.basename(path)
                if os.readlink(name, dir_fd=where) == target:
                    os.unlink(name, dir_fd=where)
        folder, name = os.path.split(cache)
        with contextlib.suppress(OSError), _opened(upper, folder) as where:
            self._withdraw_from(where, name, before)
        with contextlib.suppress(OSError), _opened(upper, f"{folder}/ld.so.conf.d") as where:
            os.unlink(_OURS, dir_fd=where)

    def _withdraw_from(self, where: int, name: str, before: bytes) -> None:
        fd = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=where)
        with open(fd, "r+b") as file:
            rest = [
                entry for entry in _entries(file.read(_LARGEST)) if (entry.name, entry.path) not in self.names
            ]
            if rest == _entries(before):
                os.unlink(name, dir_fd=where)
                return
            file.seek(0)
            file.write(ldcache.encode(rest))
            file.truncate()

    def to_text(self) -> str:
        """Return it as an argument of the hook."""
        return json.dumps(self)

    @classmethod
    def from_text(cls, text: str) -> FindLibraries:
        """Return what `to_text` wrote."""
        links, names, flags = json.loads(text)
        return cls(_pairs(links), _pairs(names), flags)


def main() -> None:
    """Be the hook: the last argument says what to do, and standard input where the container's root is."""
    bundle = json.load(sys.stdin)["bundle"]
    path = _ROOTFS
    # It may be root of the container that runs the hook, who may not read it.
    with contextlib.suppress(PermissionError), open(f"{bundle}/config.json", encoding="utf-8") as file:
        path = json.load(file)["root"]["path"]
    root = os.open(os.path.join(bundle, path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    FindLibraries.from_text(sys.argv[-1]).apply_to(root)


def _pairs(rows: Sequence[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((first, second) for first, second in rows)


def _link(root: int, path: str, target: str) -> None:
    """Make the link; an older one of the same name is replaced, and what is something else is the image's."""
    folder, name = os.path.split(path)
    where = _directory(root, folder)
    try:
        try:
            if (
                not stat.S_ISLNK(os.lstat(name, dir_fd=where).st_mode)
                or os.readlink(name, dir_fd=where) == target
            ):
                return
            os.unlink(name, dir_fd=where)
        except FileNotFoundError:
            pass
        os.symlink(target, name, dir_fd=where)
    except OSError as error:
        if error.errno not in _IS_THERE:
            raise OSError(error.errno, error.strerror, path) from None
    finally:
        os.close(where)


def _directory(root: int, path: str) -> int:
    """Open a directory of the container to work in, made if it is missing."""
    os.close(ensure(root, path, directory=True))
    return resolve(root, path, os.O_RDONLY | os.O_DIRECTORY)


def _entries(data: bytes) -> list[ldcache.Entry]:
    """What is in a cache; nothing in one that cannot be read: the linker has its defaults then."""
    try:
        return ldcache.decode(data)
    except ValueError:
        return []


@contextlib.contextmanager
def _opened(root: int, path: str) -> Iterator[int]:
    """A directory of a layer, by a way without links."""
    fd = resolve(root, path, os.O_RDONLY | os.O_DIRECTORY, links=False)
    try:
        yield fd
    finally:
        os.close(fd)


def _write_cache(root: int, first: list[ldcache.Entry]) -> None:
    known: list[ldcache.Entry] = []
    with contextlib.suppress(FileNotFoundError):
        known = _entries(_read(root, _CACHE))
    ours = {(entry.name, entry.path) for entry in first}
    rest = [entry for entry in known if (entry.name, entry.path) not in ours]
    _replace(root, _CACHE, ldcache.encode([*first, *rest]))


def _configure(root: int, folders: list[str]) -> None:
    with contextlib.suppress(FileNotFoundError):  # an image without ldconfig has no such directory
        os.close(resolve(root, _CONFIGURED, os.O_RDONLY | os.O_DIRECTORY))
        _replace(root, f"{_CONFIGURED}/{_OURS}", "".join(f"{folder}\n" for folder in folders).encode())


def _read(root: int, path: str) -> bytes:
    # Not to wait for ever where an image has a pipe there.
    fd = resolve(root, path, os.O_RDONLY | os.O_NONBLOCK)
    with open(fd, "rb") as file:
        return file.read(_LARGEST) if stat.S_ISREG(os.fstat(fd).st_mode) else b""


def _replace(root: int, path: str, data: bytes) -> None:
    """Write a file beside its place, and put it there."""
    folder, name = os.path.split(path)
    where = _directory(root, folder)
    new = f".{name}.tiffin"
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new, dir_fd=where)
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644, dir_fd=where)
        with open(fd, "wb") as file:
            os.fchmod(fd, 0o644)
            file.write(data)
        os.rename(new, name, src_dir_fd=where, dst_dir_fd=where)
    except OSError as error:
        if error.errno != errno.EROFS:
            raise OSError(error.errno, error.strerror, f"/{path}") from None
    finally:
        os.close(where)
