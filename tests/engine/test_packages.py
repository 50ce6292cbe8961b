"""What the relay keeps, in `system df`, `builder prune` and `system fsck`."""

import hashlib
import os
import time

import pytest
from tests.suites.images import open_engine

from tiffin.build.relay.shelf import Entry, Shelf
from tiffin.engine.fsck import fsck
from tiffin.engine.prune import PruneRequest, cache_usage, prune

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a store with true owners belongs to root")


@pytest.fixture
def engine(tmp_path):
    with open_engine(tmp_path) as opened:
        yield opened


@pytest.fixture
def shelf(engine):
    made = Shelf(engine.home)
    made.create()
    return made


def keep(shelf, key, data, used=None):
    """Put `data` on the shelf, last used at that moment."""
    digest = hashlib.sha256(data).hexdigest()
    part = shelf.new_part()
    part.write_bytes(data)
    shelf.take(part, digest)
    now = time.time()
    shelf.put(key, Entry(f"https://h/{key}", f"https://h/{key}", digest, len(data), now, now))
    if used is not None:
        os.utime(shelf.place / "entries" / key, (used, used))
    return digest


def test_it_is_listed_and_removed(engine, shelf):
    keep(shelf, "one", b"wheel")
    keep(shelf, "two", b"wheel")
    keep(shelf, "three", b"other!")
    sizes = {each.id: each.size for each in cache_usage(engine) if each.kind == "package"}
    assert set(sizes) == {"one", "two", "three"}
    assert sum(sizes.values()) == len(b"wheel") + len(b"other!")
    assert prune(engine, PruneRequest(cache="unused")).cache == ()
    report = prune(engine, PruneRequest(cache="all"))
    assert sorted(report.cache) == ["one", "three", "two"]
    assert report.reclaimed >= len(b"wheel") + len(b"other!")
    assert [each for each in cache_usage(engine) if each.kind == "package"] == []
    assert not list(shelf.place.glob("content/*"))


def test_what_was_used_lately_is_spared(engine, shelf):
    keep(shelf, "old", b"wheel", used=1000)
    keep(shelf, "new", b"other")
    assert prune(engine, PruneRequest(cache="all", until=time.time() - 3600)).cache == ("old",)
    assert shelf.find("new") is not None
    assert shelf.find("old") is None


def test_a_flipped_bit_is_found(engine, shelf):
    digest = keep(shelf, "one", b"wheel")
    path = shelf.place / "content" / digest
    status = path.stat()
    path.write_bytes(b"whee1")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    [problem] = fsck(engine).problems
    assert (digest[:12] in problem.what, problem.outcome) == (True, "")
    [problem] = fsck(engine, repair=True).problems
    assert problem.outcome == "it was removed"
    assert fsck(engine).problems == ()
    assert shelf.find("one") is None


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"{}"])
def test_a_damaged_document_counts_as_none(shelf, text):
    keep(shelf, "one", b"wheel")
    (shelf.place / "entries" / "one").write_bytes(text)
    assert shelf.find("one") is None
    assert list(shelf.all()) == []


def test_what_a_killed_build_left_goes_after_a_day(shelf, monkeypatch):
    part = shelf.new_part()
    part.write_bytes(b"half")
    shelf.create()
    assert part.exists()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 100_000)
    shelf.create()
    assert not part.exists()
