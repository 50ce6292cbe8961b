"""Content digests of what a COPY takes, remembered so that an unchanged file costs one stat.

A digest is remembered by (device, inode, size, mtime ns, ctime ns). A file
that changed within the clock's grain of being hashed is not remembered: a
second change could leave the same times behind. Of a whole selection its mark is remembered,
too, in which all of that stands: where nothing changed, no file has to be looked up.
"""

from __future__ import annotations

import hashlib
import os
import stat
import time
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from tiffin.build.facts import mark_of
from tiffin.build.selection import kind
from tiffin.layer.tree import kept_xattrs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tiffin.build.selection import Selected
    from tiffin.snapshot.merged import Node
    from tiffin.store.db import Database

_GRAIN = 50_000_000  # ns; the coarse clock of older kernels ticks every 10 ms
_64_BITS = (1 << 64) - 1
_PARALLEL = 1 << 18  # bytes: smaller files are hashed faster than a thread is handed them

_Entry = tuple[int, int, int, bytes]


class Checksums:
    """The digests of the files of one context, kept in the table `checksum` under `scope`."""

    def __init__(self, db: Database, scope: str) -> None:
        self._db = db
        self._scope = scope
        self._marks: dict[str, bytes] = {}
        self._changed = False

    @cached_property
    def _known(self) -> dict[int, _Entry]:
        data = self._read(self._scope)
        try:
            return msgspec.msgpack.decode(data, type=dict[int, _Entry]) if data else {}
        except msgspec.MsgspecError:
            return {}  # of another version: it is only a memory

    def _read(self, scope: str) -> bytes:
        with self._db.read() as connection:
            row = connection.execute("SELECT entries FROM checksum WHERE scope = ?", (scope,)).fetchone()
        return b"" if row is None else row[0]

    def save(self) -> None:
        """Keep what was learnt."""
        rows = {f"{self._scope}\n{selector}": data for selector, data in self._marks.items()}
        if self._changed:
            rows[self._scope] = msgspec.msgpack.encode(self._known)
        if not rows:
            return
        with self._db.transaction() as connection:
            connection.executemany(
                "INSERT INTO checksum(scope, entries, used) VALUES (?, ?, ?)"
                " ON CONFLICT(scope) DO UPDATE SET entries = excluded.entries, used = excluded.used",
                [(scope, data, time.time_ns()) for scope, data in rows.items()],
            )
        self._marks.clear()
        self._changed = False

    def known(self, selector: str, mark: bytes) -> str:
        """Return the digest of what `selector` selects, if it has the same mark as it had; else nothing."""
        return digest_of(self.remembered(selector), mark)

    def remembered(self, selector: str) -> bytes:
        """Return the mark and the digest of what `selector` selected the last time; nothing if it is new."""
        return self._read(f"{self._scope}\n{selector}")

    def selection(self, selector: str, selection: Sequence[Selected], looked: int) -> str:
        """Return the digest of what `selector` selects; `looked` is when that began, in ns."""
        mark = mark_of(selection)
        if known := self.known(selector, mark):
            return known
        for chosen in selection:
            self.prepare((chosen.node, *chosen.below))
        digest = selection_digest(selection, self.digest)
        if mark and _is_settled(selection, looked):
            self._marks[selector] = mark + digest.encode()
        return digest

    def prepare(self, nodes: Iterable[Node]) -> None:
        """Hash the large files among `nodes` that are not known yet, on all cores."""
        large = [
            node
            for node in nodes
            if stat.S_ISREG(node.status.st_mode)
            and node.status.st_size >= _PARALLEL
            and self._lookup(node.status) is None
        ]
        if len(large) < 2:
            return
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for node, digest in zip(large, pool.map(hash_file, large), strict=True):
                self._remember(node.status, digest)

    def digest(self, node: Node) -> bytes:
        """Return the SHA-256 of the content of the file `node`."""
        known = self._lookup(node.status)
        if known is None:
            known = hash_file(node)
            self._remember(node.status, known)
        return known

    def recall(self, node: Node) -> bytes:
        """Return the SHA-256 of a file that was hashed; empty for a large one that changed too lately."""
        known = self._lookup(node.status)
        if known is None:
            known = hash_file(node) if node.status.st_size <= _PARALLEL else b""
        return known

    def _lookup(self, status: os.stat_result) -> bytes | None:
        entry = self._known.get((status.st_ino ^ (status.st_dev << 44)) & _64_BITS)
        if (
            entry is not None
            and entry[1] == status.st_mtime_ns
            and entry[2] == status.st_ctime_ns
            and entry[0] == status.st_size
        ):
            return entry[3]
        return None

    def _remember(self, status: os.stat_result, digest: bytes) -> None:
        if time.time_ns() - max(status.st_ctime_ns, status.st_mtime_ns) > _GRAIN:
            # Device and inode in 64 bits: a clash only costs a hash, for size and times differ.
            self._known[(status.st_ino ^ (status.st_dev << 44)) & _64_BITS] = (
                status.st_size,
                status.st_mtime_ns,
                status.st_ctime_ns,
                digest,
            )
            self._changed = True


def digest_of(remembered: bytes, mark: bytes) -> str:
    """Return the digest that is remembered with this mark, or nothing."""
    return remembered[len(mark) :].decode() if mark and remembered.startswith(mark) else ""


def _is_settled(selection: Sequence[Selected], looked: int) -> bool:
    """Whether all of it was as it is for so long that no later change can have the same times."""
    return all(
        node.is_directory or looked - max(node.status.st_ctime_ns, node.status.st_mtime_ns) > _GRAIN
        for chosen in selection
        for node in (chosen.node, *chosen.below)
    )


def hash_file(node: Node) -> bytes:
    """Return the SHA-256 of the content of the file `node`."""
    fd = os.open(node.host, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        size = node.status.st_size
        if size <= _PARALLEL:
            data = os.read(fd, size + 1)
            if len(data) == size:
                return hashlib.sha256(data).digest()
            os.lseek(fd, 0, os.SEEK_SET)
        with os.fdopen(fd, "rb", closefd=False) as file:
            return hashlib.file_digest(file, "sha256").digest()
    finally:
        os.close(fd)


def selection_digest(
    selection: Sequence[Selected],
    file_digest: Callable[[Node], bytes],
    owner: Callable[[Node], tuple[int, int, int]] | None = None,
) -> str:
    """Return a digest of all that a copy of `selection` can show.

    Content, kinds, modes, names, link targets and capabilities count; times
    never, owners only where `owner` tells them, and the mode (of a stage; those of a context
    are dropped), the mode of a copied directory itself neither.
    """
    total = hashlib.sha256()
    for chosen in selection:
        name = "" if chosen.node.is_directory else chosen.name
        total.update(_line(chosen.node, name, file_digest, owner))
        prefix = len(chosen.node.path.rstrip("/"))
        total.update(b"".join([_line(node, node.path[prefix:], file_digest, owner) for node in chosen.below]))
    return total.hexdigest()


def _line(
    node: Node,
    name: str,
    file_digest: Callable[[Node], bytes],
    owner: Callable[[Node], tuple[int, int, int]] | None,
) -> bytes:
    """One entry; `name` is empty for a directory that only its contents count of."""
    mode = node.status.st_mode
    encoded = name.encode("utf-8", "surrogateescape")
    if stat.S_ISREG(mode):
        content = file_digest(node)
        if owner is None:
            return b"f\0%o\0\0%d\0%b\0%b\n" % (mode & 0o7777, len(content), encoded, content)
    elif stat.S_ISLNK(mode):
        content = os.fsencode(os.readlink(node.host))
    elif stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        content = b"%d" % node.status.st_rdev
    else:
        content = b""
    shown, owned = mode & 0o7777 if name else 0, ""
    if owner and name:
        uid, gid, shown = owner(node)
        owned = f"{uid}:{gid}"
    head = f"{kind(mode)}\0{shown:o}\0{owned}\0{len(content)}\0".encode()
    line = head + b"%b\0%b\n" % (encoded, content)
    if owned and not stat.S_ISLNK(mode):
        for attribute, value in sorted(kept_xattrs(node.host).items()):
            line += b"x%b=%b\n" % (os.fsencode(attribute), value)
    return line
