"""Times inside files: what programs wrote during a step says the epoch, and nothing else is touched."""

import os
import stat

import pytest

from tiffin.layer.diff import normalise
from tiffin.layer.moments import log, shadow
from tiffin.layer.owners import TrueOwners

EPOCH = 315_619_200  # 1980-01-02
BEGAN = 1_795_874_707  # 2026-11-28 14:05:07
DAY = BEGAN // 86_400


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"Start-Date: 2026-11-28  14:05:09\n", b"Start-Date: 1980-01-02  00:00:00\n"),
        (
            b"2026-11-28 14:05:09 status installed tini:amd64\n",
            b"1980-01-02 00:00:00 status installed tini:amd64\n",
        ),
        (
            b"update-alternatives 2026-12-01 00:00:00: run\n",
            b"update-alternatives 1980-01-02 00:00:00: run\n",
        ),
        # A zone west of ours has yesterday still; what is older was there before.
        (b"2026-11-27 20:05:09 x\n", b"1980-01-02 00:00:00 x\n"),
        (b"2026-11-26 20:05:09 x\n", b"2026-11-26 20:05:09 x\n"),
        (b"2024-02-01 10:00:00 of the base\n", b"2024-02-01 10:00:00 of the base\n"),
        (b"version 2026-11-28 and \xff\n", b"version 2026-11-28 and \xff\n"),
        (b"", b""),
    ],
)
def test_a_log(before, after):
    assert log(before, BEGAN, EPOCH) == after
    assert log(after, BEGAN, EPOCH) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f"anna:!:{DAY}:0:99999:7:::\n", "anna:!:3653:0:99999:7:::\n"),
        (f"anna:!:{DAY + 1}:0:99999:7:::", "anna:!:3653:0:99999:7:::"),
        ("root:*:19753:0:99999:7:::\n", "root:*:19753:0:99999:7:::\n"),
        ("odd::\n\nno fields\n", "odd::\n\nno fields\n"),
    ],
)
def test_shadow(before, after):
    assert shadow(before.encode(), BEGAN, EPOCH) == after.encode()


@pytest.fixture
def upper(tmp_path):
    for name, text in {
        "etc/shadow": f"anna:!:{DAY}:0:99999:7:::\n",
        "var/log/dpkg.log": "2026-11-28 14:05:09 startup\n",
        "var/log/mine.log": "2026-11-28 14:05:09 startup\n",
        "var/cache/ldconfig/aux-cache": "inodes",
    }.items():
        path = tmp_path / "upper" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "upper/etc/shadow").chmod(0o640)
    return tmp_path / "upper"


def settle(upper, began=BEGAN):
    normalise(upper, lambda _path: None, EPOCH, TrueOwners(), began=began)


def test_the_known_files_of_a_step_say_the_epoch_and_others_stay(upper):
    settle(upper)
    assert (upper / "etc/shadow").read_text() == "anna:!:3653:0:99999:7:::\n"
    assert stat.S_IMODE((upper / "etc/shadow").stat().st_mode) == 0o640
    assert (upper / "var/log/dpkg.log").read_text() == "1980-01-02 00:00:00 startup\n"
    assert (upper / "var/log/mine.log").read_text() == "2026-11-28 14:05:09 startup\n"
    assert os.listdir(upper / "var/cache/ldconfig") == []
    assert {path.lstat().st_mtime for path in upper.rglob("*")} == {EPOCH}


def test_nothing_is_read_or_written_through_a_link(upper, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "dpkg.log").write_text("2026-11-28 14:05:09 startup\n")
    (outside / "shadow").write_text(f"host:!:{DAY}:0:99999:7:::\n")
    for name in ("var/log/dpkg.log", "etc/shadow"):
        (upper / name).unlink()
    (upper / "var/log/mine.log").unlink()
    (upper / "var/log").rmdir()
    (upper / "var/log").symlink_to(outside)
    (upper / "etc/shadow").symlink_to(outside / "shadow")
    settle(upper)
    assert (outside / "dpkg.log").read_text().startswith("2026-11-28")
    assert f":{DAY}:" in (outside / "shadow").read_text()
