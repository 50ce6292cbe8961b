import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from tiffin.errors import CorruptError, DeniedError, UnavailableError, UnsupportedError
from tiffin.store.db import Database
from tiffin.store.schema import MIGRATIONS


def put(connection, key, value="v"):
    connection.execute("INSERT INTO tree_digest (chain, selector, digest) VALUES (?, '', ?)", (key, value))


def keys(database):
    with database.read() as connection:
        return [row["chain"] for row in connection.execute("SELECT chain FROM tree_digest ORDER BY chain")]


def test_what_is_committed_is_seen_by_another_process(home, db):
    with db.transaction() as connection:
        put(connection, "a")
    code = (
        "import sys, pathlib; from tiffin.store.db import Database\n"
        "with Database(pathlib.Path(sys.argv[1])).read() as c:\n"
        "    print(c.execute('SELECT chain FROM tree_digest').fetchone()[0])"
    )
    assert subprocess.check_output([sys.executable, "-c", code, home.database], text=True) == "a\n"


def test_an_exception_undoes_the_whole_block(db):
    def broken():
        with db.transaction() as connection:
            put(connection, "a")
            raise KeyError

    with pytest.raises(KeyError):
        broken()
    assert keys(db) == []
    with db.transaction() as connection:
        put(connection, "b")
    assert keys(db) == ["b"]


def test_blocks_inside_a_transaction_belong_to_it(db):
    def broken():
        with db.transaction() as outer:
            put(outer, "a")
            with db.transaction() as inner:
                put(inner, "b")
            assert keys(db) == ["a", "b"]
            raise KeyError

    with pytest.raises(KeyError):
        broken()
    assert keys(db) == []


@pytest.fixture
def synced(monkeypatch):
    """How often the disk was waited for by us; SQLite does so by itself."""
    calls = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda fd: calls.append(real(fd)))
    return calls


def test_what_is_durable_waits_for_the_disk_once_for_all_blocks_of_it(db, synced):
    with db.transaction() as connection:
        put(connection, "a")
    assert synced == []
    with db.transaction() as connection:
        with db.transaction(durable=True) as inner:
            put(inner, "b")
        put(connection, "c")
        assert synced == []
    assert len(synced) == 1
    with db.transaction() as connection:
        put(connection, "d")
    assert len(synced) == 1


def test_what_fails_waits_for_nothing(db, synced):
    with pytest.raises(KeyError), db.transaction(durable=True):
        raise KeyError
    with db.transaction() as connection:
        put(connection, "a")
    assert (synced, keys(db)) == ([], ["a"])


def test_without_a_log_there_is_nothing_to_wait_for(db, home, synced):
    with db.transaction() as connection:
        put(connection, "a")
    db.close()
    assert not home.database.with_name("tiffin.db-wal").exists()
    db.settle()
    assert synced == []


def test_a_transaction_cannot_begin_inside_a_read_block(db):
    with db.read(), pytest.raises(RuntimeError), db.transaction():
        pass


def test_a_read_block_sees_one_state(db):
    with db.read() as connection:
        assert connection.execute("SELECT count(*) FROM tree_digest").fetchone()[0] == 0

        def write():
            with db.transaction() as other:
                put(other, "a")

        thread = threading.Thread(target=write)
        thread.start()
        thread.join()
        assert connection.execute("SELECT count(*) FROM tree_digest").fetchone()[0] == 0
    assert keys(db) == ["a"]


def test_threads_take_turns_and_lose_nothing(db):
    with db.transaction() as connection:
        put(connection, "n", "0")

    def count():
        for _ in range(50):
            with db.transaction() as connection:
                now = int(connection.execute("SELECT digest FROM tree_digest").fetchone()[0])
                connection.execute("UPDATE tree_digest SET digest = ?", (str(now + 1),))

    threads = [threading.Thread(target=count) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with db.read() as connection:
        assert connection.execute("SELECT digest FROM tree_digest").fetchone()[0] == "300"


COUNT = """
import sys, pathlib
from tiffin.store.db import Database
db = Database(pathlib.Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    with db.transaction() as c:
        row = c.execute("SELECT digest FROM tree_digest WHERE chain = 'n'").fetchone()
        value = str(int(row[0]) + 1 if row else 1)
        c.execute("INSERT OR REPLACE INTO tree_digest VALUES ('n', '', ?)", (value,))
    print("x", end="", flush=True)
"""


def test_processes_that_start_on_a_new_store_at_once_all_succeed(tmp_path):
    path = tmp_path / "tiffin.db"
    children = [
        subprocess.Popen([sys.executable, "-c", COUNT, path, "20"], stdout=subprocess.PIPE) for _ in range(5)
    ]
    assert [child.communicate()[0] for child in children] == [b"x" * 20] * 5
    database = Database(path)
    with database.read() as connection:
        assert connection.execute("SELECT digest FROM tree_digest").fetchone()[0] == "100"
    database.close()


def test_a_process_killed_at_any_moment_does_no_harm(tmp_path):
    path = tmp_path / "tiffin.db"
    counted = 0
    for attempt in range(8):
        with subprocess.Popen([sys.executable, "-c", COUNT, path, "100000"], stdout=subprocess.PIPE) as child:
            child.stdout.read(1 + attempt)
            time.sleep(0.003 * attempt)
            child.send_signal(signal.SIGKILL)
            counted += 1 + attempt + len(child.stdout.read())
        database = Database(path)
        with database.transaction() as connection:
            assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
            value = int(connection.execute("SELECT digest FROM tree_digest").fetchone()[0])
        database.close()
        # Nothing that was reported is lost; the last one may have been committed and not reported.
        assert counted <= value <= counted + 1
        counted = value


def test_a_store_of_the_future_is_left_alone(home):
    with sqlite3.connect(home.database) as connection:
        connection.execute(f"PRAGMA user_version={len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(UnsupportedError, match="newer tiffin") as caught, Database(home.database).read():
        pass
    assert "upgrade" in caught.value.hint


def test_an_older_store_is_brought_up_to_date(home):
    with sqlite3.connect(home.database) as connection:
        for statement in MIGRATIONS[0]:
            connection.execute(statement)
        connection.execute("INSERT INTO tree_digest VALUES ('kept', '', '')")
        connection.execute("PRAGMA user_version=1")
    connection.close()
    database = Database(home.database)
    assert keys(database) == ["kept"]
    with database.read() as connection:
        assert connection.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert {"tag", "layer", "layer_blob", "cache", "checksum", "container", "lease", "lease_item"} <= tables
    database.close()


def test_a_file_that_is_no_database_is_corrupt_and_not_touched(home):
    junk = b"this is not a database at all" * 200
    home.database.write_bytes(junk)
    with pytest.raises(CorruptError, match=str(home.database)), Database(home.database).read():
        pass
    assert home.database.read_bytes() == junk


def test_a_damaged_database_is_corrupt(home, db):
    with db.transaction() as connection:
        for number in range(2000):
            put(connection, f"{number:050}")
    db.close()
    data = bytearray(home.database.read_bytes())
    data[8192 : len(data) // 2] = os.urandom(len(data) // 2 - 8192)
    home.database.write_bytes(data)
    with pytest.raises(CorruptError):
        keys(db)


def test_a_missing_directory_says_so(tmp_path):
    with pytest.raises(UnavailableError) as caught, Database(tmp_path / "no" / "tiffin.db").read():
        pass
    assert "directory" in caught.value.hint


def test_a_hanging_process_is_named_as_the_reason(db, monkeypatch):
    monkeypatch.setattr("tiffin.store.db._BUSY_SECONDS", 0.05)
    keys(db)
    db.close()
    stranger = Database(db._path)
    with stranger.transaction(), pytest.raises(UnavailableError, match="locked"), db.transaction():
        pass
    stranger.close()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (sqlite3.SQLITE_FULL, OSError),
        (sqlite3.SQLITE_IOERR, OSError),
        (sqlite3.SQLITE_READONLY, DeniedError),
        (sqlite3.SQLITE_CORRUPT, CorruptError),
        (sqlite3.SQLITE_BUSY | 2 << 8, UnavailableError),
    ],
)
def test_failures_of_the_disk_speak_of_the_store(db, code, kind):
    error = sqlite3.OperationalError("what SQLite says")
    error.sqlite_errorcode = code
    with pytest.raises(kind) as caught, db.transaction():
        raise error
    assert str(db._path) in str(caught.value)


def test_a_mistake_in_a_statement_stays_what_it_is(db):
    with pytest.raises(sqlite3.OperationalError), db.read() as connection:
        connection.execute("SELECT nonsense FROM nowhere")
    with db.transaction() as connection:
        put(connection, "a")
    with pytest.raises(sqlite3.IntegrityError), db.transaction() as connection:
        put(connection, "a")
    assert keys(db) == ["a"]


def test_connections_are_reused_and_few(db):
    for _ in range(20):
        keys(db)
    assert len(db._idle) == 1


def test_the_module_loads_no_sqlite():
    code = "import sys, tiffin.store.db; print('sqlite3' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "False\n"
