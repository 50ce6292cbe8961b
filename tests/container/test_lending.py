"""Volumes in the root of a container: what becomes of them, whatever the container and a kill do."""

import os

import pytest

from tiffin.container import lending
from tiffin.container.removal import put_away
from tiffin.errors import ConflictError
from tiffin.linux.remove import remove_tree


@pytest.fixture
def home(tmp_path):
    """A store with a container, and a volume with a file."""
    (tmp_path / "containers/one/root/srv").mkdir(parents=True)
    (tmp_path / "volumes/kept/data").mkdir(parents=True)
    (tmp_path / "volumes/kept/data/file").write_text("mine")
    return tmp_path


@pytest.fixture
def data(home):
    return home / "volumes/kept/data"


@pytest.fixture
def root(home, data):
    """The root of the container, which has the volume."""
    lending.announce(home / "containers/one", ["kept"])
    top = os.open(home / "containers/one/root", os.O_PATH)
    lending.lend(data, "one", top, "srv/place")
    os.close(top)
    return home / "containers/one/root"


def test_it_is_in_one_place_and_then_in_the_other(home, data, root):
    assert (root / "srv/place/file").read_text() == "mine"
    assert lending.find(data).path == "srv/place"
    assert lending.place_of(data) == root / "srv/place"
    (root / "srv/place/more").touch()
    lending.take_back(home / "containers/one")
    assert sorted(os.listdir(data)) == ["file", "more"]
    assert (os.listdir(root / "srv"), os.listdir(data.parent)) == ([], ["data", "lending"])
    assert (lending.find(data), lending.place_of(data), os.listxattr(data)) == (None, data, [])
    lending.take_back(home / "containers/one")


def test_one_at_a_time_has_it(home, data, root):
    (home / "containers/two/root").mkdir(parents=True)
    top = os.open(home / "containers/two/root", os.O_PATH)
    with pytest.raises(ConflictError):
        lending.lend(data, "two", top, "place")
    os.close(top)
    lending.take_back(home / "containers/two")
    assert lending.find(data).container == "one"


def test_who_deletes_the_container_does_not_delete_the_volume(home, data, root):
    put_away(home / "containers/one")
    assert ((data / "file").read_text(), os.listdir(home / "containers")) == ("mine", [])


def moved(root):
    (root / "srv/place").rename(root / "other")


def moved_with_what_is_around_it(root):
    (root / "srv").rename(root / "deep")


def moved_and_replaced(root):
    moved(root)
    (root / "srv/place").mkdir()
    (root / "srv/place/new").touch()


def moved_and_a_link_left(root):
    moved(root)
    (root / "srv/place").symlink_to("/etc")


def moved_and_a_link_above(root):
    (root / "srv").rename(root / "deep")
    (root / "srv").symlink_to("/")


@pytest.mark.parametrize(
    "act",
    [moved, moved_with_what_is_around_it, moved_and_replaced, moved_and_a_link_left, moved_and_a_link_above],
)
def test_what_the_container_has_moved_is_found(data, root, act):
    act(root)
    lending.bring_back(data)
    assert os.listdir(data) == ["file"]
    assert not data.is_symlink()


def test_what_the_container_has_deleted_is_empty(home, data, root):
    remove_tree(root / "srv")
    lending.bring_back(data)
    assert (os.listdir(data), os.listdir(data.parent)) == ([], ["data", "lending"])


def test_a_directory_in_its_place_without_the_mark_is_taken_for_it(data, root):
    """As where attributes cannot be had, or the container takes them away."""
    os.removexattr(root / "srv/place", "user.tiffin.lent")
    lending.bring_back(data)
    assert os.listdir(data) == ["file"]


def test_after_a_kill_before_the_exchange_it_was_never_away(home, data, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    lending.announce(home / "containers/one", ["kept"])
    top = os.open(home / "containers/one/root", os.O_PATH)
    monkeypatch.setattr("tiffin.linux.files.exchange", killed)
    with pytest.raises(KeyboardInterrupt):
        lending.lend(data, "one", top, "srv/place")
    os.close(top)
    put_away(home / "containers/one")
    assert os.listdir(data) == ["file"]


def test_after_a_kill_on_the_way_back_it_is_there(home, data, root, monkeypatch):
    monkeypatch.setattr("os.unlink", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        lending.bring_back(data)
    monkeypatch.undo()
    assert os.listdir(data) == ["file"]
    put_away(home / "containers/one")
    assert os.listdir(data) == ["file"]


def test_what_cannot_be_looked_at_is_not_taken_for_deleted(home, data, root, monkeypatch):
    def broken(*_, **__):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr("tiffin.linux.files.open_in_root", broken)
    with pytest.raises(OSError, match="Input/output"):
        put_away(home / "containers/one")
    monkeypatch.undo()
    lending.bring_back(data)
    assert os.listdir(data) == ["file"]
