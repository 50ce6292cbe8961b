"""What a step will take is looked at before it begins: refused where it is certain, told where not."""

import os

import pytest

from tiffin.build import outlook
from tiffin.build.outlook import Outlook, needs
from tiffin.build.selection import select
from tiffin.errors import FailedError
from tiffin.linux.room import Room
from tiffin.snapshot.merged import MergedTree


@pytest.fixture
def selection(tmp_path):
    tree = tmp_path / "tree"
    (tree / "d").mkdir(parents=True)
    (tree / "d/one").write_bytes(b"x" * 10_000)
    os.link(tree / "d/one", tree / "d/two")
    with (tree / "d/holes").open("wb") as file:
        file.truncate(1 << 30)
    (tree / "d/link").symlink_to("one")
    return select(MergedTree([tree]), ["d"])


@pytest.fixture
def told():
    return []


@pytest.fixture
def look(monkeypatch, tmp_path, told):
    """Look at a disk of which so much is left, and of that kind."""

    def make(room, kind="ext4"):
        monkeypatch.setattr(outlook, "room_of", lambda _folder: room)
        monkeypatch.setattr(outlook, "mount_of", lambda _mounts, _path: type("M", (), {"kind": kind}))
        return Outlook(tmp_path, lambda event: told.append(event.message), lambda: "do this")

    return make


def test_what_a_copy_needs(selection):
    assert needs([(selection, False)]) == (10_000, 4, True)
    assert needs([(selection, False), (selection, True)])[2] is False


def test_what_fits_is_not_spoken_of(look, selection, told):
    look(Room(10_000, 10_000, 4)).copy("COPY d", [(selection, False)])
    look(Room(0, 10_000)).run("RUN it", None)
    look(Room(100, 10_000)).run("RUN it", 100)
    assert told == []


@pytest.mark.parametrize(
    ("room", "words"),
    [
        (Room(9_999, 10_000_000), "COPY d copies 0.0 MB, and the disk of"),
        (Room(10**6, 10**7, 3), "COPY d copies 4 files, and the disk of"),
        (Room(9_999, 10_000_000, by_quota=True), "and your quota on"),
    ],
)
def test_what_cannot_fit_is_refused(look, selection, told, room, words):
    with pytest.raises(FailedError) as caught:
        look(room).copy("COPY d", [(selection, False)])
    assert words in caught.value.message
    assert (caught.value.code, caught.value.hint, told) == ("no-room", "do this", [])


@pytest.mark.parametrize(("kind", "unpack"), [("btrfs", False), ("xfs", False), ("ext4", True)])
def test_what_may_share_blocks_or_come_out_of_archives_is_only_told(look, selection, told, kind, unpack):
    look(Room(1, 10_000_000), kind).copy("ADD d", [(selection, unpack)])
    (line,) = told
    assert line.startswith("ADD d copies")
    assert line.endswith("it will probably not fit; do this")


def test_what_a_command_made_the_last_time_is_told(look, tmp_path, told):
    look(Room(2_000_000, 10_000_000)).run("RUN pip install", 3_000_000)
    (line,) = told
    assert line == (
        f"RUN pip install made 3.0 MB the last time, and the disk of {tmp_path} has 2.0 MB of 10.0 MB left: "
        "it will probably not fit; do this"
    )
