"""Owners of links and fifos where there is one id: an attribute of their directory names them.

What a container's own calls said of its links is known by inode and time of birth until `settle` writes it
down by name: links are made under one name and moved to another.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol

from tiffin.errors import CorruptError, FailedError
from tiffin.linux.files import RootPath, getxattr
from tiffin.linux.ownerrecord import LINKS, Links, entries, parse_links, spell_links
from tiffin.linux.statx import born

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tiffin.linux.ownerrecord import Birth

    Owner = tuple[int, int]

_FULL: Final = (errno.ENOSPC, errno.E2BIG, errno.ERANGE)
_ROOT: Final = (0, 0)


def owner_of_link(host: str) -> Owner:
    """Return whose the link or fifo at `host` is; root's where nothing is recorded."""
    directory, _, name = host.rpartition("/")
    return _links(directory).owner(os.fsencode(name))


def set_owner_of_link(host: str, owner: Owner) -> None:
    """Record whose the link or fifo at `host` is."""
    directory, _, name = host.rpartition("/")
    _set(directory, {os.fsencode(name): owner})


class Below(Protocol):
    """The merged tree below an upper directory."""

    def status(self, path: RootPath) -> os.stat_result | None:
        """What lstat says of the entry, None if there is nothing."""
        ...

    def host(self, path: RootPath) -> str | None:
        """The host path of the entry, or None."""
        ...


def settle(upper: Path, journal: Path, below: Below | None) -> None:
    """Write down what the file of entries `journal`, if there is one, says of the links in the tree `upper`.

    A directory that overlayfs has copied up from `below` has the attribute of the one there, which says
    nothing of what is in `upper`: that goes. Doing it again changes nothing.
    """
    found: Mapping[Birth, Owner] = {}
    with contextlib.suppress(FileNotFoundError):
        found = entries(journal.read_bytes())
    settler = _Settler(os.fspath(upper), found, below)
    for directory, links in _directories(os.fspath(upper)):
        settler.settle(directory, links)


def _directories(top: str) -> Iterator[tuple[str, list[tuple[str, os.stat_result]]]]:
    """Yield each directory with its entries that cannot carry attributes."""
    pending = [top]
    while pending:
        directory = pending.pop()
        links = []
        with os.scandir(directory) as scanned:
            for each in scanned:
                if each.is_dir(follow_symlinks=False):
                    pending.append(each.path)
                elif not each.is_file(follow_symlinks=False):
                    links.append((each.name, each.stat(follow_symlinks=False)))
        yield directory, links


class _Settler:
    def __init__(self, top: str, found: Mapping[Birth, Owner], below: Below | None) -> None:
        self._top = top
        self._found = found
        self._inodes = {inode for inode, _ in found}
        self._below = below

    def settle(self, directory: str, links: list[tuple[str, os.stat_result]]) -> None:
        before = _links(directory)
        if not links and before == Links():
            return
        inherited = self._inherited(directory) if before != Links() else Links()
        owners = {
            os.fsencode(name): self._owner(f"{directory}/{name}", status, before, inherited)
            for name, status in links
        }
        wanted = Links(named={name: owner for name, owner in owners.items() if owner != _ROOT})
        if wanted != before:
            _write(directory, wanted)

    def _path(self, host: str) -> RootPath:
        return RootPath(host.removeprefix(self._top).lstrip("/"))

    def _inherited(self, directory: str) -> Links:
        host = self._below.host(self._path(directory)) if self._below is not None else None
        return _links(host) if host is not None else Links()

    def _owner(self, host: str, status: os.stat_result, before: Links, inherited: Links) -> Owner:
        """By what a container said of it; else as it was below, if it is a copy of that; else as was set."""
        if status.st_ino in self._inodes and (said := self._found.get((status.st_ino, _born(host)))):
            return said
        path = self._path(host)
        under = self._below.status(path) if self._below is not None else None
        if under is not None and stat.S_IFMT(under.st_mode) == stat.S_IFMT(status.st_mode):
            # A link that was copied up kept, while the container ran, the inode that it has below.
            if under.st_ino in self._inodes and (said := self._found.get((under.st_ino, _born(host)))):
                return said
            if under.st_mtime_ns == status.st_mtime_ns and self._below is not None:
                original = self._below.host(path)
                return owner_of_link(original) if original is not None else _ROOT
        name = os.fsencode(host.rpartition("/")[2])
        if (set_here := before.named.get(name)) and set_here != inherited.named.get(name):
            return set_here
        return before.others if before.others != inherited.others else _ROOT


def _born(host: str) -> int:
    fd = os.open(host, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return born(fd)
    finally:
        os.close(fd)


def _links(directory: str) -> Links:
    text = getxattr(directory or "/", LINKS)
    if text is None:
        return Links()
    links = _parsed(text)
    if links is None:
        raise CorruptError(
            f"the attribute {LINKS} of {directory} reads {text[:80]!r}, which names no owners",
            code="owner-record",
            hint="remove the attribute, or build the image again",
        )
    return links


# One link after the other is asked about, and what a directory says of thousands stays the same meanwhile.
_parsed = lru_cache(maxsize=8)(parse_links)


def _set(directory: str, owners: Mapping[bytes, Owner]) -> None:
    links = _links(directory)
    if all(links.owner(name) == owner for name, owner in owners.items()):
        return
    _write(directory, Links(links.others, {**links.named, **owners}))


def _write(directory: str, links: Links) -> None:
    if links == Links():
        os.removexattr(directory, LINKS)
        return
    try:
        os.setxattr(directory, LINKS, spell_links(links))
    except OSError as error:
        if error.errno not in _FULL:
            raise
        _set_compact(directory, links)


def _set_compact(directory: str, links: Links) -> None:
    """Name only those whose owner is not that of the most: an attribute may have no more than a block."""
    names = [os.fsencode(entry.name) for entry in os.scandir(directory) if not _carries(entry)]
    owners = {name: links.owner(name) for name in names}
    others = Counter(owners.values()).most_common(1)[0][0]
    try:
        os.setxattr(directory, LINKS, spell_links(Links(others, owners)))
    except OSError as error:
        if error.errno not in _FULL:
            raise
        raise FailedError(
            f"{directory} has links of too many owners: the file system has no room to record them",
            code="too-many-owners",
            hint="give the links of one directory to one user, or use a rung with subordinate ids",
        ) from error


def _carries(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)
