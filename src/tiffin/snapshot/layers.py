"""Committed layers: directories by diff id, and the records that make them count.

States of a directory: *work* (below `home.work`, its lock held by the process
that fills it), then, by one rename, *committed* (below `home.layers`, never
written again), then *settled*: all of it is on the disk. No commit waits for
the disk; `settle` does, once for all.

So a crash of the machine may leave a committed layer with holes. Until it is
settled its record names the boot in which it was made; in a later one it is
not believed before its diff id has been computed from the directory again. A
directory without a record is never believed: who arrives at its diff id replaces it.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tiffin.errors import CorruptError, NotFoundError, TiffinError
from tiffin.linux.files import DAMAGE, lock, sync_filesystem
from tiffin.linux.remove import remove_tree
from tiffin.oci.descriptor import Descriptor
from tiffin.oci.digest import DiffID, Digest
from tiffin.snapshot.merged import MergedTree
from tiffin.store.leases import boot_id

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tiffin.layer.describe import LayerInfo
    from tiffin.layer.owners import Owners
    from tiffin.store.db import Database
    from tiffin.store.home import Home


_SETTLED = ""


class LayerStore:
    """The layers of one home. Safe for any number of processes and threads.

    `boot` tells this boot of the machine from others.
    """

    def __init__(self, home: Home, db: Database, owners: Owners, boot: str | None = None) -> None:
        self.home = home
        self.owners = owners
        self._db = db
        self._boot = (boot_id() if boot is None else boot) or "unknown"
        self._guard = threading.Lock()
        self._writing: threading.Thread | None = None
        self._lost: OSError | None = None

    def path(self, diff_id: DiffID) -> Path:
        """Return where the tree of the committed layer `diff_id` lies."""
        return self.home.layer(diff_id)

    def has(self, diff_id: DiffID) -> bool:
        """Whether the layer is committed, and whole.

        After a crash of the machine this may read all of the layer, once, and throw it away if it is damaged.
        """
        with self._db.read() as connection:
            row = connection.execute("SELECT boot FROM layer WHERE diff_id = ?", (diff_id,)).fetchone()
        if row is None or not self.path(diff_id).is_dir():
            return False
        return self._believes(row[0]) or self._survived(diff_id, row[0])

    def sizes(self) -> dict[str, int]:
        """The bytes of the tar of each layer, whole or not."""
        with self._db.read() as connection:
            return {row[0]: row[1] for row in connection.execute("SELECT diff_id, size FROM layer")}

    def size(self, diff_id: DiffID) -> int:
        """Return the bytes of the layer's tar. Raises NotFoundError."""
        with self._db.read() as connection:
            row = connection.execute("SELECT size FROM layer WHERE diff_id = ?", (diff_id,)).fetchone()
        if row is None:
            raise NotFoundError(f"the layer {diff_id.short} is not in the store")
        return int(row[0])

    def is_canonical(self, diff_id: DiffID) -> bool:
        """Whether the tar that the directory gives has this diff id."""
        with self._db.read() as connection:
            row = connection.execute("SELECT canonical FROM layer WHERE diff_id = ?", (diff_id,)).fetchone()
        return row is not None and bool(row[0])

    def blob_of(self, diff_id: DiffID) -> Descriptor:
        """Return a blob that is known to unpack to the layer. Raises NotFoundError."""
        known = self.blobs_of(diff_id)
        if not known:
            raise NotFoundError(f"the layer {diff_id.short} has no blob in the store")
        return known[0]

    def blobs_of(self, diff_id: DiffID) -> list[Descriptor]:
        """Return the blobs, here or elsewhere, that are known to unpack to the layer."""
        with self._db.read() as connection:
            rows = connection.execute(
                "SELECT media_type, digest, size FROM layer_blob WHERE diff_id = ? ORDER BY digest",
                (diff_id,),
            ).fetchall()
        return [Descriptor(row[0], Digest(row[1]), row[2]) for row in rows]

    def record_blob(self, descriptor: Descriptor, diff_id: DiffID) -> None:
        """Remember that the blob `descriptor` unpacks to the layer."""
        with self._db.transaction() as connection:
            connection.execute(
                "INSERT INTO layer_blob(digest, diff_id, size, media_type) VALUES (?, ?, ?, ?)"
                " ON CONFLICT(digest) DO NOTHING",
                (descriptor.digest, diff_id, descriptor.size, descriptor.media_type),
            )

    def parts_of(self, diff_id: DiffID) -> list[tuple[DiffID, str]]:
        """Return the layers, with their names, that the layer was split into; nothing if it never was."""
        with self._db.read() as connection:
            query = "SELECT diff_id, name FROM layer_part WHERE whole = ? ORDER BY position"
            return [(DiffID(row[0]), row[1]) for row in connection.execute(query, (diff_id,))]

    def record_parts(self, diff_id: DiffID, parts: Sequence[tuple[DiffID, str]]) -> None:
        """Remember what the layer was split into."""
        rows = [(diff_id, position, *part) for position, part in enumerate(parts)]
        with self._db.transaction() as connection:
            connection.execute("DELETE FROM layer_part WHERE whole = ?", (diff_id,))
            connection.executemany(
                "INSERT INTO layer_part(whole, position, diff_id, name) VALUES (?, ?, ?, ?)", rows
            )

    def tree(self, diff_ids: Sequence[DiffID]) -> MergedTree:
        """Return the merged view of the stack `diff_ids`, bottom first as in an image."""
        return MergedTree([self.path(diff_id) for diff_id in reversed(diff_ids)])

    @contextmanager
    def workspace(self) -> Iterator[Path]:
        """Yield a new directory for a snapshot in the making; what is left of it goes at the end."""
        place = self.home.work / f"{os.getpid()}-{os.urandom(6).hex()}"
        # The lock file comes first: a directory without a holder is rubbish that anyone may sweep.
        with lock(place.with_name(place.name + ".lock")):
            place.mkdir(mode=0o700)
            try:
                yield place
            finally:
                remove_tree(place)
                place.with_name(place.name + ".lock").unlink(missing_ok=True)

    def describe(self, directory: Path) -> LayerInfo:
        """Return diff id and sizes of the finished tree at `directory`; the disk works meanwhile."""
        self.write_out()
        from tiffin.layer.describe import describe  # only builds make layers: `run` does not pay for it

        return describe(directory, self.owners)

    def commit(self, directory: Path, info: LayerInfo, *, tar: DiffID | None = None) -> None:
        """Record the finished tree at `directory` as the layer that `info` describes.

        It is moved to its place, not copied; `tar` is the diff id of the tar that is made from it, if
        that is another than the layer's: it came from a tool that writes tars in its own way.
        """
        target = self.path(info.diff_id)
        other = tar if tar not in (None, info.diff_id) else ""
        record = (info.diff_id, info.size, info.usage, int(not other), time.time_ns(), self._boot, other)
        # One transaction: between look, rename and record nobody else commits the same, or collects it.
        with self._db.transaction() as connection:
            row = connection.execute("SELECT boot FROM layer WHERE diff_id = ?", record[:1]).fetchone()
            if target.is_dir():
                if row is not None and self._believes(row[0]):
                    return
                target.rename(directory.with_name(f"{directory.name}.replaced"))
            directory.rename(target)
            connection.execute(
                "INSERT OR REPLACE INTO layer(diff_id, size, usage, canonical, created, boot, tar)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                record,
            )

    def settle(self) -> None:
        """Make the layers that were committed in this boot survive a crash of the machine.

        Call it before a name is given to what is made of them. Free when there is nothing new.
        """
        with self._db.read() as connection:
            rows = connection.execute(
                "SELECT diff_id, created FROM layer WHERE boot = ?", (self._boot,)
            ).fetchall()
        if not rows:
            return
        if self._writing is not None:
            self._writing.join()
        if self._lost is not None:
            raise self._lost
        sync_filesystem(self.home.layers)
        with self._db.transaction() as connection:
            connection.executemany(
                "UPDATE layer SET boot = ? WHERE diff_id = ? AND created = ?",
                [(_SETTLED, row["diff_id"], row["created"]) for row in rows],
            )

    def all(self) -> list[DiffID]:
        """Every layer that is recorded, whole or not."""
        with self._db.read() as connection:
            return [
                DiffID(row[0]) for row in connection.execute("SELECT diff_id FROM layer ORDER BY diff_id")
            ]

    def verify(self, diff_id: DiffID) -> None:
        """Read the whole layer. Raises CorruptError unless its directory gives the tar that it gave at first.

        Nothing can be said of a layer from elsewhere that was unpacked before such tars were remembered.
        """
        with self._db.read() as connection:
            row = connection.execute(
                "SELECT canonical, tar FROM layer WHERE diff_id = ?", (diff_id,)
            ).fetchone()
        wanted = None if row is None else diff_id if row["canonical"] else row["tar"]
        if wanted and self._digest_of(diff_id) != wanted:
            raise CorruptError(f"the layer {diff_id.short} was changed on disk", code="layer-changed")

    def discard(self, diff_id: DiffID) -> None:
        """Throw away a layer, whatever needs it: what lies there is not what it is called."""
        with self.workspace() as place, self._db.transaction(durable=True) as connection:
            connection.execute("DELETE FROM layer WHERE diff_id = ?", (diff_id,))
            if self.path(diff_id).exists():
                self.path(diff_id).rename(place / "damaged")

    def write_out(self) -> None:
        """Begin to write what a commit will want on the disk, which is idle now; `settle` waits for it."""

        def write() -> None:
            try:
                sync_filesystem(self.home.work)
            except OSError as error:  # the kernel tells it once
                self._lost = error

        with self._guard:
            if self._writing is None or not self._writing.is_alive():
                self._writing = threading.Thread(target=write, name="layer-sync", daemon=True)
                self._writing.start()

    def _believes(self, boot: str) -> bool:
        return boot in (_SETTLED, self._boot)

    def _survived(self, diff_id: DiffID, boot: str) -> bool:
        """Whether a layer of the earlier `boot` came through its end; what did not goes.

        One whose tar cannot be made again from its directory goes untried: its blob, which was
        synced, is unpacked anew.
        """
        whole = self.is_canonical(diff_id) and self._digest_of(diff_id) == diff_id
        same = "WHERE diff_id = ? AND boot = ?"
        with self.workspace() as place, self._db.transaction(durable=True) as connection:
            if whole:
                connection.execute(f"UPDATE layer SET boot = '' {same}", (diff_id, boot))  # noqa: S608  # ours
            elif connection.execute(f"DELETE FROM layer {same}", (diff_id, boot)).rowcount:  # noqa: S608  # ours
                self.path(diff_id).rename(place / "damaged")
        return whole

    def _digest_of(self, diff_id: DiffID) -> DiffID | None:
        """The diff id that the directory has now; None if it cannot even be read."""
        try:
            return self.describe(self.path(diff_id)).diff_id
        except TiffinError:
            return None
        except OSError as error:
            if error.errno not in (*DAMAGE, errno.ENOENT):
                raise
            return None
