"""Owners of links and fifos, which cannot carry a record."""

import errno
import os

import pytest

from tiffin.errors import CorruptError, FailedError
from tiffin.layer import links
from tiffin.layer.owners import RecordedOwners
from tiffin.linux.ownerrecord import LINKS, entry
from tiffin.linux.statx import born

OWNERS = RecordedOwners()


def read(path):
    return OWNERS.read(str(path), path.lstat())


def birth(path):
    fd = os.open(path, os.O_PATH | os.O_NOFOLLOW)
    try:
        return path.lstat().st_ino, born(fd)
    finally:
        os.close(fd)


class Below:
    """The tree that is below an upper directory."""

    def __init__(self, root) -> None:
        self.root = root

    def status(self, path):
        found = self.root / path
        return found.lstat() if os.path.lexists(found) else None

    def host(self, path):
        return str(self.root / path) if os.path.lexists(self.root / path) else None


def test_links_and_fifos_have_owners(tmp_path):
    link, fifo = tmp_path / "link", tmp_path / "fifo"
    link.symlink_to("nowhere")
    os.mkfifo(fifo)
    assert (read(link), read(fifo)) == ((0, 0), (0, 0))
    OWNERS.change(str(link), 7, 8)
    OWNERS.change(str(fifo), 9, 0)
    assert (read(link), read(fifo), read(tmp_path)) == ((7, 8), (9, 0), (0, 0))
    OWNERS.change(str(link), 0, 0)
    assert (read(link), read(fifo)) == ((0, 0), (9, 0))


def test_what_a_container_said_of_its_links_is_written_down(tmp_path):
    upper, journal = tmp_path / "upper", tmp_path / "links"
    (upper / "d").mkdir(parents=True)
    link = upper / "before"
    link.symlink_to("x")
    os.link(link, upper / "second", follow_symlinks=False)
    said = birth(link)
    moved = upper / "d/after"
    link.rename(moved)
    (upper / "other").symlink_to("x")
    journal.write_bytes(entry(said, (5, 5)) + entry(said, (7, 8)) + entry((said[0], said[1] + 1), (9, 9)))
    links.settle(upper, journal, None)
    assert read(moved) == read(upper / "second") == (7, 8)
    assert read(upper / "other") == (0, 0)


def test_a_link_that_was_copied_up_is_known_by_the_one_below(tmp_path):
    upper, lower, journal = tmp_path / "upper", tmp_path / "lower", tmp_path / "links"
    for place in (lower, upper):
        place.mkdir()
        (place / "link").symlink_to("x")
    said = (lower / "link").lstat().st_ino, birth(upper / "link")[1]
    journal.write_bytes(entry(said, (7, 8)))
    links.settle(upper, journal, Below(lower))
    assert read(upper / "link") == (7, 8)


def test_what_overlayfs_copied_of_a_directory_says_nothing_of_what_is_new(tmp_path):
    upper, lower, journal = tmp_path / "upper", tmp_path / "lower", tmp_path / "links"
    for place in (lower, upper):
        place.mkdir()
    for name in ("copied", "made-again", "given"):
        (lower / name).symlink_to("x")
        OWNERS.change(str(lower / name), 7, 8)
    os.setxattr(upper, LINKS, os.getxattr(lower, LINKS))
    for name in ("copied", "made-again", "new", "given", "said"):
        (upper / name).symlink_to("x")
    moment = (lower / "copied").lstat().st_mtime_ns
    os.utime(upper / "copied", ns=(moment, moment), follow_symlinks=False)
    os.utime(upper / "made-again", ns=(5, 5), follow_symlinks=False)
    OWNERS.change(str(upper / "given"), 9, 9)
    os.utime(upper / "given", ns=(5, 5), follow_symlinks=False)
    journal.write_bytes(entry(birth(upper / "said"), (3, 4)))
    for _ in range(2):
        links.settle(upper, journal, Below(lower))
        found = {path.name: read(path) for path in upper.iterdir()}
        assert found == {
            "copied": (7, 8),
            "made-again": (0, 0),
            "new": (0, 0),
            "given": (9, 9),
            "said": (3, 4),
        }
    for path in upper.iterdir():
        path.unlink()
    links.settle(upper, journal, Below(lower))
    assert LINKS not in os.listxattr(upper)


def test_without_a_journal_nothing_is_written_down(tmp_path):
    (tmp_path / "link").symlink_to("x")
    links.settle(tmp_path, tmp_path / "absent", None)
    assert LINKS not in os.listxattr(tmp_path)


def test_where_there_is_little_room_those_of_the_most_are_not_named(tmp_path, monkeypatch):
    real = os.setxattr

    def small(path, name, value):
        if len(value) > 60:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(path, name, value)

    monkeypatch.setattr(os, "setxattr", small)
    for number in range(40):
        (tmp_path / f"link{number}").symlink_to("x")
        OWNERS.change(str(tmp_path / f"link{number}"), *((3, 4) if number == 5 else (7, 8)))
    assert {read(tmp_path / f"link{number}") for number in range(40) if number != 5} == {(7, 8)}
    assert read(tmp_path / "link5") == (3, 4)

    def give_each_its_own():
        for number in range(40):
            OWNERS.change(str(tmp_path / f"link{number}"), number, number)

    with pytest.raises(FailedError, match="too many owners"):
        give_each_its_own()


def test_an_attribute_that_is_none_is_named(tmp_path):
    (tmp_path / "link").symlink_to("x")
    os.setxattr(tmp_path, LINKS, b"nonsense")
    with pytest.raises(CorruptError, match="names no owners"):
        read(tmp_path / "link")
