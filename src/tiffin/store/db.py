"""The database: one SQLite file that any number of processes and threads use at once.

Promises that a transaction happens wholly or not at all, whoever is killed
when, and that errors speak of the store and not of SQL.
"""

from __future__ import annotations

import errno
import os
import threading
from contextlib import contextmanager

from tiffin.errors import CorruptError, DeniedError, TiffinError, UnavailableError, UnsupportedError
from tiffin.linux import files
from tiffin.store.schema import MIGRATIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

_BUSY_SECONDS = 60.0
_KEEP = 8
_LOG_PAGES = 256
"""So long a log is written back by who makes it longer: reading one of a megabyte takes a millisecond."""

_left: list[sqlite3.Connection] = []


class Database:
    """Transactions on the file `path`, which is made and brought up to date when first used.

    Inside a block, further blocks of the same thread join it: they see what it
    has written, and its end decides. A `read` block may not contain a first `transaction`.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._idle: list[sqlite3.Connection] = []
        self._mutex = threading.Lock()
        self._current = threading.local()
        self._ready = False

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """Give a connection that may write; commit at the end of the block, roll back if it raises.

        What was committed is seen by all at once, but a power cut may undo it; not so if it is `durable`,
        which waits for the disk, and holds for the whole of the outermost block, and for all that was before.
        """
        with self._block("BEGIN IMMEDIATE") as connection:
            yield connection
            if durable:
                self._current.durable = True

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Give a connection on which all reads of the block see the same state."""
        with self._block("BEGIN") as connection:
            yield connection

    def problems(self) -> list[str]:
        """Read all of the file; what SQLite finds wrong with it, and rows that refer to none."""
        with self.read() as connection:
            found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
            strays = connection.execute("PRAGMA foreign_key_check").fetchall()
        lines = [] if found == ["ok"] else found
        return lines + [f"a row of {row['table']} refers to a {row['parent']} that is gone" for row in strays]

    def settle(self) -> None:
        """Have all that was committed so far, by whomever, survive a crash of the machine."""
        try:
            log = os.open(self._path.with_name(f"{self._path.name}-wal"), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return  # it was written back, and who does that waits for the disk; or there never was one
        try:
            os.fdatasync(log)
        finally:
            os.close(log)

    def close(self) -> None:
        """Close what is open; the next block opens anew."""
        with self._mutex:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def leave(self) -> None:
        """Leave what is open to the end of the process; the next block opens anew.

        Who closes the last connection writes the log back to the file and waits for the disk, four
        times. Nothing is lost if that is left to a later command, for which there is more to write.
        """
        with self._mutex:
            _left.extend(self._idle)
            self._idle = []

    @contextmanager
    def _block(self, begin: str) -> Iterator[sqlite3.Connection]:
        outer: tuple[sqlite3.Connection, bool] | None = getattr(self._current, "block", None)
        writes = begin != "BEGIN"
        if outer is not None:
            if writes and not outer[1]:
                raise RuntimeError("a transaction inside a read block could not wait for its turn")
            yield outer[0]
            return
        with self._errors():
            connection = self._take()
            try:
                connection.execute(begin)
                self._current.block = (connection, writes)
                self._current.durable = False
                try:
                    yield connection
                finally:
                    self._current.block = None
                connection.execute("COMMIT")
                if self._current.durable:
                    self.settle()
            except BaseException:
                connection.close()  # rolls back, also when the failure was the disk's
                raise
            self._give_back(connection)

    def _take(self) -> sqlite3.Connection:
        with self._mutex:
            if self._idle:
                return self._idle.pop()
            ready = self._ready
        connection = self._connect()
        try:
            if not ready:
                self._prepare(connection)
                self._ready = True
            if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
                # A power cut may undo the last transactions, never break the file; see `durable`.
                connection.execute("PRAGMA synchronous=NORMAL")
                connection.execute(f"PRAGMA wal_autocheckpoint={_LOG_PAGES}")
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect(self) -> sqlite3.Connection:
        import sqlite3

        try:
            connection = sqlite3.connect(
                self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
        except sqlite3.OperationalError as error:
            raise UnavailableError(
                f"the database {self._path} cannot be opened: {error}",
                code="database-unavailable",
                hint="check that the directory exists, is writable and has space left",
            ) from error
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys=ON")
        return connection

    def _give_back(self, connection: sqlite3.Connection) -> None:
        with self._mutex:
            if len(self._idle) < _KEEP:
                self._idle.append(connection)
                return
        connection.close()

    def _prepare(self, connection: sqlite3.Connection) -> None:
        """Migrate, one process at a time: switching the journal does not wait for others by itself."""
        if self._version(connection) == len(MIGRATIONS):
            return
        with files.lock(self._path.with_name(f"{self._path.name}.lock")):
            _use_wal(connection)
            connection.execute("BEGIN IMMEDIATE")
            for statements in MIGRATIONS[self._version(connection) :]:
                for statement in statements:
                    connection.execute(statement)
            connection.execute(f"PRAGMA user_version={len(MIGRATIONS)}")
            connection.execute("COMMIT")

    def _version(self, connection: sqlite3.Connection) -> int:
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        if version > len(MIGRATIONS):
            raise UnsupportedError(
                f"the store {self._path.parent} was last used by a newer tiffin (database version {version}, "
                f"this one knows {len(MIGRATIONS)})",
                code="newer-store",
                hint="upgrade tiffin, or set TIFFIN_HOME to another directory",
            )
        return version

    @contextmanager
    def _errors(self) -> Iterator[None]:
        import sqlite3

        try:
            yield
        except sqlite3.DatabaseError as error:
            translated = _translate(error, self._path)
            if translated is None:
                raise
            raise translated from error


def _use_wal(connection: sqlite3.Connection) -> None:
    """Let readers and a writer work at once; where shared memory fails (network disks) go without."""
    import sqlite3

    try:
        connection.execute("PRAGMA journal_mode=WAL").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_PROTOCOL):
            raise


def _translate(error: sqlite3.DatabaseError, path: Path) -> TiffinError | OSError | None:
    """What a failure of SQLite means for a user; None for a mistake of ours."""
    import sqlite3

    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL):
        return UnavailableError(
            f"the database {path} was locked by another process for {_BUSY_SECONDS:.0f} seconds",
            code="database-busy",
            hint="see whether another tiffin hangs, and stop it; a network disk may be the reason too",
        )
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return CorruptError(
            f"the database {path} is damaged: {error}",
            code="database-corrupt",
            hint=f"move {path} away; images have to be loaded, pulled or built again",
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH):
        return DeniedError(
            f"the database {path} cannot be written: {error}",
            code="database-read-only",
            hint="use the account that owns the store, or set TIFFIN_HOME to a directory of your own",
        )
    unreadable = code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
    if code == sqlite3.SQLITE_FULL or (unreadable and _is_full(path)):
        return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    if unreadable:
        return OSError(errno.EIO, f"{os.strerror(errno.EIO)}: {error}", str(path))
    return None


def _is_full(path: Path) -> bool:
    """Tell whether there is no room: where memory is the disk, SQLite cannot map what it shares then."""
    try:
        return os.statvfs(path.parent).f_bavail == 0
    except OSError:
        return False
