"""What URLs gave when they were last asked: the digest, and by what a server tells whether it still holds."""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tiffin.store.db import Database


class Validators(NamedTuple):
    """ETag and Last-Modified of an answer; empty where a server sends none (RFC 9110, 8.8)."""

    etag: str = ""
    modified: str = ""

    @property
    def strong(self) -> str:
        """The ETag without the mark that it is weak, to be compared."""
        return self.etag.removeprefix("W/")


class Memory(NamedTuple):
    """The digest of what a URL gave, and the validators that came with it."""

    digest: str
    validators: Validators


class UrlMemory:
    """The table `fetched`. A URL is in it by its hash, for there may be a password in it."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def get(self, source: str) -> Memory | None:
        """Return what the URL, or the checksum, `source` gave."""
        with self._db.read() as connection:
            row = connection.execute(
                "SELECT digest, etag, modified FROM fetched WHERE source = ?", (_hash(source),)
            ).fetchone()
        return Memory(row[0], Validators(row[1], row[2])) if row else None

    def digest(self, source: str) -> str | None:
        """Return the digest of what `source` gave."""
        memory = self.get(source)
        return memory.digest if memory else None

    def put(self, source: str, digest: str, validators: Validators = Validators()) -> None:  # noqa: B008  # frozen
        """Remember what `source` gives now."""
        with self._db.transaction() as connection:
            connection.execute(
                "INSERT OR REPLACE INTO fetched(source, digest, etag, modified, used) VALUES (?, ?, ?, ?, ?)",
                (_hash(source), digest, *validators, time.time_ns()),
            )


def _hash(source: str) -> str:
    return hashlib.sha256(source.encode("utf-8", "surrogateescape")).hexdigest()
