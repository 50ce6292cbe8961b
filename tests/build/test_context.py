import os
import time

import pytest

from tiffin.build.checksum import Checksums, hash_file, selection_digest
from tiffin.build.context import Context
from tiffin.build.selection import expand, select
from tiffin.dockerfile.ignore import IgnoreRules
from tiffin.errors import NotFoundError
from tiffin.snapshot.merged import MergedTree
from tiffin.store.db import Database


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "context"
    for name in ("app/serve.py", "data/train.csv", "data/keep/me", "notes/a.ipynb", "README.md", ".git/HEAD"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(name)
    return place


def seen(context):
    return [node.path[1:] for node in context.tree.walk(context.tree.root)]


GIT = [".git", ".git/HEAD"]
APP = ["app", "app/serve.py"]
KEPT = ["data", "data/keep", "data/keep/me"]
NOTES = ["notes", "notes/a.ipynb"]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ("", [*GIT, "README.md", *APP, *KEPT, "data/train.csv", *NOTES]),
        ("data\n.git\n*.md\nnotes", APP),
        ("*\n!app", APP),
        ("data\n!data/keep", [*GIT, "README.md", *APP, *KEPT, *NOTES]),
        ("**/*.ipynb\n**/*.csv\n.git", ["README.md", *APP, *KEPT, "notes"]),
    ],
)
def test_the_tree_is_what_the_rules_leave(folder, rules, expected):
    assert seen(Context(folder, IgnoreRules.parse(rules))) == expected


def test_a_missing_source_is_explained(folder):
    context = Context(folder, IgnoreRules.parse("# training data\ndata\n"))
    ignored = context.missing("data/train.csv")
    assert ignored.code == "source-ignored"
    assert "line 2 of .dockerignore (data)" in ignored.message
    assert context.missing("nothing.txt").code == "source-not-found"


def test_no_path_leaves_the_context(folder):
    (folder.parent / "secret").write_text("host")
    (folder / "out").symlink_to("../secret")
    tree = Context(folder, IgnoreRules.parse("")).tree
    for pattern in ("../secret", "out", "../../secret"):
        with pytest.raises(NotFoundError):
            select(tree, [pattern])


def test_wildcards_match_one_level(folder):
    tree = MergedTree([folder])
    assert list(expand(tree, "*/*.csv")) == ["/data/train.csv"]
    assert list(expand(tree, "**/me")) == []
    assert list(expand(tree, "d*/k*/m?")) == ["/data/keep/me"]


def digest(folder, patterns=(".",), **options):
    return selection_digest(select(MergedTree([folder]), patterns), hash_file, **options)


def test_what_a_copy_can_show_changes_its_digest(folder):
    first = digest(folder)
    changes = [
        lambda: (folder / "README.md").write_text("other"),
        lambda: (folder / "README.md").chmod(0o755),
        lambda: (folder / "README.md").rename(folder / "README"),
        lambda: (folder / "link").symlink_to("a"),
        lambda: ((folder / "link").unlink(), (folder / "link").symlink_to("b")),
        (folder / "empty").mkdir,
        lambda: (folder / "empty").chmod(0o700),
    ]
    known = {first}
    for change in changes:
        change()
        known.add(digest(folder))
    assert len(known) == len(changes) + 1


def test_times_and_the_mode_of_the_directory_itself_do_not(folder):
    first = digest(folder)
    os.utime(folder / "README.md", (1, 1))
    folder.chmod(0o700)
    assert digest(folder) == first


def test_owners_count_only_for_stages(folder):
    owner = {"value": (0, 0, 0o644)}
    first = digest(folder, owner=lambda node: owner["value"])
    owner["value"] = (5, 5, 0o644)
    assert digest(folder, owner=lambda node: owner["value"]) != first
    assert digest(folder) == digest(folder)


class TestChecksums:
    @pytest.fixture
    def db(self, tmp_path):
        return Database(tmp_path / "tiffin.db")

    def node(self, folder):
        return MergedTree([folder]).resolve("README.md").node

    def old(self, folder):
        os.utime(folder / "README.md", (1, 1))
        time.sleep(0.06)  # the change time cannot be set back: let it grow older than the clock's grain

    def test_an_unchanged_file_is_not_read_again(self, folder, db, monkeypatch):
        self.old(folder)
        checksums = Checksums(db, "scope")
        first = checksums.digest(self.node(folder))
        checksums.save()
        monkeypatch.setattr("tiffin.build.checksum.hash_file", lambda node: pytest.fail("read again"))
        assert Checksums(db, "scope").digest(self.node(folder)) == first

    def test_a_change_of_the_same_size_and_time_is_seen(self, folder, db):
        self.old(folder)
        checksums = Checksums(db, "scope")
        first = checksums.digest(self.node(folder))
        checksums.save()
        (folder / "README.md").write_text("README.MD")
        os.utime(folder / "README.md", (1, 1))
        assert Checksums(db, "scope").digest(self.node(folder)) != first

    def test_a_file_that_changed_just_now_is_not_remembered(self, folder, db, monkeypatch):
        monkeypatch.setattr("tiffin.build.checksum._GRAIN", 10**18)  # "just now" on however busy a machine
        checksums = Checksums(db, "scope")
        (folder / "README.md").write_text("new")
        checksums.digest(self.node(folder))
        checksums.save()
        reads = []
        monkeypatch.setattr("tiffin.build.checksum.hash_file", lambda node: reads.append(node) or b"x")
        Checksums(db, "scope").digest(self.node(folder))
        assert reads

    def test_a_damaged_memory_is_forgotten(self, folder, db):
        with db.transaction() as connection:
            connection.execute("INSERT INTO checksum VALUES ('scope', x'ff00', 1)")
        assert Checksums(db, "scope").digest(self.node(folder)) == hash_file(self.node(folder))

    def test_large_files_are_hashed_beforehand_and_alike(self, folder, db):
        for name in ("one", "two"):
            (folder / name).write_bytes(name.encode() * 200_000)
        nodes = [MergedTree([folder]).resolve(name).node for name in ("one", "two")]
        checksums = Checksums(db, "scope")
        checksums.prepare(nodes)
        assert [checksums.digest(node) for node in nodes] == [hash_file(node) for node in nodes]

    def selected(self, folder):
        return select(MergedTree([folder]), ["."])

    def test_an_unchanged_selection_is_known_as_a_whole(self, folder, db, monkeypatch):
        self.old(folder)
        checksums = Checksums(db, "scope")
        first = checksums.selection("all", self.selected(folder), time.time_ns())
        checksums.save()
        monkeypatch.setattr(Checksums, "digest", lambda *_: pytest.fail("looked up"))
        assert Checksums(db, "scope").selection("all", self.selected(folder), time.time_ns()) == first

    @pytest.mark.parametrize("change", ["content", "mode", "name", "more", "less"])
    def test_any_change_of_a_selection_is_seen(self, folder, db, change):
        self.old(folder)
        checksums = Checksums(db, "scope")
        first = checksums.selection("all", self.selected(folder), time.time_ns())
        checksums.save()
        readme = folder / "README.md"
        if change == "content":
            readme.write_text("README.MD")
            os.utime(readme, (1, 1))
        elif change == "mode":
            readme.chmod(0o600)
        elif change == "name":
            readme.rename(folder / "README")
        elif change == "more":
            (folder / "empty").mkdir()
        else:
            readme.unlink()
        again = self.selected(folder)
        found = Checksums(db, "scope").selection("all", again, time.time_ns())
        assert found != first
        assert found == selection_digest(again, hash_file)

    def test_a_selection_of_what_changed_just_now_is_not_remembered(self, folder, db):
        (folder / "README.md").write_text("new")
        looked = (folder / "README.md").stat().st_ctime_ns
        checksums = Checksums(db, "scope")
        checksums.selection("all", self.selected(folder), looked)
        checksums.save()
        with db.read() as connection:
            assert not connection.execute("SELECT 1 FROM checksum WHERE scope LIKE '%all'").fetchall()
