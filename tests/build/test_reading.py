"""What a step reads of layers: looked for once, for the digest, the record and the step; never if known."""

import os
from types import SimpleNamespace

import pytest

from tiffin.build.graph import Copy
from tiffin.build.reading import Reader
from tiffin.errors import NotFoundError
from tiffin.layer.owners import RecordedOwners, TrueOwners
from tiffin.oci.digest import DiffID
from tiffin.snapshot.merged import MergedTree
from tiffin.store.db import Database
from tiffin.store.home import Home

OWNERS = TrueOwners() if os.geteuid() == 0 else RecordedOwners()
LAYERS = (DiffID.of(b"layer"),)
COPY = Copy(("dir/*",), (), "/")


class Layers:
    """A store whose one stack of layers is a folder; it counts how often somebody looks into it."""

    def __init__(self, folder) -> None:
        self.folder, self.looked, self.owners = folder, 0, OWNERS

    def tree(self, _diff_ids):
        self.looked += 1
        return MergedTree([self.folder])


@pytest.fixture
def layers(tmp_path):
    (tmp_path / "layer/dir").mkdir(parents=True)
    (tmp_path / "layer/dir/f").write_text("f")
    return Layers(tmp_path / "layer")


@pytest.fixture
def read(tmp_path, layers):
    """Make a reader of a new process, with the same memory."""
    home = Home(tmp_path / "root", tmp_path / "run").create()
    db = Database(home.database)
    cache = SimpleNamespace(need=lambda _layers: None, digest=lambda _chain, _selector: None)
    yield lambda: Reader(layers, db, {}, cache)
    db.close()


def test_what_is_copied_is_looked_for_once(read, layers):
    (first,) = read().copied(COPY, [LAYERS])
    assert [chosen.name for chosen in first.entries()] == ["f"]
    assert first.entries() is first.entries()
    assert layers.looked == 1
    (again,) = read().copied(COPY, [LAYERS])
    assert again.content == first.content
    assert layers.looked == 1
    assert [chosen.name for chosen in again.entries()] == ["f"]
    assert layers.looked == 2


def test_what_is_mounted_is_looked_for_once(read, layers):
    shown = read().shown(LAYERS, "/dir")
    (chosen,) = shown.listed()
    assert shown.selected() is chosen
    assert shown.node() is chosen.node
    assert [node.path for node in chosen.below] == ["/dir/f"]
    assert layers.looked == 2  # the entry, and what is below it
    assert read().shown(LAYERS, "/dir").content == shown.content
    assert read().shown(LAYERS, "/").listed() == ()
    assert layers.looked == 2


def test_a_mount_of_what_is_not_there(read):
    with pytest.raises(NotFoundError, match="/none does not exist"):
        read().shown(LAYERS, "/none")
