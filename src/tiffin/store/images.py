"""Images: the manifests that the store keeps, whether or not a name stands for them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tiffin.linux.record import NamedTuple
from tiffin.oci.descriptor import Descriptor
from tiffin.oci.digest import Digest

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from tiffin.store.db import Database


class StoredImage(NamedTuple):
    """One image: its manifest, the digest of its config, and when it came here, in nanoseconds."""

    descriptor: Descriptor
    image_id: Digest
    created: int


class Images:
    """All images of a store. Each is a root of the garbage collection until it is removed."""

    def __init__(self, db: Database, clock: Callable[[], int] = time.time_ns) -> None:
        self._db = db
        self._clock = clock

    def add(self, descriptor: Descriptor, image_id: Digest) -> None:
        """Keep the image; one that is here already counts as new. Of an index, the id may change."""
        with self._db.transaction(durable=True) as connection:
            connection.execute(
                "INSERT INTO image(digest, image_id, media_type, size, created) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT(digest) DO UPDATE SET image_id = excluded.image_id, created = excluded.created",
                (descriptor.digest, image_id, descriptor.media_type, descriptor.size, self._clock()),
            )

    def all(self) -> list[StoredImage]:
        """Every image, the newest first."""
        with self._db.read() as connection:
            rows = connection.execute("SELECT * FROM image ORDER BY created DESC, digest").fetchall()
        return [_image(row) for row in rows]

    def find(self, text: str) -> list[StoredImage]:
        """The images whose id or manifest digest begins with the hex digits `text`, `sha256:` optional."""
        prefix = "sha256:" + text.removeprefix("sha256:")
        with self._db.read() as connection:
            rows = connection.execute(
                "SELECT * FROM image WHERE substr(image_id, 1, ?1) = ?2 OR substr(digest, 1, ?1) = ?2"
                " ORDER BY created DESC, digest",
                (len(prefix), prefix),
            ).fetchall()
        return [_image(row) for row in rows]

    def remove(self, digest: Digest) -> bool:
        """Let the image go; whether it was here."""
        with self._db.transaction(durable=True) as connection:
            return connection.execute("DELETE FROM image WHERE digest = ?", (digest,)).rowcount > 0


def _image(row: sqlite3.Row) -> StoredImage:
    descriptor = Descriptor(row["media_type"], Digest(row["digest"]), row["size"])
    return StoredImage(descriptor, Digest(row["image_id"]), row["created"])
