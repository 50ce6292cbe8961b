"""Committed layers: recorded once, whole after a crash or not there at all."""

import errno
import gzip
import io
import os
import tarfile
import threading

import pytest

from tiffin.content.memory import MemoryPlace
from tiffin.errors import CorruptError, NotFoundError, UnsupportedError
from tiffin.layer.owners import RecordedOwners, TrueOwners
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.digest import DiffID
from tiffin.snapshot import layers as module
from tiffin.snapshot.layers import LayerStore
from tiffin.snapshot.unpack import unpack_layer
from tiffin.store.db import Database
from tiffin.store.home import Home

OWNERS = TrueOwners() if os.geteuid() == 0 else RecordedOwners()


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "root", tmp_path / "run").create()


@pytest.fixture
def db(home):
    database = Database(home.database)
    yield database
    database.close()


@pytest.fixture
def boot(home, db):
    """The store as a process sees it in the boot of that name."""
    return lambda name: LayerStore(home, db, OWNERS, boot=name)


@pytest.fixture
def syncs(monkeypatch):
    """The directories whose file systems were synced."""
    seen = []

    def sync(path):
        if path.name == "layers":  # of the work directory it may be done at any time
            seen.append(path)

    monkeypatch.setattr(module, "sync_filesystem", sync)
    return seen


def commit(store, content=b"content", *, canonical=True):
    with store.workspace() as place:
        tree = place / "tree"
        tree.mkdir()
        (tree / "file").write_bytes(content)
        os.utime(tree / "file", (1, 1))
        info = store.describe(tree)
        store.commit(tree, info, tar=None if canonical else DiffID(f"sha256:{'0' * 64}"))
    return info.diff_id


def damage(store, diff_id):
    """What a power cut may leave of a file that was never synced: its name and size."""
    path = store.path(diff_id) / "file"
    size = path.stat().st_size
    path.write_bytes(bytes(size))
    os.utime(path, (1, 1))


def test_a_layer_is_there_when_it_is_committed(boot):
    store = boot("one")
    diff_id = commit(store)
    assert store.has(diff_id)
    assert (store.path(diff_id) / "file").read_bytes() == b"content"
    assert store.is_canonical(diff_id)
    assert store.sizes() == {diff_id: store.size(diff_id)}
    assert not list(store.home.work.iterdir())


def test_what_is_not_there_is_said_so(boot):
    store, unknown = boot("one"), DiffID.of(b"")
    assert not store.has(unknown)
    assert not store.is_canonical(unknown)
    with pytest.raises(NotFoundError):
        store.size(unknown)
    with pytest.raises(NotFoundError):
        store.blob_of(unknown)


def test_the_second_of_the_same_leaves_the_first_in_place(boot):
    store = boot("one")
    inode = store.path(commit(store)).stat().st_ino
    assert store.path(commit(store)).stat().st_ino == inode
    assert not list(store.home.work.iterdir())


def test_many_at_once_commit_the_same(boot):
    store, found = boot("one"), []
    threads = [threading.Thread(target=lambda: found.append(commit(store))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert len(found) == 8
    assert (store.path(found[0]) / "file").read_bytes() == b"content"


def test_a_layer_whose_directory_is_gone_is_not_there(boot):
    store = boot("one")
    diff_id = commit(store)
    store.path(diff_id).rename(store.home.work / "away")
    assert not store.has(diff_id)
    assert commit(store) == diff_id
    assert store.has(diff_id)


def test_a_directory_without_a_record_is_not_believed(boot):
    """A process died between rename and record, and perhaps the machine after it."""
    store = boot("one")
    diff_id = commit(store)
    damage(store, diff_id)
    with store._db.transaction() as connection:
        connection.execute("DELETE FROM layer")
    assert not store.has(diff_id)
    commit(store)
    assert (store.path(diff_id) / "file").read_bytes() == b"content"
    assert not list(store.home.work.iterdir())


def test_syncing_happens_once_for_all_and_only_for_what_is_new(boot, syncs):
    store = boot("one")
    store.settle()
    assert syncs == []
    commit(store, b"a")
    commit(store, b"b")
    store.settle()
    store.settle()
    assert syncs == [store.home.layers]
    commit(store, b"a")  # is here and settled already
    store.settle()
    assert len(syncs) == 1


def test_what_another_process_of_this_boot_committed_is_settled_too(boot, syncs):
    commit(boot("one"))
    boot("one").settle()
    assert len(syncs) == 1


@pytest.mark.parametrize("when", ["work", "layers"])
def test_a_failed_sync_settles_nothing(boot, monkeypatch, when):
    """Nor one that failed while the layer was described: the kernel tells of an error only once."""

    def fail(path):
        if path.name == when:
            raise OSError(errno.EIO, "lost")

    monkeypatch.setattr(module, "sync_filesystem", fail)
    store = boot("one")
    diff_id = commit(store)
    with pytest.raises(OSError, match="lost"):
        store.settle()
    damage(store, diff_id)
    assert not boot("two").has(diff_id)


@pytest.mark.parametrize("settled", [True, False])
def test_only_what_was_not_settled_is_read_after_a_crash(boot, syncs, monkeypatch, settled):
    store = boot("one")
    diff_id = commit(store)
    if settled:
        store.settle()
    later = boot("two")
    read = []
    describe = LayerStore.describe
    monkeypatch.setattr(LayerStore, "describe", lambda self, path: read.append(path) or describe(self, path))
    assert later.has(diff_id)
    assert later.has(diff_id)  # once is enough
    assert boot("three").has(diff_id)
    assert read == ([] if settled else [store.path(diff_id)])


def test_within_one_boot_nothing_is_read(boot, monkeypatch):
    diff_id = commit(boot("one"))
    monkeypatch.setattr(LayerStore, "describe", None)
    assert boot("one").has(diff_id)


@pytest.mark.parametrize(
    "hurt",
    [
        damage,
        lambda store, diff_id: (store.path(diff_id) / "file").unlink(),
        lambda store, diff_id: (store.path(diff_id) / "file").write_bytes(b""),
        lambda store, diff_id: (store.path(diff_id) / ".wh.unspeakable").write_bytes(b""),
    ],
    ids=["zeros", "gone", "empty", "unspeakable"],
)
def test_what_a_crash_damaged_goes(boot, hurt):
    store = boot("one")
    diff_id = commit(store)
    hurt(store, diff_id)
    assert boot("one").has(diff_id)  # nothing says yet that there was a crash
    later = boot("two")
    assert not later.has(diff_id)
    assert not store.path(diff_id).exists()
    assert not list(store.home.work.iterdir())
    assert not later.is_canonical(diff_id)
    assert commit(later) == diff_id
    assert later.has(diff_id)


def test_a_disk_that_fails_to_read_counts_as_damage(boot, monkeypatch):
    diff_id = commit(boot("one"))

    def fail(_self, _path):
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(LayerStore, "describe", fail)
    assert not boot("two").has(diff_id)


def test_want_of_memory_condemns_nothing(boot, monkeypatch):
    diff_id = commit(boot("one"))

    def fail(_self, _path):
        raise OSError(errno.ENOMEM, "out of memory")

    monkeypatch.setattr(LayerStore, "describe", fail)
    with pytest.raises(OSError, match="memory"):
        boot("two").has(diff_id)
    monkeypatch.undo()
    assert boot("two").has(diff_id)


def test_a_fresh_copy_takes_the_place_of_one_from_before_a_crash(boot):
    store = boot("one")
    diff_id = commit(store)
    damage(store, diff_id)
    commit(boot("two"))
    assert (store.path(diff_id) / "file").read_bytes() == b"content"
    assert boot("two").has(diff_id)


def test_where_no_boot_is_shown_there_is_one_boot_only(boot, syncs):
    diff_id = commit(boot(""))
    assert boot("").has(diff_id)
    boot("").settle()
    assert len(syncs) == 1


def foreign_layer():
    """A layer that another tool packed, so that its diff id cannot be had from the directory."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("file")
        info.size, info.uname = 7, "somebody"
        archive.addfile(info, io.BytesIO(b"content"))
    tar = out.getvalue()
    data = gzip.compress(tar)
    place = MemoryPlace()
    descriptor = Descriptor.of(data, MediaType.OCI_LAYER_GZIP)
    place.push(descriptor, io.BytesIO(data))
    return place, descriptor, DiffID.of(tar)


def test_a_foreign_layer_is_unpacked_again_after_a_crash(boot, syncs):
    place, descriptor, diff_id = foreign_layer()
    store = boot("one")
    unpack_layer(place, descriptor, diff_id, store)
    assert store.has(diff_id)
    assert not store.is_canonical(diff_id)
    assert store.blob_of(diff_id) == descriptor
    damage(store, diff_id)
    later = boot("two")
    unpack_layer(place, descriptor, diff_id, later)
    assert (later.path(diff_id) / "file").read_bytes() == b"content"
    later.settle()
    assert boot("three").has(diff_id)


def test_a_layer_that_is_not_what_it_should_be_leaves_nothing(boot):
    place, descriptor, _ = foreign_layer()
    store = boot("one")
    with pytest.raises(CorruptError, match="config says"):
        unpack_layer(place, descriptor, DiffID.of(b"another"), store)
    assert store.sizes() == {}
    assert not list(store.home.layers.iterdir())
    assert not list(store.home.work.iterdir())


def test_what_is_no_layer_is_not_unpacked(boot):
    place, descriptor, diff_id = foreign_layer()
    odd = Descriptor("application/vnd.example.model", descriptor.digest, descriptor.size)
    with pytest.raises(UnsupportedError, match="not a layer"):
        unpack_layer(place, odd, diff_id, boot("one"))


def test_a_changed_layer_is_found(boot):
    store = boot("one")
    diff_id = commit(store)
    store.verify(diff_id)
    (store.path(diff_id) / "file").write_bytes(b"altered")
    with pytest.raises(CorruptError, match="changed on disk"):
        store.verify(diff_id)


def test_syncing_is_what_the_kernel_does(tmp_path):
    module.sync_filesystem(tmp_path)
    with pytest.raises(FileNotFoundError):
        module.sync_filesystem(tmp_path / "none")
