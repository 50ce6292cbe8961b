"""The build cache: key of a step → the layer it made, or that it made none.

Asks the caches of other machines, if the build has any, for what is not remembered here. What such
a cache says becomes a memory of this machine as soon as its layer is here.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from tiffin.oci.digest import DiffID

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tiffin.build.cachedocument import Record
    from tiffin.build.imported import ImportedCaches
    from tiffin.snapshot.layers import LayerStore
    from tiffin.store.db import Database


class Hit(NamedTuple):
    """A remembered result: the layer, or None for a step that changed nothing; what making it took, and when.

    `created` is in seconds, 0 for what another machine made.
    """

    diff_id: DiffID | None
    seconds: float = 0.0
    created: float = 0.0


class BuildCache:
    """Remembers results in the table `cache`. A result whose layer is gone is none.

    A hit of an imported cache may speak of a layer that is not here yet: `need` fetches it.
    """

    def __init__(self, db: Database, layers: LayerStore, imported: ImportedCaches | None = None) -> None:
        self.imported = imported
        self._db = db
        self._layers = layers
        self._promised: dict[DiffID, list[Record]] = {}

    def get(self, key: str) -> Hit | None:
        """Return what the step with this key made, if that is still there, or to be had."""
        with self._db.read() as connection:
            row = connection.execute(
                "SELECT diff_id, seconds, created FROM cache WHERE key = ?", (key,)
            ).fetchone()
        if row is not None:
            diff_id = DiffID(row[0]) if row[0] else None
            if diff_id is None or self._layers.has(diff_id):
                return Hit(diff_id, row[1], row[2] / 1e9)
        record = self.imported.record(key) if self.imported else None
        if record is None:
            return None
        if record.layer is None:
            self.put(key, None, "", record.seconds)
        else:
            self._promised.setdefault(record.layer, []).append(record)
        return Hit(record.layer, record.seconds)

    def need(self, diff_ids: Iterable[DiffID]) -> None:
        """See that these layers are here. Raises LayerLost for one that was promised and is not to be had."""
        if self.imported is None:
            return
        missing = [diff_id for diff_id in dict.fromkeys(diff_ids) if not self._layers.has(diff_id)]
        if not missing:
            return
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(min(4, len(missing)), "import") as pool:
            for future in [pool.submit(self.imported.fetch, diff_id) for diff_id in missing]:
                future.result()
        for diff_id in missing:
            for record in self._promised.pop(diff_id, ()):
                self.put(record.key, diff_id, "", record.seconds)

    def digest(self, chain: str, selector: str) -> str | None:
        """Return the digest of a selection of a stack of layers, if another machine took it."""
        return self.imported.digest(chain, selector) if self.imported else None

    def put(self, key: str, diff_id: DiffID | None, description: str, seconds: float) -> None:
        """Remember the result of a step, over an older one."""
        now = time.time_ns()
        with self._db.transaction() as connection:
            connection.execute(
                "INSERT INTO cache(key, diff_id, description, seconds, created, used)"
                " VALUES (?, ?, ?, ?, ?, ?)"
                " ON CONFLICT(key) DO UPDATE SET diff_id = excluded.diff_id, seconds = excluded.seconds,"
                " created = excluded.created, used = excluded.used",
                (key, diff_id, description, seconds, now, now),
            )

    def touch(self, keys: list[str]) -> None:
        """Note that these results were used now, so that pruning takes them last."""
        if keys:
            with self._db.transaction() as connection:
                connection.executemany(
                    "UPDATE cache SET used = ? WHERE key = ?", [(time.time_ns(), key) for key in keys]
                )
