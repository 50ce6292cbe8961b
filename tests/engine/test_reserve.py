"""The room that is kept for a full disk."""

import errno
import os

import pytest

from tiffin.engine import reserve
from tiffin.linux.room import Room
from tiffin.store.home import Home

PLENTY = Room(1 << 30, 1 << 31, 1000)


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path, tmp_path / "run")


@pytest.fixture
def room(monkeypatch):
    def set_to(found):
        monkeypatch.setattr(reserve, "room_of", lambda _folder: found)

    return set_to


@pytest.mark.parametrize("full", [Room(0, 1 << 31, 1000), Room(1 << 30, 1 << 31, 0)])
def test_it_is_laid_up_in_plenty_and_spent_in_want(home, room, full):
    room(PLENTY)
    reserve.lay_up(home)
    kept = home.root / "reserve"
    assert kept.stat().st_blocks * 512 >= 512 << 10
    reserve.spend(home)
    assert kept.exists()
    room(full)
    reserve.spend(home)
    assert not kept.exists()


def test_where_little_is_left_nothing_is_kept(home, room):
    room(Room(1 << 20, 1 << 31, 1000))
    reserve.lay_up(home)
    assert os.listdir(home.root) == []


def test_a_store_that_is_gone_is_for_others_to_tell(home, monkeypatch):
    def gone(folder):
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))

    monkeypatch.setattr(reserve, "room_of", gone)
    reserve.lay_up(home)
    reserve.spend(home)
