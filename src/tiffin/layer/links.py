"""Owners of links and fifos where there is one id: an attribute of their directory names them.

What a container's own calls said of its links is known by inode and time of birth until `settle` writes it
down by name: links are made under one name and moved to another.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import Counter
from typing import TYPE_CHECKING, Final

from tiffin.errors import CorruptError, FailedError
from tiffin.linux.files import RootPath
from tiffin.linux.ownerrecord import LINKS, Links, entries, parse_links, spell_links
from tiffin.linux.statx import born

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tiffin.linux.ownerrecord import Birth

    Owner = tuple[int, int]

_ABSENT: Final = (errno.ENODATA, errno.EOPNOTSUPP, errno.EPERM)
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


def settle(upper: Path, journal: Path, lower: Callable[[RootPath], os.stat_result | None]) -> None:
    """Write down what the file of entries `journal`, if there is one, says of the links in the tree `upper`.

    A link that was copied up from `lower` kept, while the container ran, the inode that it has there.
    """
    try:
        found = entries(journal.read_bytes())
    except FileNotFoundError:
        return
    inodes = {inode for inode, _ in found}
    for directory, links in _directories(os.fspath(upper)) if found else ():
        owners = {}
        for name, status in links:
            owner = _find(f"{directory}/{name}", status, found, inodes, upper, lower)
            if owner is not None:
                owners[os.fsencode(name)] = owner
        if owners:
            _set(directory, owners)


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
        if links:
            yield directory, links


def _find(
    host: str,
    status: os.stat_result,
    found: Mapping[Birth, Owner],
    inodes: set[int],
    upper: Path,
    lower: Callable[[RootPath], os.stat_result | None],
) -> Owner | None:
    inode = status.st_ino
    if inode in inodes and (owner := found.get((inode, _born(host)))) is not None:
        return owner
    below = lower(RootPath(host.removeprefix(os.fspath(upper)).lstrip("/")))
    if (
        below is None
        or below.st_ino not in inodes
        or stat.S_IFMT(below.st_mode) != stat.S_IFMT(status.st_mode)
    ):
        return None
    return found.get((below.st_ino, _born(host)))


def _born(host: str) -> int:
    fd = os.open(host, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return born(fd)
    finally:
        os.close(fd)


def _links(directory: str) -> Links:
    try:
        text = os.getxattr(directory or "/", LINKS)
    except OSError as error:
        if error.errno in _ABSENT:
            return Links()
        raise
    links = parse_links(text)
    if links is None:
        raise CorruptError(
            f"the attribute {LINKS} of {directory} reads {text[:80]!r}, which names no owners",
            code="owner-record",
            hint="remove the attribute, or build the image again",
        )
    return links


def _set(directory: str, owners: Mapping[bytes, Owner]) -> None:
    links = _links(directory)
    if all(links.owner(name) == owner for name, owner in owners.items()):
        return
    links = Links(links.others, tuple({**dict(links.named), **owners}.items()))
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
        os.setxattr(directory, LINKS, spell_links(Links(others, tuple(owners.items()))))
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
