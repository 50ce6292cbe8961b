"""Links to libraries of this machine and their place in a cache, in root filesystems of every kind."""

import io
import json
import os
import sys

import pytest

from tiffin.linux import ldcache
from tiffin.runtime import libraries
from tiffin.runtime.libraries import FindLibraries
from tiffin.runtime.plan import LIBRARIES

TODO = FindLibraries(
    (("/usr/lib/libcuda.so.1", "libcuda.so.5"), ("/usr/lib/libcuda.so", "libcuda.so.1")),
    (("libcuda.so.1", "/usr/lib/libcuda.so.1"),),
    0x0303,
)
OTHER = ldcache.Entry("libz.so.1", "/lib/libz.so.1", 0x0303)
STUB = ldcache.Entry("libcuda.so.1", "/stubs/libcuda.so.1", 0x0303)


@pytest.fixture
def root(tmp_path):
    (tmp_path / "root").mkdir()
    return tmp_path / "root"


def act(root, todo=TODO):
    fd = os.open(root, os.O_PATH | os.O_DIRECTORY)
    try:
        todo.apply_to(fd)
    finally:
        os.close(fd)


def cached(root):
    return ldcache.decode((root / "etc/ld.so.cache").read_bytes())


def test_what_was_in_the_cache_stays_behind_ours(root):
    (root / "etc/ld.so.conf.d").mkdir(parents=True)
    (root / "etc/ld.so.cache").write_bytes(ldcache.encode([OTHER, STUB]))
    ours = ldcache.Entry("libcuda.so.1", "/usr/lib/libcuda.so.1", 0x0303)
    for _ in range(2):  # and again, at the next start
        act(root)
        assert cached(root) == [OTHER, ours, STUB]
    assert os.readlink(root / "usr/lib/libcuda.so") == "libcuda.so.1"
    assert (root / "etc/ld.so.conf.d/00-tiffin-driver.conf").read_text() == "/usr/lib\n"
    assert (root / "etc/ld.so.cache").stat().st_mode & 0o777 == 0o644


def test_an_image_without_a_cache_gets_one_and_no_configuration(root):
    act(root)
    assert [entry.name for entry in cached(root)] == ["libcuda.so.1"]
    assert not (root / "etc/ld.so.conf.d").exists()


def test_links_of_the_last_start_are_renewed_and_files_of_the_image_stay(root):
    (root / "usr/lib").mkdir(parents=True)
    (root / "usr/lib/libcuda.so.1").symlink_to("libcuda.so.4")
    (root / "usr/lib/libcuda.so").write_text("the image's")
    act(root)
    assert os.readlink(root / "usr/lib/libcuda.so.1") == "libcuda.so.5"
    assert (root / "usr/lib/libcuda.so").read_text() == "the image's"


@pytest.mark.parametrize("what", ["etc", "cache", "folder", "conf", "device"])
def test_nothing_leads_out_of_the_root(root, tmp_path, what):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "ld.so.cache").write_bytes(b"host")
    (root / "etc").mkdir()
    if what == "etc":
        (root / "etc").rmdir()
        (root / "etc").symlink_to(outside)
    elif what == "cache":
        (root / "etc/ld.so.cache").symlink_to(outside / "ld.so.cache")
    elif what == "folder":
        (root / "usr").symlink_to(f"../../../../../..{outside}")
    elif what == "conf":
        (root / "etc/ld.so.conf.d").symlink_to(outside)
    else:
        os.mkfifo(root / "etc/ld.so.cache")
    act(root)
    assert [path.name for path in outside.iterdir()] == ["ld.so.cache"]
    assert (outside / "ld.so.cache").read_bytes() == b"host"


def withdrawn(root, before=b""):
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        TODO.withdraw(fd, "/etc/ld.so.cache", before)
    finally:
        os.close(fd)
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir())


def test_what_was_done_is_taken_out_of_a_layer_again(root):
    act(root)
    assert withdrawn(root) == []
    (root / "etc/ld.so.conf.d").mkdir()
    (root / "etc/ld.so.cache").write_bytes(ldcache.encode([OTHER, STUB]))
    act(root)
    assert withdrawn(root, ldcache.encode([STUB, OTHER])) == []


def test_a_cache_that_was_written_meanwhile_loses_these_libraries_only(root):
    act(root)
    (root / "etc/ld.so.cache").write_bytes(ldcache.encode([*cached(root), OTHER]))
    (root / "usr/lib/libcuda.so").unlink()
    (root / "usr/lib/libcuda.so").write_text("made by the step")
    assert withdrawn(root) == ["etc/ld.so.cache", "usr/lib/libcuda.so"]
    assert cached(root) == [OTHER]


def test_taking_out_follows_no_link(root, tmp_path):
    act(root)
    outside = tmp_path / "outside"
    (root / "etc").rename(outside)
    (root / "etc").symlink_to(outside)
    withdrawn(root)
    assert [path.name for path in outside.iterdir()] == ["ld.so.cache"]


def test_the_hook_of_other_runtimes_does_the_same(root, tmp_path, monkeypatch):
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    (bundle / "config.json").write_text(json.dumps({"root": {"path": str(root)}}))
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps({"bundle": str(bundle)})))
    monkeypatch.setattr(sys, "argv", [LIBRARIES, TODO.to_text()])
    libraries.main()
    assert os.readlink(root / "usr/lib/libcuda.so.1") == "libcuda.so.5"
