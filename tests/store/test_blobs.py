import hashlib
import io
import json
import os
import subprocess
import sys
import threading
import time

import pytest
from tests.suites.content_place import LARGE, NamesSuite, PlaceSuite

from tiffin.errors import CorruptError, FailedError, NotFoundError
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.digest import Digest
from tiffin.store.blobs import BlobStore
from tiffin.store.gc import sweep_work
from tiffin.store.growing import Growing
from tiffin.store.tags import Tags


@pytest.fixture
def blobs(home):
    return BlobStore(home)


class TestBlobStore(PlaceSuite):
    @pytest.fixture
    def place(self, blobs):
        return blobs

    @pytest.fixture(autouse=True)
    def leaves_nothing(self, home):
        yield
        assert os.listdir(home.work) == []


class TestTagsOverBlobs(NamesSuite):
    @pytest.fixture
    def place(self, home, db):
        class Place(BlobStore):
            tags = Tags(db)
            tag, resolve = tags.tag, tags.resolve

        return Place(home)


def test_ingest_finds_out_what_it_got(blobs):
    found = blobs.ingest(io.BytesIO(LARGE))
    assert (found.digest, found.size) == (f"sha256:{hashlib.sha256(LARGE).hexdigest()}", len(LARGE))
    assert blobs.path(found.digest).read_bytes() == LARGE
    assert blobs.path(found.digest).stat().st_mode & 0o777 == 0o644


def test_ingest_reads_no_more_than_one_chunk_too_much(blobs):
    stream = io.BytesIO(bytes(64 << 20))
    with pytest.raises(CorruptError, match="should have 5 bytes"):
        blobs.ingest(stream, Descriptor(MediaType.OCI_LAYER, Digest.of(b"short"), 5))
    assert stream.tell() <= 2 << 20


def test_what_was_cut_off_is_told_from_what_was_altered(blobs):
    expected = Descriptor.of(b"0123456789", MediaType.OCI_LAYER)
    with pytest.raises(CorruptError, match="only 5"):
        blobs.ingest(io.BytesIO(b"01234"), expected)
    with pytest.raises(CorruptError, match="in truth"):
        blobs.ingest(io.BytesIO(b"012345678!"), expected)


def test_a_stream_that_would_block_is_no_end(blobs):
    class Impatient(io.RawIOBase):
        def read(self, _size=-1):
            return None

    with pytest.raises(BlockingIOError):
        blobs.ingest(Impatient())


def test_a_blob_of_the_wrong_size_is_not_given_out(blobs):
    descriptor = blobs.write(b"0123456789", MediaType.OCI_CONFIG)
    blobs.path(descriptor.digest).write_bytes(b"01234")
    assert not blobs.has(descriptor)
    with pytest.raises(CorruptError, match="5 bytes"):
        blobs.open(descriptor)
    blobs.push(descriptor, io.BytesIO(b"0123456789"))
    assert blobs.read(descriptor) == b"0123456789"


def test_reading_whole_checks_the_bytes(blobs):
    descriptor = blobs.write(b"0123456789", MediaType.OCI_CONFIG)
    blobs.path(descriptor.digest).write_bytes(b"0123456780")
    with pytest.raises(CorruptError, match="in truth"):
        blobs.read(descriptor)


def test_writing_gives_a_descriptor(blobs):
    assert blobs.write(b"{}", MediaType.OCI_CONFIG) == Descriptor.of(b"{}", MediaType.OCI_CONFIG)


def test_all_lists_blobs_and_nothing_else(home, blobs):
    one = blobs.write(b"1", MediaType.OCI_CONFIG).digest
    long = hashlib.sha512(b"2").hexdigest()
    blobs.ingest(io.BytesIO(b"2"), Descriptor(MediaType.OCI_LAYER, Digest(f"sha512:{long}"), 1))
    (home.blobs / "sha256" / "README").touch()
    assert set(blobs.all()) == {one, f"sha512:{long}"}


def test_deleting_leaves_open_streams_alone(blobs):
    descriptor = blobs.write(b"still here", MediaType.OCI_CONFIG)
    with blobs.open(descriptor) as stream:
        assert blobs.delete(descriptor.digest)
        assert stream.read() == b"still here"
    assert not blobs.delete(descriptor.digest)
    with pytest.raises(NotFoundError):
        blobs.open(descriptor)


def test_bytes_are_on_disk_before_they_have_a_name(blobs, monkeypatch):
    order = []
    fsync, replace = os.fsync, type(blobs.path(Digest.of(b""))).replace

    def synced(fd):
        order.append("directory" if os.path.isdir(f"/proc/self/fd/{fd}") else "file")
        fsync(fd)

    def replaced(path, target):
        order.append("rename")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(type(blobs.path(Digest.of(b""))), "replace", replaced)
    blobs.write(b"precious", MediaType.OCI_CONFIG)
    assert order == ["file", "rename", "directory"]


INGEST = """
import io, os, sys
from pathlib import Path
from tiffin.store.blobs import BlobStore
from tiffin.store.home import Home
blobs = BlobStore(Home(Path(sys.argv[1]), Path(sys.argv[2])))
while True:
    print(blobs.ingest(io.BytesIO(os.urandom(3_000_000))).digest, flush=True)
"""


def test_the_disk_begins_with_what_came_while_more_comes(blobs, monkeypatch):
    monkeypatch.setattr("tiffin.store.blobs._MUCH", 1 << 20)
    begun = []
    monkeypatch.setattr(
        "tiffin.linux.files.begin_writing", lambda _fd, start, size: begun.append((start, size))
    )
    descriptor = blobs.ingest(io.BytesIO(LARGE))
    assert begun == [(at << 20, 1 << 20) for at in range(len(LARGE) >> 20)]
    blobs.verify(descriptor.digest)


def test_a_blob_can_be_taken_while_it_is_written(blobs):
    growing, taken = Growing(), []

    def take():
        while data := growing.take(1 << 16):
            taken.append(data)

    reader = threading.Thread(target=take)
    reader.start()
    descriptor = blobs.ingest(io.BytesIO(LARGE), growing=growing)
    reader.join()
    growing.close()
    assert (b"".join(taken), descriptor.size) == (LARGE, len(LARGE))


def test_who_takes_a_blob_hears_that_it_was_given_up(blobs):
    growing = Growing()
    wrong = Descriptor.of(b"another thing", MediaType.OCI_LAYER)
    with pytest.raises(CorruptError):
        blobs.ingest(io.BytesIO(b"something"), wrong, growing)
    with pytest.raises(FailedError):
        growing.take(1)
    growing.close()


def test_a_killed_ingest_leaves_whole_blobs_and_what_gc_removes(home, blobs):
    reported = []
    for attempt in range(10):
        with subprocess.Popen(
            [sys.executable, "-c", INGEST, home.root, home.run], stdout=subprocess.PIPE, text=True
        ) as child:
            reported.append(child.stdout.readline().strip())
            time.sleep(0.002 * attempt)
            child.kill()
    for digest in blobs.all():
        assert Digest.of(blobs.path(digest).read_bytes()) == digest
    assert set(reported) <= set(blobs.all())
    sweep_work(home)
    assert os.listdir(home.work) == []


def test_other_tools_find_a_layout(home, blobs):
    blobs.write(b"x", MediaType.OCI_CONFIG)
    assert json.loads((home.root / "oci-layout").read_text())["imageLayoutVersion"] == "1.0.0"
    assert os.listdir(home.root / "blobs") == ["sha256"]
