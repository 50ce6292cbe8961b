"""The tables of the store, as the steps that lead from each version to the next. Pure.

A step, once released, is never edited: what has to change is a new step at the end.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        # Names. `digest` is a manifest or an index in the blob store; times are nanoseconds.
        """CREATE TABLE tag (
            reference TEXT PRIMARY KEY,
            media_type TEXT NOT NULL,
            digest TEXT NOT NULL,
            size INTEGER NOT NULL,
            created INTEGER NOT NULL
        ) WITHOUT ROWID""",
        # Images, with a name or without: `digest` is the manifest's, `image_id` the config's.
        """CREATE TABLE image (
            digest TEXT PRIMARY KEY,
            image_id TEXT NOT NULL,
            media_type TEXT NOT NULL,
            size INTEGER NOT NULL,
            created INTEGER NOT NULL
        ) WITHOUT ROWID""",
        "CREATE INDEX image_image_id ON image (image_id)",
        # Unpacked layers: `size` of the tar, `usage` on disk; `canonical` if the tar made from the
        # directory has this very diff id, so that the blob can be made again from it.
        """CREATE TABLE layer (
            diff_id TEXT PRIMARY KEY,
            size INTEGER NOT NULL,
            usage INTEGER NOT NULL,
            canonical INTEGER NOT NULL CHECK (canonical IN (0, 1)),
            created INTEGER NOT NULL
        ) WITHOUT ROWID""",
        # Which blobs, here or in a registry, are known to unpack to which layer.
        """CREATE TABLE layer_blob (
            digest TEXT PRIMARY KEY,
            diff_id TEXT NOT NULL,
            size INTEGER NOT NULL,
            media_type TEXT NOT NULL
        ) WITHOUT ROWID""",
        "CREATE INDEX layer_blob_diff_id ON layer_blob (diff_id)",
        # Build cache: the layer that a step made; NULL if it made none.
        """CREATE TABLE cache (
            key TEXT PRIMARY KEY,
            diff_id TEXT,
            description TEXT NOT NULL,
            seconds REAL NOT NULL,
            created INTEGER NOT NULL,
            used INTEGER NOT NULL
        ) WITHOUT ROWID""",
        "CREATE INDEX cache_diff_id ON cache (diff_id)",
        # Digests of context files, remembered by their stat data.
        """CREATE TABLE checksum (
            scope TEXT PRIMARY KEY,
            entries BLOB NOT NULL,
            used INTEGER NOT NULL
        )""",
        # Digests of what was selected from the root filesystem of a stack of layers.
        """CREATE TABLE tree_digest (
            chain TEXT NOT NULL,
            selector TEXT NOT NULL,
            digest TEXT NOT NULL,
            PRIMARY KEY (chain, selector)
        ) WITHOUT ROWID""",
        """CREATE TABLE container (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            record BLOB NOT NULL,
            created INTEGER NOT NULL
        )""",
        # Content in use. `started` says which process `pid` was meant, see `leases`.
        """CREATE TABLE lease (
            id TEXT PRIMARY KEY,
            pid INTEGER NOT NULL,
            started TEXT NOT NULL,
            expires INTEGER NOT NULL,
            purpose TEXT NOT NULL,
            created INTEGER NOT NULL
        ) WITHOUT ROWID""",
        """CREATE TABLE lease_item (
            lease TEXT NOT NULL REFERENCES lease (id) ON DELETE CASCADE,
            kind TEXT NOT NULL,
            key TEXT NOT NULL,
            PRIMARY KEY (lease, kind, key)
        ) WITHOUT ROWID""",
        "CREATE INDEX lease_item_key ON lease_item (kind, key)",
    ),
    (
        # What containers keep in the store, whatever happens to the names of their images.
        """CREATE TABLE container_item (
            container TEXT NOT NULL REFERENCES container (id) ON DELETE CASCADE,
            kind TEXT NOT NULL,
            key TEXT NOT NULL,
            PRIMARY KEY (container, kind, key)
        ) WITHOUT ROWID""",
    ),
    (
        # The boot of the machine that the layer was made in, until all of it is known to be on the disk.
        "ALTER TABLE layer ADD COLUMN boot TEXT NOT NULL DEFAULT ''",
    ),
    (
        # What URLs gave, by their hash, and checksums by other algorithms; see `urlmemory`.
        """CREATE TABLE fetched (
            source TEXT PRIMARY KEY,
            digest TEXT NOT NULL,
            etag TEXT NOT NULL,
            modified TEXT NOT NULL,
            used INTEGER NOT NULL
        ) WITHOUT ROWID""",
    ),
    (
        # How steps were when they were last built, for `build --why`: which key the step at a place had,
        # and with the key what the step did and read. Records go with the cache.
        """CREATE TABLE step_place (
            scope TEXT NOT NULL,
            stage TEXT NOT NULL,
            position INTEGER NOT NULL,
            text TEXT NOT NULL,
            key TEXT NOT NULL,
            used INTEGER NOT NULL,
            PRIMARY KEY (scope, stage, position)
        ) WITHOUT ROWID""",
        "CREATE TABLE step_record (key TEXT PRIMARY KEY, record BLOB NOT NULL)",
    ),
    (
        # The diff id of the tar that the directory of a layer gives, if it is another than the layer's own;
        # empty too where it is not known, of layers that were unpacked before this was kept.
        "ALTER TABLE layer ADD COLUMN tar TEXT NOT NULL DEFAULT ''",
    ),
    (
        # Layers that were split, and the layers that they are the same as together, the lowest first.
        """CREATE TABLE layer_part (
            whole TEXT NOT NULL,
            position INTEGER NOT NULL,
            diff_id TEXT NOT NULL,
            name TEXT NOT NULL,
            PRIMARY KEY (whole, position)
        ) WITHOUT ROWID""",
    ),
)
