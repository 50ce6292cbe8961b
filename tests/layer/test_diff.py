# ruff: noqa: E501  # a table reads best with one case a line
import importlib.util
import os
import py_compile
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.suites.trees import build, picture

from tiffin.layer.apply import apply
from tiffin.layer.collect import collect
from tiffin.layer.describe import describe
from tiffin.layer.diff import Change, normalise, source_of, tree_changes
from tiffin.layer.owners import RecordedOwners, TrueOwners
from tiffin.layer.tar import open_tar
from tiffin.linux.remove import remove_tree
from tiffin.snapshot.merged import MergedTree

OWNERS = TrueOwners()
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="whiteouts and owners need root")
EPOCH = 1_700_000_000
S = 1_000_000_000


def settle(upper, lower=None, epoch=EPOCH, owners=OWNERS):
    def status(path):
        try:
            return os.lstat(lower / path) if lower else None
        except FileNotFoundError:
            return None

    return normalise(upper, status, epoch, owners, place=lambda path: str(lower / path))


def names(base):
    return sorted(picture(base)[0])


def test_copies_that_overlayfs_made_on_its_way_are_dropped(tmp_path):
    plain = {"mode": 0o751, "uid": 3, "gid": 4, "xattrs": {"user.x": b"1"}}
    lower = build(
        tmp_path / "l", dict.fromkeys(("a", "a/b", "a/b/c", "d", "e", "f", "g"), ("dir", None, plain))
    )
    upper = build(
        tmp_path / "u",
        {
            "a": ("dir", None, plain),
            "a/b": ("dir", None, plain),
            "a/b/c": ("dir", None, plain),
            "d": ("dir", None, {**plain, "mode": 0o750}),
            "e": ("dir", None, {**plain, "uid": 5}),
            "f": ("dir", None, {**plain, "xattrs": {"user.x": b"2"}}),
            "g": ("dir", None, {**plain, "opaque": True}),
            "new": ("dir", None, {}),
        },
    )
    settle(upper, lower)
    assert names(upper) == ["d", "e", "f", "g", "new"]


def test_files_of_which_only_the_rest_changed_are_told(tmp_path):
    """Overlayfs copies the whole file, its time included, to change an owner, a mode or an attribute."""
    old = {"mtime": 5 * S, "mode": 0o600}
    entries = {
        "chowned": b"1234",
        "chmodded": b"12",
        "edited": b"1",
        "grown": b"1",
        "gone": b"1",
        "d/in": b"123",
    }
    lower = build(
        tmp_path / "l",
        {"d": ("dir", None, {}), **{name: ("file", data, old) for name, data in entries.items()}},
    )
    upper = build(
        tmp_path / "u",
        {
            "d": ("dir", None, {}), "d/in": ("file", b"123", {**old, "uid": 7}),
            "chowned": ("file", b"1234", {**old, "uid": 7}),
            "chmodded": ("file", b"12", {**old, "mode": 0o644}),
            "edited": ("file", b"2", {"mtime": 6 * S}),
            "grown": ("file", b"12", old),
            "gone": ("dir", None, {"mtime": 5 * S}),
            "new": ("file", b"1", old),
        },
    )  # fmt: skip
    assert settle(upper, lower) == (3, 9)
    assert settle(build(tmp_path / "n", {"new": ("file", b"1", old)})) == (0, 0)


def test_without_a_place_directories_with_attributes_stay(tmp_path):
    lower = build(
        tmp_path / "l", {"a": ("dir", None, {"uid": 7}), "b": ("dir", None, {"xattrs": {"user.x": b"1"}})}
    )
    upper = build(
        tmp_path / "u", {"a": ("dir", None, {"uid": 7}), "b": ("dir", None, {"xattrs": {"user.x": b"1"}})}
    )
    normalise(upper, lambda path: os.lstat(lower / path), EPOCH, OWNERS)
    assert names(upper) == ["b"]


def test_recorded_owners_are_compared(tmp_path):
    owners = RecordedOwners()
    for base, uid in (("l", 5), ("u", 5)):
        build(tmp_path / base, {"same": ("dir", None, {}), "other": ("dir", None, {})})
        owners.change(str(tmp_path / base / "same"), uid, uid)
    owners.change(str(tmp_path / "u" / "other"), 6, 6)
    settle(tmp_path / "u", tmp_path / "l", owners=owners)
    assert names(tmp_path / "u") == ["other"]


def test_marks_that_hide_nothing_are_dropped(tmp_path):
    lower = build(
        tmp_path / "l",
        {
            "d": ("dir", None, {}), "d/x": ("file", b"", {}), "d/e": ("dir", None, {}), "f": ("file", b"", {}),
            "l": ("link", "d", {}), "gone": ("file", b"", {}),
        },
    )  # fmt: skip
    opaque = {"opaque": True}
    upper = build(
        tmp_path / "u",
        {
            "d": ("dir", None, opaque), "d/x": ("white", None, {}), "d/e": ("dir", None, opaque), "d/e/y": ("file", b"", {}),
            "f": ("dir", None, opaque), "f/y": ("file", b"", {}),
            "l": ("dir", None, opaque), "l/x": ("white", None, {}), "l/y": ("file", b"", {}),
            "new": ("dir", None, opaque), "new/y": ("file", b"", {}),
            "gone": ("white", None, {}), "never": ("white", None, {}),
        },
    )  # fmt: skip
    settle(upper, lower)
    assert names(upper) == sorted(["d", "d/e", "d/e/y", "f", "f/y", "l", "l/y", "new", "new/y", "gone"])
    marked = [
        path for path in ("d", "d/e", "f", "l", "new") if "user.overlay.opaque" in os.listxattr(upper / path)
    ]
    assert marked == ["d"]


def test_times_are_the_epoch_or_just_after_what_was_replaced(tmp_path):
    late = {"mtime": (EPOCH + 50) * S + 7}
    lower = build(
        tmp_path / "l",
        {
            "late": ("file", b"", late), "early": ("file", b"", {"mtime": 5}), "d": ("dir", None, late), "l": ("link", "x", late),
            "swap": ("dir", None, late),
        },
    )  # fmt: skip
    upper = build(
        tmp_path / "u",
        {
            "late": ("file", b"1", {}), "early": ("file", b"1", {}), "d": ("dir", None, {}), "d/f": ("file", b"", {}),
            "l": ("link", "y", {}), "new": ("file", b"", {}), "swap": ("file", b"", {}),
        },
    )  # fmt: skip
    settle(upper, lower)
    found = {path: os.lstat(upper / path).st_mtime_ns - EPOCH * S for path in names(upper)}
    assert found == {
        "late": 51 * S, "early": 0, "d": 50 * S, "d/f": 0, "l": 51 * S, "new": 0, "swap": 51 * S,
    }  # fmt: skip
    assert upper.stat().st_mtime_ns >= EPOCH * S


def test_a_file_whose_content_is_as_it_was_keeps_its_time(tmp_path):
    """What was compiled from it in an earlier layer names that time, and stays valid."""
    lower = build(tmp_path / "l", {name: ("file", b"1234", {"mtime": 2 * S + EPOCH * S}) for name in "abc"})
    later = {"mtime": 2 * S + EPOCH * S, "mode": 0o600}
    upper = build(
        tmp_path / "u",
        {"a": ("file", b"1234", later), "b": ("file", b"1234", {"mtime": 0}), "c": ("file", b"12345", later)},
    )
    settle(upper, lower)
    assert {name: (upper / name).stat().st_mtime - EPOCH for name in "abc"} == {"a": 2, "b": 3, "c": 3}


def test_names_of_one_file_get_one_time_whatever_comes_first(tmp_path):
    lower = build(tmp_path / "l", {"m": ("file", b"", {"mtime": (EPOCH + 9) * S})})
    for order in (["a", "m", "z"], ["m", "z", "a"], ["z", "a", "m"]):
        table = {order[0]: ("file", b"x", {}), **{name: ("hard", order[0], {}) for name in order[1:]}}
        upper = build(tmp_path / "u", table)
        settle(upper, lower)
        assert os.lstat(upper / "a").st_mtime_ns == (EPOCH + 10) * S
        remove_tree(upper)


def loads_without_compiling(upper, name):
    code = (
        "import sys, importlib._bootstrap_external as b\n"
        "def no(*a, **k): raise SystemExit('compiled anew')\n"
        "b.SourceLoader.source_to_code = no\n"
        f"sys.path.insert(0, {str(upper)!r}); import {name}; print({name}.ANSWER)"
    )
    done = subprocess.run([sys.executable, "-B", "-c", code], capture_output=True, text=True, check=False)
    return done.stdout == "42\n", done.stderr


@pytest.mark.parametrize("mode", ["TIMESTAMP", "CHECKED_HASH", "UNCHECKED_HASH"])
def test_compiled_files_stay_valid(tmp_path, mode):
    upper = build(
        tmp_path / "u", {"model.py": ("file", b"ANSWER = 42\n", {"mtime": 1_690_000_000_123_456_789})}
    )
    compiled = py_compile.compile(
        str(upper / "model.py"), invalidation_mode=py_compile.PycInvalidationMode[mode], doraise=True
    )
    before = Path(compiled).read_bytes()
    assert loads_without_compiling(upper, "model") == (True, "")
    settle(upper)
    assert loads_without_compiling(upper, "model") == (True, "")
    after = Path(compiled).read_bytes()
    assert (before == after) is (mode != "TIMESTAMP")
    assert before[:8] + before[12:] == after[:8] + after[12:]


def test_two_builds_at_different_times_give_one_layer(tmp_path):
    found = set()
    for name, moment in (("one", 1_690_000_000), ("two", 1_695_555_555)):
        source = {
            "p": ("dir", None, {"mtime": moment * S}),
            "p/m.py": ("file", b"ANSWER = 42\n", {"mtime": moment * S}),
        }
        upper = build(tmp_path / name, source)
        py_compile.compile(str(upper / "p" / "m.py"), dfile="/p/m.py", doraise=True)
        settle(upper)
        found.add(describe(upper, OWNERS).diff_id)
    assert len(found) == 1


def test_compiled_files_that_were_stale_stay_stale(tmp_path):
    upper = build(tmp_path / "u", {"model.py": ("file", b"ANSWER = 42\n", {"mtime": 1_690_000_000 * S})})
    py_compile.compile(str(upper / "model.py"), doraise=True)
    os.utime(upper / "model.py", (1, 1))
    settle(upper)
    assert not loads_without_compiling(upper, "model")[0]


def test_what_is_no_compiled_file_is_not_touched(tmp_path):
    table = {"a.py": ("file", b"", {}), "__pycache__": ("dir", None, {})}
    for name, data in (
        ("a.cpython-311.pyc", b"short"),
        ("a.x.pyc", b"not magic at all, but long"),
        ("none.pyc", bytes(20)),
    ):
        table[f"__pycache__/{name}"] = ("file", data, {})
    upper = build(tmp_path / "u", table)
    os.symlink("/etc/passwd", upper / "__pycache__" / "a.link.pyc")
    before = picture(upper, times=False)
    settle(upper)
    assert picture(upper, times=False) == before


@pytest.mark.parametrize(
    ("compiled", "source"),
    [
        ("a/__pycache__/x.cpython-311.pyc", "a/x.py"),
        ("a/__pycache__/x.cpython-311.opt-1.pyc", "a/x.py"),
        ("__pycache__/x.cpython-312.pyc", "x.py"),
        ("a/x.pyc", "a/x.py"),
        ("a/__pycache__/x.pyc", None),
    ],
)
def test_the_source_of_a_compiled_file(compiled, source):
    assert source_of(compiled) == source
    if source and "__pycache__" in compiled:
        assert importlib.util.source_from_cache(compiled) == source


def test_changes_between_two_trees(tmp_path):
    old = {
        "same": ("file", b"1", {}), "content": ("file", b"1", {}), "mode": ("file", b"1", {}), "time": ("file", b"1", {}),
        "gone": ("dir", None, {}), "gone/x": ("file", b"", {}), "swap": ("dir", None, {}), "swap/x": ("file", b"", {}),
        "turn": ("file", b"", {}), "link": ("link", "a", {}), "d": ("dir", None, {}), "d/stay": ("file", b"", {}),
        "node": ("char", (1, 3), {}), "label": ("file", b"", {"xattrs": {"user.x": b"1"}}),
    }  # fmt: skip
    new = {
        **{name: value for name, value in old.items() if not name.startswith(("gone", "swap", "turn"))},
        "content": ("file", b"2", {}), "mode": ("file", b"1", {"mode": 0o600}), "time": ("file", b"1", {"mtime": 5}),
        "swap": ("file", b"", {}), "turn": ("dir", None, {}), "turn/x": ("file", b"", {}), "link": ("link", "b", {}),
        "d/new": ("dir", None, {}), "d/new/x": ("file", b"", {}), "node": ("char", (1, 5), {}),
        "label": ("file", b"", {"xattrs": {"user.x": b"2"}}),
    }  # fmt: skip
    found = list(tree_changes(build(tmp_path / "a", old), build(tmp_path / "b", new), OWNERS))
    assert found == [
        Change(kind, path)
        for kind, path in [
            ("modify", "content"), ("add", "d/new"), ("add", "d/new/x"), ("delete", "gone"), ("modify", "label"),
            ("modify", "link"), ("modify", "mode"), ("modify", "node"), ("delete", "swap"), ("add", "swap"),
            ("modify", "time"), ("delete", "turn"), ("add", "turn"), ("add", "turn/x"),
        ]
    ]  # fmt: skip


def test_files_untouched_since_the_copy_are_not_read(tmp_path):
    lower = build(tmp_path / "l", {"f": ("file", b"1", {})})
    upper = build(tmp_path / "u", {"f": ("file", b"2", {})})
    after = upper.joinpath("f").stat().st_ctime_ns + 1
    assert list(tree_changes(lower, upper, OWNERS)) == [Change("modify", "f")]
    assert list(tree_changes(lower, upper, OWNERS, since_ns=after)) == []


# Trees as hypothesis makes them: few names, so that they clash, and every kind of entry.
NAMES = st.sampled_from(["a", "b", "n\nl", os.fsdecode(b"\xff"), "é", ".hidden", "x" * 120])
TIMES = st.integers(0, 4_000_000_000).map(lambda second: second * S)
OPTIONS = st.fixed_dictionaries(
    {"mtime": TIMES},
    optional={
        "mode": st.sampled_from([0, 0o644, 0o755, 0o4755, 0o1777, 0o2710]),
        "uid": st.sampled_from([0, 33, 3_000_000]),
        "gid": st.sampled_from([0, 50]),
    },
)
FILE_OPTIONS = st.tuples(
    OPTIONS, st.dictionaries(st.sampled_from(["user.a", "user.b=c"]), st.binary(max_size=20))
).map(lambda pair: pair[0] | ({"xattrs": pair[1]} if pair[1] else {}))
LEAVES = st.one_of(
    st.tuples(st.just("file"), st.binary(max_size=2000), FILE_OPTIONS),
    st.tuples(
        st.just("link"),
        st.sampled_from(["a", "../b", "/etc", "x" * 110]),
        st.fixed_dictionaries({"mtime": TIMES}),
    ),
    st.tuples(st.just("fifo"), st.none(), OPTIONS),
    st.tuples(st.just("char"), st.sampled_from([(1, 3), (5, 0)]), OPTIONS),
)
TREES = st.recursive(
    st.dictionaries(NAMES, LEAVES, max_size=4),
    lambda inner: st.dictionaries(
        NAMES, st.one_of(LEAVES, st.tuples(st.just("dir"), inner, FILE_OPTIONS)), max_size=4
    ),
    max_leaves=12,
)


def table_of(tree, prefix=""):
    table = {}
    for name, (kind, value, options) in tree.items():
        table[prefix + name] = (kind, None if kind == "dir" else value, options)
        if kind == "dir":
            table |= table_of(value, f"{prefix}{name}/")
    return table


def with_links(table, generator):
    """Turn some files into hard links to others."""
    files = sorted(path for path, (kind, _, _) in table.items() if kind == "file")
    for path in files[1:]:
        if generator.random() < 0.3:
            table[path] = ("hard", files[0], {"mtime": table[files[0]][2]["mtime"]})
    return dict(sorted(table.items(), key=lambda item: (item[1][0] == "hard", item[0].split("/"))))


def fresh(tmp_path, *parts):
    for part in parts:
        remove_tree(tmp_path / part)
    return [tmp_path / part for part in parts]


RANDOM = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@RANDOM
@given(tree=TREES, generator=st.randoms(use_true_random=False))
def test_describing_and_applying_are_inverse(tmp_path, tree, generator):
    source, out = fresh(tmp_path, "source", "out")
    build(source, with_links(table_of(tree), generator))
    out.mkdir()
    with open_tar(source, OWNERS) as stream:
        applied = apply(stream, out, OWNERS)
    assert picture(out) == picture(source)
    assert applied.diff_id == describe(source, OWNERS).diff_id == describe(out, OWNERS).diff_id


def merged_picture(layers):
    """What the stack shows, in the form of `picture` without times and hard links."""
    tree = MergedTree(layers)
    found = {}
    for node in tree.walk(tree.root):
        status, content = node.status, b""
        if stat.S_ISREG(status.st_mode):
            content = Path(node.host).read_bytes()
        elif node.is_link:
            content = os.fsencode(os.readlink(node.host))
        xattrs = {
            name: os.getxattr(node.host, name, follow_symlinks=False)
            for name in os.listxattr(node.host, follow_symlinks=False)
        }
        xattrs.pop("user.overlay.opaque", None)
        found[node.path.lstrip("/")] = (
            status.st_mode, status.st_uid, status.st_gid, 0, status.st_rdev, content, sorted(xattrs.items()),
        )  # fmt: skip
    return found


@RANDOM
@given(one=TREES, two=TREES, generator=st.randoms(use_true_random=False))
def test_a_tree_with_the_difference_applied_is_the_other_tree(tmp_path, one, two, generator):
    lower, upper, layer, out = fresh(tmp_path, "lower", "upper", "layer", "out")
    build(lower, with_links(table_of(one), generator))
    build(upper, with_links(table_of(two), generator))
    layer.mkdir()
    wanted = picture(upper, times=False)[0]
    collect(lower, upper, layer, OWNERS)
    out.mkdir()
    with open_tar(layer, OWNERS) as stream:
        apply(stream, out, OWNERS)
    assert merged_picture([out, lower]) == wanted


@RANDOM
@given(tree=TREES)
def test_a_tree_differs_from_itself_in_nothing(tmp_path, tree):
    (source,) = fresh(tmp_path, "source")
    build(source, table_of(tree))
    assert list(tree_changes(source, source, OWNERS)) == []


@RANDOM
@given(one=TREES, two=TREES)
def test_normalising_changes_nothing_that_can_be_seen_and_twice_is_once(tmp_path, one, two):
    lower, upper, layer = fresh(tmp_path, "lower", "upper", "layer")
    build(lower, table_of(one))
    build(upper, table_of(two))
    layer.mkdir()
    wanted = picture(upper, times=False)[0]
    collect(lower, upper, layer, OWNERS)
    settle(layer, lower)
    once = describe(layer, OWNERS)
    assert merged_picture([layer, lower]) == wanted
    settle(layer, lower)
    assert describe(layer, OWNERS) == once
