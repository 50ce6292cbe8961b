"""Cache mounts on disk: found again, held while in use, removed when not."""

import os
import threading

import pytest

from tiffin.build.canceled import Canceled
from tiffin.build.graph import CacheMount
from tiffin.build.ops.cachemounts import CacheMounts
from tiffin.layer.owners import RecordedOwners, TrueOwners
from tiffin.snapshot.layers import LayerStore
from tiffin.store.db import Database
from tiffin.store.home import Home

OWNERS = TrueOwners() if os.geteuid() == 0 else RecordedOwners()
SHARED = CacheMount("/c", "vat")
LOCKED = CacheMount("/c", "vat", "locked")
PRIVATE = CacheMount("/c", "vat", "private")


@pytest.fixture
def caches(tmp_path):
    home = Home(tmp_path / "root", tmp_path / "run").create()
    db = Database(home.database)
    yield CacheMounts(LayerStore(home, db, OWNERS), 0)
    db.close()


def use(caches, *mounts, stop=None):
    return caches.use([(mount, None) for mount in mounts], stop or threading.Event())


def test_a_cache_is_found_again_by_its_id_and_owner(caches):
    with use(caches, SHARED) as (first,):
        (first / "f").write_text("1")
    with use(caches, CacheMount("/elsewhere", "vat", "locked")) as (again,):
        assert again == first
        assert (again / "f").read_text() == "1"
    for other in (
        CacheMount("/c", "other"),
        CacheMount("/c", "vat", mode=0o700),
        CacheMount("/c", "vat", uid=0),
    ):
        with use(caches, other) as (place,):
            assert place != first
            assert not list(place.iterdir())


def test_one_step_may_mount_a_cache_twice(caches):
    with use(caches, LOCKED, SHARED, CacheMount("/d", "d")) as (first, second, third):
        assert first == second != third


@pytest.mark.parametrize(("held", "asked"), [(LOCKED, SHARED), (SHARED, LOCKED), (LOCKED, LOCKED)])
def test_who_waits_for_a_locked_cache_hears_the_stop_sign(caches, held, asked):
    stop = threading.Event()
    with use(caches, held):
        stop.set()
        with pytest.raises(Canceled), use(caches, asked, stop=stop):
            pass
    with use(caches, asked):
        pass  # and it is free again


def test_private_caches_are_others_while_they_are_used(caches):
    with use(caches, PRIVATE) as (first,), use(caches, PRIVATE) as (second,), use(caches, SHARED) as (third,):
        assert len({first, second, third}) == 3
    with use(caches, PRIVATE) as (again,):
        assert again == first


def test_removal_spares_what_is_in_use(caches):
    with use(caches, SHARED) as (place,):
        (place / "f").write_text("12345")
        (folder,) = caches.all()
        assert (folder.id, folder.created <= folder.used) == ("vat", True)
        assert folder.size >= 5
        assert not caches.remove(folder)
    assert caches.remove(folder)
    assert caches.all() == []
    with use(caches, SHARED) as (place,):
        assert not list(place.iterdir())
