"""Partial blobs: kept across processes, one writer at a time, never in the way of the collection."""

import errno
import os
import threading
import time

import pytest

from tiffin.oci.descriptor import Descriptor
from tiffin.store import partials
from tiffin.store.gc import collect
from tiffin.store.partials import Partials

PIECE = 64 << 10
DATA = b"0123456789abcdef" * (PIECE // 8) + b"the end"  # two pieces and a bit
BLOB = Descriptor.of(DATA, "application/octet-stream")


def never(_count):
    raise AssertionError("nobody has to wait")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(partials, "PIECE", PIECE)


@pytest.fixture
def store(home):
    return Partials(home)


def fill(partial, *pieces):
    for piece in pieces:
        partial.write(piece, DATA[partial.start(piece) : partial.stop(piece)], partial.turn)


def test_what_has_come_is_there_for_the_next_one(store):
    with store.claim(BLOB, never) as partial:
        assert (partial.pieces, partial.received) == (3, 0)
        fill(partial, 0)
        partial.write(2, b"the", partial.turn)
        assert partial.frontier(0) == (1, PIECE)
    with store.claim(BLOB, never) as partial:
        assert partial.kept == partial.received == PIECE + 3
        assert [partial.start(n) for n in range(3)] == [PIECE, PIECE, 2 * PIECE + 3]
        fill(partial, 1, 2)
        assert partial.frontier(0) == (3, len(DATA))
        whole = bytearray(len(DATA))
        assert partial.read_into(memoryview(whole), 0) == len(DATA)
        assert bytes(whole) == DATA


def test_what_is_whole_becomes_a_blob(home, store):
    with store.claim(BLOB, never) as partial:
        fill(partial, 0, 1, 2)
        store.commit(partial, BLOB)
    assert home.blob(BLOB.digest).read_bytes() == DATA
    assert list(home.partial.iterdir()) == []
    with store.claim(BLOB, never) as partial:  # who comes later finds the blob, and leaves nothing
        assert partial.received == 0
    assert list(home.partial.iterdir()) == []


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data[: len(DATA)] + b"x" * (len(data) - len(DATA)),
        lambda data: data[:-8] + b"\xff" * 8,  # more than the piece can have
        lambda _data: b"",
    ],
)
def test_a_file_that_cannot_be_is_begun_anew(home, store, damage):
    with store.claim(BLOB, never) as partial:
        fill(partial, 0)
    (path,) = home.partial.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    with store.claim(BLOB, never) as partial:
        assert partial.received == 0
        fill(partial, 0, 1, 2)
        store.commit(partial, BLOB)
    assert home.blob(BLOB.digest).read_bytes() == DATA


def test_one_at_a_time_and_the_other_hears_how_far_it_is(store):
    heard, got = [], []

    def wait(count):
        heard.append(count)
        if len(heard) == 2:
            release.set()

    def second():
        with store.claim(BLOB, wait) as partial:
            got.append(partial.received)

    release = threading.Event()
    with store.claim(BLOB, never) as partial:
        fill(partial, 0)
        thread = threading.Thread(target=second)
        thread.start()
        release.wait()
        fill(partial, 1)
    thread.join()
    assert heard[0] == PIECE
    assert got == [2 * PIECE]


def test_who_waits_may_give_up(store):
    class Enough(Exception):  # noqa: N818
        pass

    def give_up(_count):
        raise Enough

    with store.claim(BLOB, never), pytest.raises(Enough), store.claim(BLOB, give_up):
        pass


def test_who_writes_for_an_attempt_that_is_over_is_refused(store):
    with store.claim(BLOB, never) as partial:
        turn = partial.turn
        partial.clear()
        with pytest.raises(OSError, match="not being fetched") as caught:
            partial.write(0, b"late", turn)
        assert caught.value.errno == errno.EBADF
        assert partial.received == 0
    with pytest.raises(OSError, match="not being fetched"):
        partial.write(0, b"later", partial.turn)


def test_the_collection_takes_what_is_stale_and_nobody_fetches(home, store, db):
    other = Descriptor.of(b"other", "application/octet-stream")
    here = Descriptor.of(b"here", "application/octet-stream")
    for descriptor in (BLOB, other, here):
        with store.claim(descriptor, never) as partial:
            partial.write(0, b"abc", partial.turn)
    old = time.time() - partials.STALE_SECONDS - 60
    for path in home.partial.iterdir():
        if here.digest.encoded not in path.name:
            os.utime(path, (old, old))
    with store.claim(BLOB, never):  # old, and in use
        for path in home.partial.iterdir():
            if BLOB.digest.encoded in path.name:
                os.utime(path, (old, old))
        collect(home, db, lambda: (), lambda _node: ())
        names = [path.name for path in home.partial.iterdir()]
    assert sorted(name.partition("-")[2] for name in names) == sorted(
        [BLOB.digest.encoded, here.digest.encoded]
    )


def test_what_is_a_blob_already_is_swept_at_once(home, store):
    with store.claim(BLOB, never) as partial:
        partial.write(0, b"abc", partial.turn)
    home.blob(BLOB.digest).write_bytes(DATA)
    assert len(store.sweep()) == 1
    assert list(home.partial.iterdir()) == []


def test_what_was_just_cut_off_goes_only_when_it_is_asked_for(home, store):
    with store.claim(BLOB, never) as partial:
        fill(partial, 0)
    assert store.sweep() == []
    assert store.size(BLOB.digest) >= PIECE
    with store.claim(BLOB, never):
        assert store.sweep(0) == []  # in use
    (size,) = store.sweep(0)
    assert size >= PIECE
    assert store.size(BLOB.digest) == 0
