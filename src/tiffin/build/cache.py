"""The build cache: key of a step → the layer it made, or that it made none."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from tiffin.oci.digest import DiffID

if TYPE_CHECKING:
    from tiffin.snapshot.layers import LayerStore
    from tiffin.store.db import Database


class Hit(NamedTuple):
    """A remembered result: the layer, or None for a step that changed nothing."""

    diff_id: DiffID | None


class BuildCache:
    """Remembers results in the table `cache`. A result whose layer is gone is none."""

    def __init__(self, db: Database, layers: LayerStore) -> None:
        self._db = db
        self._layers = layers

    def get(self, key: str) -> Hit | None:
        """Return what the step with this key made, if that is still there."""
        with self._db.read() as connection:
            row = connection.execute("SELECT diff_id FROM cache WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        diff_id = DiffID(row[0]) if row[0] else None
        return Hit(diff_id) if diff_id is None or self._layers.has(diff_id) else None

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
