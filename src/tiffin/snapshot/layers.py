"""Committed layers: directories by diff id, and the records that make them count.

States of a directory: *work* (below `home.work`, its lock held by the process
that fills it), then, by one rename, *committed* (below `home.layers`, never
written again). A directory that was renamed but not recorded when a process
died is complete, and is recorded when someone arrives at the same diff id.
"""

from __future__ import annotations

import errno
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tiffin.errors import CorruptError, NotFoundError
from tiffin.linux.files import lock
from tiffin.linux.remove import remove_tree
from tiffin.oci.descriptor import Descriptor
from tiffin.oci.digest import DiffID, Digest
from tiffin.snapshot.merged import MergedTree

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tiffin.layer.describe import LayerInfo
    from tiffin.layer.owners import Owners
    from tiffin.store.db import Database
    from tiffin.store.home import Home


class LayerStore:
    """The layers of one home. Safe for any number of processes and threads."""

    def __init__(self, home: Home, db: Database, owners: Owners) -> None:
        self.home = home
        self.owners = owners
        self._db = db

    def path(self, diff_id: DiffID) -> Path:
        """Return where the tree of the committed layer `diff_id` lies."""
        return self.home.layer(diff_id)

    def has(self, diff_id: DiffID) -> bool:
        """Whether the layer is committed."""
        with self._db.read() as connection:
            row = connection.execute("SELECT 1 FROM layer WHERE diff_id = ?", (diff_id,)).fetchone()
        return row is not None and self.path(diff_id).is_dir()

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
        with self._db.read() as connection:
            row = connection.execute(
                "SELECT media_type, digest, size FROM layer_blob WHERE diff_id = ? ORDER BY digest",
                (diff_id,),
            ).fetchone()
        if row is None:
            raise NotFoundError(f"the layer {diff_id.short} has no blob in the store")
        return Descriptor(row[0], Digest(row[1]), row[2])

    def record_blob(self, descriptor: Descriptor, diff_id: DiffID) -> None:
        """Remember that the blob `descriptor` unpacks to the layer."""
        with self._db.transaction() as connection:
            connection.execute(
                "INSERT INTO layer_blob(digest, diff_id, size, media_type) VALUES (?, ?, ?, ?)"
                " ON CONFLICT(digest) DO NOTHING",
                (descriptor.digest, diff_id, descriptor.size, descriptor.media_type),
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
        """Return diff id and sizes of the finished tree at `directory`."""
        from tiffin.layer.describe import describe  # only builds make layers: `run` does not pay for it

        return describe(directory, self.owners)

    def commit(self, directory: Path, info: LayerInfo, *, canonical: bool) -> None:
        """Record the finished tree at `directory` as the layer that `info` describes.

        It is moved to its place, not copied; `canonical` says that the tar made from it has this diff id.
        """
        target = self.path(info.diff_id)
        try:
            directory.rename(target)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
        with self._db.transaction() as connection:
            connection.execute(
                "INSERT INTO layer(diff_id, size, usage, canonical, created) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT(diff_id) DO NOTHING",
                (info.diff_id, info.size, info.usage, int(canonical), time.time_ns()),
            )

    def verify(self, diff_id: DiffID) -> None:
        """Raise CorruptError unless the directory of a canonical layer still has its diff id."""
        if self.is_canonical(diff_id):
            found = self.describe(self.path(diff_id)).diff_id
            if found != diff_id:
                raise CorruptError(f"the layer {diff_id.short} was changed on disk: it is {found.short} now")
