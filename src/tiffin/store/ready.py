"""Whether what an image was when a container was prepared from it is what it is now.

This asks the tables of names and of layers in one go, without the values that `tags` and the
layers' own module make of them: the start of a container waits for it.
"""

from __future__ import annotations

import os

from tiffin.store.leases import boot_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from tiffin.store.home import Home


def is_ready(
    connection: sqlite3.Connection, home: Home, name: str, digest: str, layers: Sequence[str]
) -> bool:
    """Tell whether the canonical `name` stands for `digest` and its layers are there, and whole.

    In a transaction that goes on to record who needs them, nothing is collected in between.
    """
    row = connection.execute("SELECT digest FROM tag WHERE reference = ?", (name,)).fetchone()
    if row is None or row[0] != digest:
        return False
    marks = ",".join("?" * len(layers))
    query = f"SELECT diff_id FROM layer WHERE boot IN ('', ?) AND diff_id IN ({marks})"  # noqa: S608 - only marks
    found = {row[0] for row in connection.execute(query, (boot_id() or "unknown", *layers))}
    return all(layer in found and os.path.isdir(home.layers / layer.partition(":")[2]) for layer in layers)
