"""What is told where there is no room: how much is left, and which command gives how much back."""

import errno
import os

import pytest
from tests.suites.images import add_container, make_image

from tiffin.engine import images
from tiffin.engine.building.request import BuildRequest
from tiffin.engine.builds import build
from tiffin.engine.lookup import need_image
from tiffin.engine.reclaimable import reclaimable
from tiffin.engine.room import advice
from tiffin.errors import FailedError, UnavailableError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a store with true owners belongs to root")
MIB = 1 << 20


def context(place, text, **files):
    place.mkdir(exist_ok=True)
    (place / "Dockerfile").write_text(text)
    for name, size in files.items():
        (place / name).write_bytes(os.urandom(size))
    return place


def test_each_kind_of_pruning_says_what_it_would_free(engine, tmp_path):
    make_image(engine, "used", layers=({"u": "u" * 5 * MIB},))
    add_container(engine, need_image(engine, "used"))
    make_image(engine, "app", layers=({"a": "a" * 4 * MIB},))
    make_image(engine, layers=({"d": "d" * 3 * MIB},))
    place = context(tmp_path / "c", "FROM scratch\nCOPY f /\nCOPY missing /\n", f=2 * MIB)
    with pytest.raises(Exception, match="missing"):
        build(engine, BuildRequest(place))
    found = dict(reclaimable(engine))
    assert list(found) == ["builder prune", "system prune", "system prune -a"]
    assert [size // MIB for size in found.values()] == [2, 5, 9]
    words = advice(engine)
    assert "'tiffin builder prune' frees about 2.1 MB, 'tiffin system prune' frees" in words
    images.remove(engine, ["app"])
    assert [size // MIB for size in dict(reclaimable(engine)).values()] == [2, 5]


def test_a_store_without_anything_to_spare_says_so(engine):
    make_image(engine, "used", layers=({"u": "u" * 5 * MIB},))
    add_container(engine, need_image(engine, "used"))
    assert advice(engine).startswith("nothing in the store is unused: set TIFFIN_HOME")


def test_a_disk_that_has_become_full_says_how_full(engine, tmp_path):
    with pytest.raises(UnavailableError) as caught, engine:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "none/f"))
    now = "now that the unfinished work is gone"
    assert f"{tmp_path}/none/f: the disk is full: {now}, the disk of {tmp_path} has" in caught.value.message
    assert caught.value.code == "enospc"
    with pytest.raises(UnavailableError, match="the disk quota is used up: now that"), engine:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")
    with pytest.raises(FileNotFoundError), engine:
        raise FileNotFoundError(errno.ENOENT, "none", "f")


def test_a_copy_that_cannot_fit_is_not_begun(engine, tmp_path, full_disk, monkeypatch):
    monkeypatch.setattr(
        "tiffin.build.outlook._EXACT", frozenset(("ext4", "tmpfs", "overlay", "xfs", "btrfs"))
    )
    place = context(tmp_path / "c", "FROM scratch\nCOPY f /\n", f=MIB)
    with full_disk(), pytest.raises(FailedError, match=r"COPY f / copies 1\.0 MB, and the disk of") as caught:
        build(engine, BuildRequest(place))
    assert caught.value.code == "no-room"
    assert engine.layers.all() == []
    build(engine, BuildRequest(place, tags=("app",)))
    with full_disk():  # what is remembered takes no more
        build(engine, BuildRequest(place, tags=("app",)))
