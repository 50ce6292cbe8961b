"""What is told while a layer is made is what is found in it afterwards, or nothing."""

import io
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.layer.test_apply import directory, file, hard, link, pack

from tiffin.layer.apply import apply
from tiffin.layer.describe import describe
from tiffin.layer.owners import TrueOwners
from tiffin.layer.tar import open_tar
from tiffin.layer.telling import Telling
from tiffin.layer.tree import Entry

OWNERS = TrueOwners()
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a layer belongs to root")

ORDERLY = {
    "nothing": (),
    "a file": (file("a"),),
    "a long name": (file("d" * 90 + "/" + "f" * 120),),
    "parents that nobody names": (file("a/b/c/d"), file("a/b/x"), file("b")),
    "a directory, and what sorts between it and its entries elsewhere": (
        directory("a"),
        file("a/z"),
        file("a-b"),
        file("a.b"),
    ),
    "a root of its own": (directory("./", mode=0o700, mtime=7), file("a")),
    "a plain root": (directory("./"), file("a")),
    "empty and large": (file("a", b""), file("b", bytes(3_000_001)), file("c", b"x" * 512)),
    "links": (file("a"), link("b", "a"), hard("c", "a"), hard("d", "c"), hard("e/f", "a")),
    "whiteouts": (directory("a"), file("a/.wh.gone", b""), file("a/x"), file(".wh.b", b"")),
    "an opaque directory": (directory("a"), file("a/.wh..wh..opq", b""), file("a/x")),
    "owners, modes and times": (file("a", uid=3_000_000, gid=7, mode=0o4755, mtime=1_700_000_000),),
}
OTHERWISE = {
    "children first": (file("b/x"), file("b/a")),
    "a directory after what is in it": (file("a/x"), directory("a", mode=0o700)),
    "twice": (file("a"), file("a", b"other")),
    "through a link": (directory("a"), link("b", "a"), file("b/c")),
    "a hard link through a link": (directory("a"), file("a/f"), link("b", "a"), hard("c", "b/f")),
    "a hard link to a link": (link("a", "x"), hard("b", "a")),
    "an opaque directory said late": (directory("a"), file("a/x"), file("a/.wh..wh..opq", b"")),
    "an attribute": (file("a", pax_headers={"SCHILY.xattr.user.note": "x"}),),
    "a time beyond what every file system keeps": (file("a", mtime=1 << 32),),
}


def told(entries, root):
    root.mkdir()
    return apply(io.BytesIO(pack(*entries)), root, OWNERS, tell=True)


@pytest.mark.parametrize("name", ORDERLY)
def test_what_comes_in_order_is_told(name, tmp_path):
    assert told(ORDERLY[name], tmp_path / "root").tar == describe(tmp_path / "root", OWNERS).diff_id


@pytest.mark.parametrize("name", OTHERWISE)
def test_of_what_does_not_nothing_is_said(name, tmp_path):
    assert told(OTHERWISE[name], tmp_path / "root").tar is None


def test_nothing_is_said_unless_asked(tmp_path):
    (tmp_path / "root").mkdir()
    assert apply(io.BytesIO(pack(file("a"))), tmp_path / "root", OWNERS).tar is None


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(["a", "b", "a-", "é", ".x"]), min_size=1, max_size=3).map("/".join),
            st.sampled_from([directory, file, lambda name: link(name, "a"), lambda name: hard(name, "a")]),
        ),
        max_size=8,
    )
)
def test_it_is_never_wrong(tmp_path_factory, entries):
    root = tmp_path_factory.mktemp("told") / "root"
    try:
        found = told([make(name) for name, make in entries], root).tar
    except Exception:  # noqa: BLE001 - what is refused is another test's matter
        return
    assert found in (None, describe(root, OWNERS).diff_id)


def test_our_own_tars_are_told_whole(tmp_path):
    for name, data in {"usr/lib/b": b"x" * 5000, "usr/a": b"", "etc/c": b"1"}.items():
        (tmp_path / "made" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "made" / name).write_bytes(data)
    (tmp_path / "root").mkdir()
    with open_tar(tmp_path / "made", OWNERS) as tar:
        applied = apply(tar, tmp_path / "root", OWNERS, tell=True)
    assert applied.tar == applied.diff_id


def test_content_that_is_missing_leaves_nothing_to_say():
    with Telling() as telling:
        telling.add(Entry("a", "file", 0o644, 0, 0, 10, 0))
        telling.data(b"half")
        assert telling.diff_id() is None
