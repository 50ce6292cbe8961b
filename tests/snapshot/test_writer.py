import os
import stat

import pytest

from tiffin.errors import FailedError, InvalidError
from tiffin.layer.describe import describe
from tiffin.layer.owners import RecordedOwners, TrueOwners
from tiffin.snapshot.merged import MergedTree
from tiffin.snapshot.writer import LayerWriter, Meta

EPOCH = 315_619_200
OWNERS = TrueOwners() if os.geteuid() == 0 else RecordedOwners()
PLAIN = Meta(0, 0, 0o755)


@pytest.fixture
def lower(tmp_path):
    base = tmp_path / "lower"
    (base / "app/data").mkdir(parents=True)
    (base / "app").chmod(0o750)
    (base / "app/old").write_text("old")
    os.utime(base / "app/old", (2_000_000_000, 2_000_000_000))
    (base / "link").symlink_to("app")
    return base


@pytest.fixture
def upper(tmp_path):
    (tmp_path / "upper").mkdir()
    return tmp_path / "upper"


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "file").write_text("content")
    os.link(folder / "file", folder / "twin")
    return MergedTree([folder])


@pytest.fixture
def writer(upper, lower):
    return LayerWriter(upper, MergedTree([lower]), OWNERS, EPOCH)


def test_parents_are_copied_up_with_their_metadata(writer, upper, source):
    writer.make_directory("/app/data/new", PLAIN)
    writer.put_file("/app/data/new/file", source.resolve("file").node, Meta(0, 0, 0o600))
    writer.finish()
    assert (upper / "app/data/new/file").read_text() == "content"
    assert stat.S_IMODE((upper / "app").stat().st_mode) == 0o750
    assert stat.S_IMODE((upper / "app/data/new/file").stat().st_mode) == 0o600
    assert not (upper / "app/old").exists()


def test_new_files_have_the_epoch_and_replaced_ones_a_second_more(writer, upper, source):
    writer.make_directory("/app", PLAIN)
    writer.put_file("/app/new", source.resolve("file").node, PLAIN)
    writer.put_file("/app/old", source.resolve("file").node, PLAIN)
    writer.finish()
    assert (upper / "app/new").stat().st_mtime == EPOCH
    assert (upper / "app/old").stat().st_mtime == 2_000_000_001


def test_directories_have_their_times_after_they_were_filled(writer, upper):
    writer.make_directory("/new/deep", PLAIN)
    writer.put_bytes("/new/deep/file", b"x", PLAIN)
    writer.finish()
    assert (upper / "new").stat().st_mtime == (upper / "new/deep").stat().st_mtime == EPOCH


def test_a_directory_does_not_take_the_place_of_a_link_or_file(writer):
    for path in ("/link", "/app/old", "/app/old/below"):
        with pytest.raises(InvalidError, match="not a directory"):
            writer.make_directory(path, PLAIN)


def test_a_file_does_not_take_the_place_of_a_directory(writer, source):
    with pytest.raises(InvalidError, match="over the directory /app/data"):
        writer.put_file("/app/data", source.resolve("file").node, PLAIN)


def test_an_archive_replaces_what_it_meets(writer, upper, source):
    writer.make_directory("/app/data/mine", PLAIN)
    with writer.replacing():
        writer.make_directory("/link", PLAIN)
        writer.put_file("/app/data", source.resolve("file").node, PLAIN)
    writer.finish()
    assert (upper / "link").is_dir()
    assert (upper / "app/data").is_file()


def test_the_last_of_two_files_stays(writer, upper):
    writer.put_bytes("/same", b"first", PLAIN)
    writer.put_link("/same", "elsewhere", PLAIN)
    writer.put_bytes("/same", b"last", PLAIN)
    assert (upper / "same").read_bytes() == b"last"


def test_hard_links_stay_links_only_when_asked(writer, upper, source):
    for name in ("file", "twin"):
        writer.put_file(f"/kept-{name}", source.resolve(name).node, PLAIN, keep_links=True)
        writer.put_file(f"/apart-{name}", source.resolve(name).node, PLAIN)
    writer.finish()
    assert (upper / "kept-file").samefile(upper / "kept-twin")
    assert not (upper / "apart-file").samefile(upper / "apart-twin")


def test_owners_are_set_or_recorded(writer, upper):
    writer.put_bytes("/file", b"", Meta(33, 44, 0o4755))
    status = (upper / "file").stat()
    assert OWNERS.read(str(upper / "file"), status) == (33, 44)
    assert stat.S_IMODE(status.st_mode) == 0o4755


def test_many_files_are_all_there_and_dressed(writer, upper, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(300):
        (folder / f"{number}").write_text(str(number) * 50)
    tree = MergedTree([folder])
    for node in tree.walk(tree.root):
        writer.put_file(node.path, node, Meta(0, 0, 0o640))
    writer.finish()
    for number in range(300):
        path = upper / f"{number}"
        assert path.read_text() == str(number) * 50
        assert (stat.S_IMODE(path.stat().st_mode), path.stat().st_mtime) == (0o640, EPOCH)


def test_a_file_that_changes_while_it_is_copied_is_an_error(writer, tmp_path):
    (tmp_path / "live").mkdir()
    (tmp_path / "live/log").write_text("one")
    node = MergedTree([tmp_path / "live"]).resolve("log").node
    (tmp_path / "live/log").write_text("two and more")
    writer.put_file("/log", node, PLAIN)
    with pytest.raises(FailedError, match="was changed while it was copied"):
        writer.finish()


@pytest.mark.skipif(os.geteuid() != 0, reason="owners that are recorded are not told of")
def test_what_is_written_in_order_is_told(lower, upper, tmp_path):
    folder = tmp_path / "many"
    for number in range(300):
        path = folder / f"{number // 50}" / f"{number % 50}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(number * 30))
    (folder / "large").write_bytes(os.urandom(1_500_000))
    (folder / "link").symlink_to("large")
    writer = LayerWriter(upper, MergedTree([lower]), OWNERS, EPOCH, tell=True)
    writer.make_directory("/app/data", PLAIN)
    tree = MergedTree([folder])
    for node in tree.walk(tree.root):
        path, meta = f"/app/data{node.path}", Meta(7, 3_000_000, 0o640)
        if node.is_directory:
            writer.make_directory(path, meta)
        elif node.is_link:
            writer.put_link(path, os.readlink(node.host), meta)
        else:
            writer.put_file(path, node, meta)
    found = writer.finish()
    assert found is not None
    assert found[:2] == describe(upper, OWNERS)[:2]


@pytest.mark.skipif(os.geteuid() != 0, reason="owners that are recorded are not told of")
def test_nothing_is_told_of_what_was_written_twice_or_out_of_order(upper, source):
    for paths in (["/b", "/a"], ["/a", "/a"]):
        writer = LayerWriter(upper, MergedTree([]), OWNERS, EPOCH, tell=True)
        for path in paths:
            writer.put_file(path, source.resolve("file").node, PLAIN)
        assert writer.finish() is None
        for path in set(paths):
            os.unlink(f"{upper}{path}")


def test_the_disk_is_told_of_each_much_that_was_written(upper, source, monkeypatch):
    monkeypatch.setattr("tiffin.snapshot.writer._MUCH", 10)
    told = []
    writer = LayerWriter(upper, MergedTree([]), OWNERS, EPOCH, wrote=lambda: told.append(1))
    for name in "abcd":  # of seven bytes each
        writer.put_file(f"/{name}", source.resolve("file").node, PLAIN)
    writer.finish()
    assert len(told) == 2
