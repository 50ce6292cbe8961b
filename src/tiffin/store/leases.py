"""Leases: content in use by a process, safe from gc until it is named, or until the process is gone.

While a lease lives, gc also spares whatever came into the store after the
lease began; so only what was here before has to be added to it.
"""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from pathlib import Path

from tiffin.linux.record import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator

    from tiffin.store.db import Database

_EXPIRY_SECONDS = 24 * 3600


class Lease:
    """A living lease: everything added stays in the store while the `with` block of `hold` runs."""

    def __init__(self, db: Database, identity: str) -> None:
        self._db = db
        self.id = identity

    def add(self, kind: str, key: str) -> None:
        """Keep one thing; see `gc.Node` for the kinds. Add first, then look whether it is here."""
        self.add_all([(kind, key)])

    def add_all(self, items: Iterable[tuple[str, str]]) -> None:
        """Keep several things at the price of one transaction."""
        rows = [(self.id, kind, str(key)) for kind, key in items]
        with self._db.transaction() as c:
            c.executemany("INSERT OR IGNORE INTO lease_item (lease, kind, key) VALUES (?,?,?)", rows)


class Holding(NamedTuple):
    """What the living leases protect: their items, and all that is younger than `since` (nanoseconds)."""

    items: frozenset[tuple[str, str]]
    since: int | None


class Leases:
    """The leases of a store."""

    def __init__(self, db: Database, clock: Callable[[], int] = time.time_ns) -> None:
        self._db = db
        self._clock = clock

    @contextmanager
    def hold(self, purpose: str, seconds: float = _EXPIRY_SECONDS) -> Iterator[Lease]:
        """Give a lease that ends with the block, or with this process.

        `seconds` bounds only leases whose process cannot be judged from here: one in
        another pid namespace that shares the store.
        """
        identity, pid, now = os.urandom(16).hex(), os.getpid(), self._clock()
        row = (identity, pid, process_identity(pid), now + int(seconds * 1e9), purpose, now)
        with self._db.transaction() as c:
            c.execute(
                "INSERT INTO lease (id, pid, started, expires, purpose, created) VALUES (?,?,?,?,?,?)", row
            )
        try:
            yield Lease(self._db, identity)
        finally:
            with self._db.transaction() as c:
                c.execute("DELETE FROM lease WHERE id = ?", (identity,))

    def holding(self) -> Holding:
        """What is protected now; the leases of dead processes are deleted on the way."""
        with self._db.transaction() as c:
            rows = c.execute("SELECT * FROM lease").fetchall()
            living = {row["id"]: row["created"] for row in rows if self._lives(row)}
            dead = [(row["id"],) for row in rows if row["id"] not in living]
            c.executemany("DELETE FROM lease WHERE id = ?", dead)
            items = c.execute("SELECT DISTINCT kind, key FROM lease_item").fetchall()
        held = frozenset((row["kind"], row["key"]) for row in items)
        return Holding(held, min(living.values(), default=None))

    def _lives(self, row: sqlite3.Row) -> bool:
        boot, namespace, _ = row["started"].split("/")
        our_boot, our_namespace, _ = process_identity(os.getpid()).split("/")
        if boot != our_boot:
            return False
        if namespace != our_namespace:
            return int(row["expires"]) > self._clock()
        return process_identity(int(row["pid"])) == str(row["started"])


def process_identity(pid: int) -> str:
    """`boot/pid namespace/start`: equal only for the same process; the last part is empty if it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        start = ""
    else:
        # Field 22, counted after the command name, which may itself hold brackets; a zombie is gone.
        fields = stat[stat.rindex(b")") + 2 :].split()
        start = "" if fields[0] in (b"Z", b"X") else fields[19].decode()
    namespace = str(Path("/proc/self/ns/pid").readlink()).strip("pid:[]")
    return f"{boot_id()}/{namespace}/{start}"


def boot_id() -> str:
    """What tells this boot of the machine from all others; empty where some sandbox does not show it."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
