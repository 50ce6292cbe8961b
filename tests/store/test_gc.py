import os
import subprocess
import sys
import time

import pytest

from tiffin.linux import files
from tiffin.oci.descriptor import MediaType
from tiffin.oci.digest import DiffID, Digest
from tiffin.store.blobs import BlobStore
from tiffin.store.gc import Node, collect, mark, sweep_work
from tiffin.store.leases import Leases


def blob(home, text):
    return BlobStore(home).write(text.encode(), MediaType.OCI_CONFIG).digest


def layer(home, db, text, *, recorded=True):
    diff_id = DiffID.of(text.encode())
    (home.layer(diff_id) / "etc").mkdir(parents=True)
    (home.layer(diff_id) / "etc" / "file").write_text(text)
    if recorded:
        with db.transaction() as connection:
            connection.execute("INSERT INTO layer VALUES (?, 10, 4096, 1, 1, '', '')", (diff_id,))
            connection.execute(
                "INSERT INTO layer_blob VALUES (?, ?, 1, 'x')", (Digest.of(diff_id.encode()), diff_id)
            )
            connection.execute("INSERT INTO cache VALUES (?, ?, '', 0, 1, 1)", (f"key of {diff_id}", diff_id))
    return diff_id


def alone(_node):
    return ()


def count(db, table):
    with db.read() as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def test_marking_follows_links_once_and_ends_in_circles():
    graph = {"a": "bc", "b": "d", "c": "d", "d": "a", "e": "a"}
    asked = []

    def links(node):
        asked.append(node.key)
        return [Node("blob", key) for key in graph[node.key]]

    assert {node.key for node in mark([Node("blob", "a"), Node("blob", "a")], links)} == set("abcd")
    assert sorted(asked) == list("abcd")


def test_what_is_reached_stays_and_the_rest_goes(home, db):
    manifest, config, stray = (blob(home, text) for text in ("manifest", "config", "stray"))
    kept, gone = layer(home, db, "kept"), layer(home, db, "gone")
    graph = {Node("blob", manifest): [Node("blob", config), Node("layer", kept)]}

    swept = collect(home, db, lambda: [Node("blob", manifest)], lambda node: graph.get(node, ()))

    assert set(swept.blobs) == {stray}
    assert swept.layers == (gone,)
    assert set(BlobStore(home).all()) == {manifest, config}
    assert os.listdir(home.layers) == [kept.encoded]
    assert os.listdir(home.work) == []
    assert swept.size >= 4096
    assert [count(db, table) for table in ("layer", "layer_blob", "cache")] == [1, 1, 1]


def test_the_disk_is_waited_for_only_if_something_goes(home, db, monkeypatch):
    gone = layer(home, db, "gone")
    waits = []

    def settle():
        waits.append(home.layer(gone).exists())

    monkeypatch.setattr(db, "settle", settle)
    kept = [Node("layer", gone)]
    collect(home, db, lambda: kept, alone)
    assert waits == []
    blob(home, "stray")
    collect(home, db, lambda: kept, alone)
    assert waits == [True]  # before it goes: it must not have its name back
    waits.clear()
    collect(home, db, list, alone)
    assert waits == [True, False]  # and after: nobody may believe that the layer is there


def test_a_dry_run_says_the_same_and_does_nothing(home, db):
    stray, gone = blob(home, "stray"), layer(home, db, "gone")
    told = collect(home, db, list, alone, dry_run=True)
    assert (told.blobs, told.layers) == ((stray,), (gone,))
    assert home.layer(gone).is_dir()
    assert count(db, "layer") == 1
    assert collect(home, db, list, alone)._replace(leftovers=0) == told


def test_a_layer_may_have_the_name_of_its_own_tar(home, db):
    diff_id = layer(home, db, "same name")
    home.blob(Digest(diff_id)).write_bytes(b"its tar")
    swept = collect(home, db, list, alone)
    assert (swept.blobs, swept.layers) == ((diff_id,), (diff_id,))
    assert list(BlobStore(home).all()) == []
    assert os.listdir(home.layers) == os.listdir(home.work) == []


def test_a_lease_keeps_what_was_there_before_it(home, db):
    held, stray = blob(home, "held"), blob(home, "stray")
    time.sleep(1.1)  # beyond the grain within which the clock of a file system may lag
    with Leases(db).hold("pull") as lease:
        lease.add("blob", held)
        swept = collect(home, db, list, alone)
        assert swept.blobs == (stray,)
        assert list(BlobStore(home).all()) == [held]


def test_a_lease_keeps_what_came_after_it_began(home, db):
    with Leases(db).hold("pull"):
        new, grown = blob(home, "new"), layer(home, db, "unrecorded", recorded=False)
        assert collect(home, db, list, alone).blobs == ()
        assert home.blob(new).exists()
        assert home.layer(grown).exists()
    assert collect(home, db, list, alone).blobs == (new,)


def test_what_a_lease_holds_keeps_what_it_links_to(home, db):
    manifest, config = blob(home, "manifest"), blob(home, "config")
    time.sleep(1.1)
    graph = {Node("blob", manifest): [Node("blob", config)]}
    with Leases(db).hold("run") as lease:
        lease.add("blob", manifest)
        lease.add("name", "of another kind")
        assert collect(home, db, list, lambda node: graph.get(node, ())).blobs == ()


def test_roots_are_asked_when_nobody_can_add_to_them(home, db):
    stray = blob(home, "stray")

    def roots():
        code = (
            "import sys, pathlib, sqlite3\n"
            "c = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)\n"
            "try: c.execute('BEGIN IMMEDIATE')\n"
            "except sqlite3.OperationalError as error: print(error)"
        )
        assert "locked" in subprocess.check_output([sys.executable, "-c", code, home.database], text=True)
        return [Node("blob", stray)]

    assert collect(home, db, roots, alone).blobs == ()


def test_records_of_layers_that_are_gone_are_forgotten(home, db):
    gone = layer(home, db, "gone")
    home.layer(gone).rename(home.work / "elsewhere")
    collect(home, db, list, alone)
    assert [count(db, table) for table in ("layer", "layer_blob", "cache")] == [0, 0, 0]


def test_a_failure_of_the_roots_deletes_nothing(home, db):
    stray = blob(home, "stray")

    def broken():
        raise ValueError

    with pytest.raises(ValueError):
        collect(home, db, broken, alone)
    assert list(BlobStore(home).all()) == [stray]
    assert os.listdir(home.work) == []


def test_work_that_nobody_holds_is_removed(home):
    (home.work / "dead" / "upper" / "deep").mkdir(parents=True)
    (home.work / "dead.lock").touch()
    (home.work / "without-lock").mkdir()
    (home.work / "lonely.lock").touch()
    (home.work / "ingest-dead").write_bytes(b"half a blob")
    os.mkfifo(home.work / "fifo")
    (home.work / "link").symlink_to("/etc")
    with files.lock(home.work / "alive.lock"), (home.work / "ingest-alive").open("wb") as stream:
        files.fcntl.flock(stream, files.fcntl.LOCK_EX)
        (home.work / "alive").mkdir()
        assert sweep_work(home) == 5
        assert sorted(os.listdir(home.work)) == ["alive", "alive.lock", "ingest-alive"]
    assert sweep_work(home) == 2
    assert os.listdir(home.work) == []


COLLECT = """
import sys
from pathlib import Path
from tiffin.store.db import Database
from tiffin.store.gc import Node, collect
from tiffin.store.home import Home
home = Home(Path(sys.argv[1]), Path(sys.argv[2]))
print("go", flush=True)
collect(home, Database(home.database), lambda: [Node("layer", sys.argv[3])], lambda node: ())
"""


def test_a_collection_killed_at_any_moment_does_no_harm(home, db):
    kept = layer(home, db, "kept")
    for attempt in range(8):
        for number in range(20):
            layer(home, db, f"{attempt} {number}")
        with subprocess.Popen(
            [sys.executable, "-c", COLLECT, home.root, home.run, kept], stdout=subprocess.PIPE
        ) as child:
            child.stdout.readline()
            time.sleep(0.004 * attempt)
            child.kill()
        with db.read() as connection:
            recorded = {row[0] for row in connection.execute("SELECT diff_id FROM layer")}
        present = {f"sha256:{name}" for name in os.listdir(home.layers)}
        assert kept in recorded & present
        for diff_id in present:  # never half of a layer at its place
            assert (home.layer(DiffID(diff_id)) / "etc" / "file").exists()
    collect(home, db, lambda: [Node("layer", kept)], alone)
    assert os.listdir(home.layers) == [kept.encoded]
    assert os.listdir(home.work) == []
    assert count(db, "layer") == 1
