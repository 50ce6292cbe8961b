"""Garbage collection: mark what can be reached, sweep the rest. Knows no room above.

What is a root, and what links to what, comes in as arguments; leases count as
roots by themselves. Marking and sweeping happen in one transaction, and
sweeping is only a rename into the work directory: nobody can take a lease on
something, or name it, between the look and the move. The trees are removed afterwards.
"""

from __future__ import annotations

import fcntl
import os
import time
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from tiffin.linux import files
from tiffin.linux.remove import remove_tree
from tiffin.oci.digest import DiffID
from tiffin.store.blobs import BlobStore
from tiffin.store.leases import Leases
from tiffin.store.partials import Partials

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from tiffin.oci.digest import Digest
    from tiffin.store.db import Database
    from tiffin.store.home import Home

_LOCK: Final = ".lock"
_TRASH: Final = "trash-"
_CLOCK_GRAIN: Final = 1_000_000_000  # the clock of a file system lags behind the other by some milliseconds
_FORGET: Final = 30 * 24 * 3600 * 1_000_000_000


class Node(NamedTuple):
    """Something that is kept or collected: a blob by its digest, an unpacked layer by its diff id."""

    kind: Literal["blob", "layer"]
    key: str


class Swept(NamedTuple):
    """What was collected: blobs, layers, directories that dead processes left, and the bytes of it all."""

    blobs: tuple[Digest, ...]
    layers: tuple[DiffID, ...]
    leftovers: int
    size: int


def mark(roots: Iterable[Node], links: Callable[[Node], Iterable[Node]]) -> set[Node]:
    """Everything that can be reached from `roots`. `links` answers nothing for what is not here."""
    marked: set[Node] = set()
    pending = list(roots)
    while pending:
        node = pending.pop()
        if node not in marked:
            marked.add(node)
            pending.extend(links(node))
    return marked


def collect(
    home: Home,
    db: Database,
    roots: Callable[[], Iterable[Node]],
    links: Callable[[Node], Iterable[Node]],
    *,
    dry_run: bool = False,
) -> Swept:
    """Delete what nothing reaches and no living process holds; with `dry_run` only say what that would be.

    `roots` is called within a transaction. Whatever came into the store since the oldest living
    lease began is spared, reachable or not: it is on its way to a name.
    """
    collector = _Collector(home, db, dry_run=dry_run)
    with files.lock(home.locks / "gc"):
        trash = home.work / f"{_TRASH}{os.urandom(6).hex()}"
        with files.lock(trash.with_name(trash.name + _LOCK)):
            trash.mkdir(mode=0o700)
            try:
                swept = collector.sweep(roots, links, trash)
            finally:
                remove_tree(trash)
                trash.with_name(trash.name + _LOCK).unlink(missing_ok=True)
    leftovers = 0 if dry_run else sweep_work(home) + len(Partials(home).sweep())
    return swept._replace(leftovers=leftovers)


def sweep_work(home: Home) -> int:
    """Remove from the work directory what no process holds the lock of; how many things that were."""
    count = 0
    for name in sorted(os.listdir(home.work)):
        path = home.work / name
        if name.endswith(_LOCK):
            if not path.with_name(name.removesuffix(_LOCK)).exists():
                _sweep_directory(path.with_name(name.removesuffix(_LOCK)))
        elif path.is_dir() and not path.is_symlink():
            count += _sweep_directory(path)
        else:
            count += _sweep_file(path)
    return count


def _sweep_directory(path: Path) -> bool:
    lock = path.with_name(path.name + _LOCK)
    try:
        with files.lock(lock, blocking=False):
            found = path.exists()
            remove_tree(path)
            lock.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    return found


def _sweep_file(path: Path) -> bool:
    """Remove a file unless its writer holds it locked, as it does with a blob in the making."""
    try:
        if not path.is_file() or path.is_symlink():
            path.unlink()
            return True
        with path.open("rb") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
    except (BlockingIOError, FileNotFoundError):
        return False
    return True


class _Collector:
    def __init__(self, home: Home, db: Database, *, dry_run: bool) -> None:
        self._home = home
        self._db = db
        self._dry_run = dry_run
        self._size = 0
        self._settled = False

    def sweep(
        self, roots: Callable[[], Iterable[Node]], links: Callable[[Node], Iterable[Node]], trash: Path
    ) -> Swept:
        with self._db.transaction() as connection:
            holding = Leases(self._db).holding()
            held = [Node(kind, key) for kind, key in holding.items if kind in ("blob", "layer")]  # type: ignore[arg-type]  # just compared
            marked = mark([*held, *roots()], links)
            blobs = tuple(
                digest
                for digest in BlobStore(self._home).all()
                if Node("blob", digest) not in marked
                and self._move(self._home.blob(digest), trash, holding.since)
            )
            sizes = {row["diff_id"]: row["usage"] for row in connection.execute("SELECT * FROM layer")}
            layers = tuple(
                diff_id
                for diff_id in self._layers()
                if Node("layer", diff_id) not in marked
                and self._move(self._home.layer(diff_id), trash, holding.since, sizes.get(diff_id, 0))
            )
            if not self._dry_run:
                self._forget(connection, layers, set(sizes))
        return Swept(blobs, layers, 0, self._size)

    def _layers(self) -> Iterator[DiffID]:
        for name in sorted(os.listdir(self._home.layers)):
            if len(name) == 64:
                yield DiffID(f"sha256:{name}")

    def _move(self, path: Path, trash: Path, since: int | None, usage: int | None = None) -> bool:
        """Move one thing into the trash; False if it is too young, or was deleted just now."""
        try:
            status = path.lstat()
        except FileNotFoundError:
            return False
        if since is not None and status.st_ctime_ns >= since - _CLOCK_GRAIN:
            return False
        self._size += status.st_blocks * 512 if usage is None else usage
        if not self._dry_run:
            if not self._settled:
                self._db.settle()  # what is to go must not have its name back after a power cut
                self._settled = True
            path.rename(trash / f"{path.parent.name}-{path.name}")  # a layer and its tar have the same name
        return True

    def _forget(self, connection: sqlite3.Connection, layers: tuple[DiffID, ...], recorded: set[str]) -> None:
        """Delete what the database knows of layers that are gone, now or since a process died."""
        gone = {str(layer) for layer in layers}
        gone |= {diff_id for diff_id in recorded if not self._home.layer(DiffID(diff_id)).exists()}
        rows = [(diff_id,) for diff_id in gone]
        if rows:
            # Were the disk to forget that a layer went, it would believe in one that came again since.
            with self._db.transaction(durable=True):
                for table in ("layer", "layer_blob", "cache"):
                    connection.executemany(f"DELETE FROM {table} WHERE diff_id = ?", rows)  # noqa: S608  # names of ours
                connection.executemany("DELETE FROM layer_part WHERE whole = ?1 OR diff_id = ?1", rows)
                connection.execute("DELETE FROM tree_digest")  # only a memory, of stacks that may be gone
        connection.execute("DELETE FROM step_record WHERE key NOT IN (SELECT key FROM cache)")
        for table in ("checksum", "fetched", "step_place"):
            connection.execute(f"DELETE FROM {table} WHERE used < ?", (time.time_ns() - _FORGET,))  # noqa: S608
