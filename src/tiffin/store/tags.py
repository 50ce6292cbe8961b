"""Names in the store: Reference → Descriptor, and which names are near to a misspelt one."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tiffin.errors import NotFoundError
from tiffin.linux.record import NamedTuple
from tiffin.oci.descriptor import Descriptor
from tiffin.oci.digest import Digest
from tiffin.oci.reference import Reference

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from tiffin.store.db import Database


class Tag(NamedTuple):
    """A name and what it stands for; `created` is when it was last set, in nanoseconds."""

    reference: Reference
    descriptor: Descriptor
    created: int


class Tags:
    """All names of a store. Implements the protocols Resolver and Tagger.

    A reference without tag and digest means `latest` everywhere. What a name
    points to stays in the store until the name goes; whoever sets a name to content
    that nothing else names yet must hold a lease on it.
    """

    def __init__(self, db: Database, clock: Callable[[], int] = time.time_ns) -> None:
        self._db = db
        self._clock = clock

    def get(self, reference: Reference) -> Descriptor | None:
        """What `reference` stands for, or None."""
        with self._db.read() as c:
            row = c.execute("SELECT * FROM tag WHERE reference = ?", (_key(reference),)).fetchone()
        return None if row is None else _descriptor(row)

    def resolve(self, reference: Reference) -> Descriptor:
        """What `reference` stands for; `NotFoundError` with the nearest names."""
        found = self.get(reference)
        if found is None:
            near = self.nearest(reference.familiar)
            raise NotFoundError(
                f"there is no image named {reference.tagged().familiar}",
                code="image-not-found",
                hint=f"did you mean {' or '.join(near)}?" if near else "`tiffin images` lists what is here",
            )
        return found

    def set(self, reference: Reference, descriptor: Descriptor) -> None:
        """Let `reference` stand for `descriptor` from now on."""
        row = {
            "key": _key(reference),
            "type": descriptor.media_type,
            "digest": str(descriptor.digest),
            "size": descriptor.size,
            "created": self._clock(),
        }
        with self._db.transaction(durable=True) as c:
            c.execute("INSERT OR REPLACE INTO tag VALUES (:key, :type, :digest, :size, :created)", row)

    def tag(self, reference: Reference, descriptor: Descriptor) -> None:
        """The same as `set`, by the name that every place has."""
        self.set(reference, descriptor)

    def remove(self, reference: Reference) -> bool:
        """Forget the name; whether there was one."""
        with self._db.transaction(durable=True) as c:
            return c.execute("DELETE FROM tag WHERE reference = ?", (_key(reference),)).rowcount > 0

    def all(self) -> list[Tag]:
        """Every name, the one set last first."""
        with self._db.read() as c:
            return [_tag(row) for row in c.execute("SELECT * FROM tag ORDER BY created DESC, reference")]

    def nearest(self, text: str) -> list[str]:
        """Up to three names that someone who wrote `text` may have meant, best first, short forms."""
        import difflib  # wanted for a misspelt name only

        known: dict[str, str] = {}
        for tag in self.all():
            familiar = tag.reference.familiar
            known.setdefault(familiar, familiar)
            known.setdefault(tag.reference.familiar_name, familiar)
        found = difflib.get_close_matches(text, known, n=6, cutoff=0.6)
        return list(dict.fromkeys(known[name] for name in found))[:3]


def _key(reference: Reference) -> str:
    return str(reference.tagged())


def _tag(row: sqlite3.Row) -> Tag:
    return Tag(Reference.parse(row["reference"]), _descriptor(row), row["created"])


def _descriptor(row: sqlite3.Row) -> Descriptor:
    return Descriptor(row["media_type"], Digest(row["digest"]), row["size"])
