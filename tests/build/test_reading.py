"""What a step reads of layers: looked for once, for the digest, the record and the step; never if known."""

import os
from types import SimpleNamespace

import pytest

from tiffin.build.context import Context
from tiffin.build.facts import facts_below, mark, mark_of
from tiffin.build.graph import Copy
from tiffin.build.reading import Reader
from tiffin.build.selection import select
from tiffin.dockerfile.ignore import IgnoreRules
from tiffin.errors import FailedError, NotFoundError
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


class TestContexts:
    """Files of a build context: where nothing changed, they are looked at for their mark alone."""

    ALL = Copy((".",), (), "/")

    @pytest.fixture
    def folder(self, tmp_path, monkeypatch):
        monkeypatch.setattr("tiffin.build.checksum._GRAIN", -(10**18))  # everything is old enough
        place = tmp_path / "context"
        for name in ("a/b/c", "a/d", "a-b", "empty", "z/é"):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(name.replace("empty", ""))
        (place / "link").symlink_to("a/d")
        (place / "nothing").mkdir()
        return place

    @pytest.fixture
    def take(self, tmp_path, folder):
        """What a COPY of all takes, in a process of its own each time."""
        db = Database(Home(tmp_path / "root", tmp_path / "run").create().database)

        def taken(rules=""):
            reader = Reader(None, db, {"main": Context(folder, IgnoreRules.parse(rules))}, None)
            (found,) = reader.copied(self.ALL, ["main"])
            reader.finish()
            return found

        yield taken
        db.close()

    def test_the_facts_are_those_of_what_is_selected(self, folder):
        tree = MergedTree([folder])
        assert mark([("", facts_below(tree.root))]) == mark_of(select(tree, ["/"]))
        node = tree.resolve("a").node
        assert mark([("a", facts_below(node))]) == mark_of(select(tree, ["a"]))

    def test_what_is_new_is_walked_once(self, take, monkeypatch):
        walked = []
        monkeypatch.setattr(
            "tiffin.build.reading.facts_below", lambda node: walked.append(node.path) or facts_below(node)
        )
        first = take()
        assert walked == []
        assert take().content == first.content
        assert walked == ["/"]

    def test_what_did_not_change_is_not_selected(self, take, monkeypatch):
        first = take()
        assert [node.path for node in first.entries()[0].below][:3] == ["/a", "/a/b", "/a/b/c"]
        with monkeypatch.context() as patch:
            patch.setattr("tiffin.build.reading.select_for", lambda *_: pytest.fail("selected"))
            again = take()
        assert again.content == first.content
        assert [node.path for node in again.entries()[0].below] == [
            node.path for node in first.entries()[0].below
        ]

    @pytest.mark.parametrize("change", ["content", "mode", "more", "less", "link"])
    def test_what_changed_is_read_again(self, take, folder, change):
        first = take()
        if change == "content":
            (folder / "a/b/c").write_text("A/B/C")
        elif change == "mode":
            (folder / "nothing").chmod(0o700)
        elif change == "more":
            (folder / "a/b/more").touch()
        elif change == "less":
            (folder / "a/d").unlink()
        else:
            (folder / "link").unlink()
            (folder / "link").symlink_to("a/b")
        assert take().content != first.content

    def test_what_is_ignored_does_not_count(self, take, folder):
        first = take("a\n")
        (folder / "a/d").write_text("other")
        assert take("a\n").content == first.content
        assert take().content != first.content

    def test_what_changes_before_it_is_copied_is_an_error(self, take, folder):
        take()
        again = take()
        (folder / "a/d").write_text("other")
        with pytest.raises(FailedError, match="was changed while it was built"):
            again.entries()
