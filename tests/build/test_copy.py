"""COPY and ADD against what BuildKit makes of the same files."""

import os
import stat
import tarfile

import pytest

from tiffin.build.graph import Copy, InlineFile
from tiffin.build.ops.copy import CopyStep, Taking, Target
from tiffin.build.selection import select
from tiffin.errors import InvalidError, NotFoundError
from tiffin.layer.describe import describe
from tiffin.layer.owners import RecordedOwners, TrueOwners
from tiffin.snapshot.merged import MergedTree

EPOCH = 315_619_200
OWNERS = TrueOwners() if os.geteuid() == 0 else RecordedOwners()


def plant(base, tree):
    """`name/` is a directory, `name: ("->", target)` a link, a tuple (text, mode) a file with a mode."""
    base.mkdir(parents=True, exist_ok=True)
    for name, value in tree.items():
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if name.endswith("/"):
            path.mkdir(exist_ok=True)
            if value is not None:
                path.chmod(value)
        elif isinstance(value, tuple) and value[0] == "->":
            path.symlink_to(value[1])
        elif isinstance(value, tuple):
            path.write_text(value[0])
            path.chmod(value[1])
        else:
            path.write_text(value)
    return base


def listing(base):
    found = {}
    for node in MergedTree([base]).walk(MergedTree([base]).root):
        if node.is_directory:
            found[node.path[1:] + "/"] = None
        elif node.is_link:
            found[node.path[1:]] = ("->", os.readlink(node.host))
        else:
            with open(node.host) as file:
                found[node.path[1:]] = file.read()
    return found


def run_copy(tmp_path, context, image, op, *, owner=None, keeps=False):
    source = MergedTree([plant(tmp_path / "context", context)])
    parent = MergedTree([plant(tmp_path / "image", image)])
    place = tmp_path / "place"
    place.mkdir()
    step = CopyStep(op, Target(place, parent, OWNERS, EPOCH), owner, tell=True)
    layer = step.write([Taking(select(source, op.sources), keeps, op.unpack)])
    if step.info is not None:
        found = describe(layer, OWNERS)
        assert (step.info.diff_id, step.info.size) == (found.diff_id, found.size)
    return layer


CASES = [
    # sources, destination, context, image, the layer
    (["a"], "/b", {"a": "1"}, {}, {"b": "1"}),
    (["a"], "/b/", {"a": "1"}, {}, {"b/": None, "b/a": "1"}),
    (["a"], "/new/deep/b", {"a": "1"}, {}, {"new/": None, "new/deep/": None, "new/deep/b": "1"}),
    (["a"], "/app", {"a": "1"}, {"app/": None}, {"app/": None, "app/a": "1"}),
    (["a"], "/", {"a": "1"}, {}, {"a": "1"}),
    # a directory means its contents, however it is written
    *[
        (
            [spelling],
            "/to",
            {"dir/x": "1", "dir/sub/y": "2"},
            {},
            {"to/": None, "to/x": "1", "to/sub/": None, "to/sub/y": "2"},
        )
        for spelling in ("dir", "dir/", "dir/.", "./dir", "/dir", "../dir")
    ],
    (["one", "two"], "/to/", {"one/x": "1", "two/y": "2"}, {}, {"to/": None, "to/x": "1", "to/y": "2"}),
    (["."], "/", {"x": "1", "d/y": "2"}, {}, {"x": "1", "d/": None, "d/y": "2"}),
    # links: the one that is named is followed, those below a directory are kept
    (["link"], "/f", {"link": ("->", "real"), "real": "1"}, {}, {"f": "1"}),
    (["link"], "/f", {"link": ("->", "/real"), "real": "1"}, {}, {"f": "1"}),
    (["link"], "/to/", {"link": ("->", "real"), "real": "1"}, {}, {"to/": None, "to/link": "1"}),
    (["dir"], "/to", {"dir/l": ("->", "../out")}, {}, {"to/": None, "to/l": ("->", "../out")}),
    # the destination goes through links of the image, inside its root
    (
        ["a"],
        "/lib/f",
        {"a": "1"},
        {"usr/lib/": None, "lib": ("->", "usr/lib")},
        {"usr/": None, "usr/lib/": None, "usr/lib/f": "1"},
    ),
    (
        ["a"],
        "/lib/f",
        {"a": "1"},
        {"usr/lib/": None, "lib": ("->", "/usr/lib")},
        {"usr/": None, "usr/lib/": None, "usr/lib/f": "1"},
    ),
    (["a"], "/f", {"a": "1"}, {"f": ("->", "t"), "t": "0"}, {"t": "1"}),
    (["a"], "/f", {"a": "1"}, {"f": ("->", "dangling")}, {"dangling": "1"}),
    (["dir"], "/", {"dir/f": "1"}, {"f": ("->", "t"), "t": "0"}, {"f": "1"}),
    (["dir"], "/to", {"dir/f": "1"}, {"real/": None, "to": ("->", "real")}, {"real/": None, "real/f": "1"}),
    # wildcards
    (
        ["*.txt"],
        "/to/",
        {"a.txt": "1", "b.txt": "2", "c.md": "3"},
        {},
        {"to/": None, "to/a.txt": "1", "to/b.txt": "2"},
    ),
    (
        ["d*/f?"],
        "/to/",
        {"d1/f1": "1", "d2/f2": "2", "d2/f22": "3"},
        {},
        {"to/": None, "to/f1": "1", "to/f2": "2"},
    ),
    (
        ["**"],
        "/to/",
        {"f": "1", "d/deep/x": "2"},
        {},
        {"to/": None, "to/f": "1", "to/deep/": None, "to/deep/x": "2"},
    ),
    (["[[]x"], "/f", {"[x": "1"}, {}, {"f": "1"}),
    (["*"], "/to/", {".hidden": "1"}, {}, {"to/": None, "to/.hidden": "1"}),
    # several files without a trailing slash: the last one stays
    (["a", "b"], "/f", {"a": "1", "b": "2"}, {}, {"f": "2"}),
]


@pytest.mark.parametrize(("sources", "destination", "context", "image", "expected"), CASES)
def test_copy(tmp_path, sources, destination, context, image, expected):
    layer = run_copy(tmp_path, context, image, Copy(tuple(sources), (), destination))
    assert listing(layer) == expected


def test_a_wildcard_may_match_nothing_but_a_name_must_be_there(tmp_path):
    run_copy(tmp_path, {}, {}, Copy(("*.none",), (), "/f"))
    with pytest.raises(NotFoundError):
        select(MergedTree([tmp_path / "context"]), ["none"])


@pytest.mark.parametrize(
    ("context", "image"),
    [
        ({"d/bin/x": "1"}, {"bin": ("->", "usr/bin"), "usr/bin/": None}),
        ({"d/bin/x": "1"}, {"bin": "file"}),
        ({"d/bin": "file"}, {"bin/x": "1"}),
        ({"d/bin": ("->", "x")}, {"bin/x": "1"}),
    ],
)
def test_merging_a_tree_never_turns_one_kind_into_another(tmp_path, context, image):
    with pytest.raises(InvalidError, match="cannot copy"):
        run_copy(tmp_path, context, image, Copy(("d",), (), "/"))


def test_modes_survive_and_chmod_rules(tmp_path):
    layer = run_copy(tmp_path, {"d/tool": ("x", 0o4751), "d/sub/": 0o1777}, {}, Copy(("d",), (), "/to"))
    assert stat.S_IMODE((layer / "to/tool").stat().st_mode) == 0o4751
    assert stat.S_IMODE((layer / "to/sub").stat().st_mode) == 0o1777


def test_chmod_is_for_files_and_directories(tmp_path):
    layer = run_copy(
        tmp_path, {"d/tool": ("x", 0o600), "d/sub/": 0o700}, {}, Copy(("d",), (), "/to", chmod="a+rX")
    )
    assert stat.S_IMODE((layer / "to/tool").stat().st_mode) == 0o644
    assert stat.S_IMODE((layer / "to/sub").stat().st_mode) == 0o755


def test_the_destination_keeps_its_mode_and_what_is_below_takes_the_source(tmp_path):
    context = {"top/": 0o700, "top/tmp/": 0o755, "top/tmp/x": "1"}
    layer = run_copy(tmp_path, context, {"srv/": 0o711, "srv/tmp/": 0o1777}, Copy(("top",), (), "/srv"))
    assert stat.S_IMODE((layer / "srv").stat().st_mode) == 0o711
    assert stat.S_IMODE((layer / "srv/tmp").stat().st_mode) == 0o755


def test_chown_is_for_new_parents_too(tmp_path):
    layer = run_copy(tmp_path, {"a": "1"}, {}, Copy(("a",), (), "/new/deep/a", chown="5:6"), owner=(5, 6))
    for name in ("new", "new/deep", "new/deep/a"):
        assert OWNERS.read(str(layer / name), (layer / name).stat()) == (5, 6)


def test_here_documents_become_files(tmp_path):
    files = (InlineFile("one", b"1\n"), InlineFile("two", b"2\n"))
    layer = run_copy(tmp_path, {}, {}, Copy((), files, "/to/"))
    assert listing(layer) == {"to/": None, "to/one": "1\n", "to/two": "2\n"}
    assert stat.S_IMODE((layer / "to/one").stat().st_mode) == 0o644


def test_a_here_document_may_be_named_by_its_destination(tmp_path):
    layer = run_copy(tmp_path, {}, {}, Copy((), (InlineFile("EOF", b"x"),), "/etc/app.conf"))
    assert listing(layer) == {"etc/": None, "etc/app.conf": "x"}


def archive(path, members, mode="w"):
    with tarfile.open(path, mode) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(info)
            elif content.startswith("->"):
                info.type, info.linkname = tarfile.SYMTYPE, content[2:]
                tar.addfile(info)
            else:
                import io

                info.size = len(content)
                tar.addfile(info, io.BytesIO(content.encode()))


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
@pytest.mark.parametrize("name", ["data.tar", "data.bin"])
def test_add_unpacks_by_content(tmp_path, mode, name):
    (tmp_path / "context").mkdir()
    archive(tmp_path / "context" / name, [("d", None), ("d/f", "1"), ("l", "->d/f")], mode)
    layer = run_copy(tmp_path, {}, {}, Copy((name,), (), "/to/", unpack=True))
    assert listing(layer) == {"to/": None, "to/d/": None, "to/d/f": "1", "to/l": ("->", "d/f")}


@pytest.mark.parametrize("content", ["", "no archive at all", "x" * 600, "\0" * 1024])
def test_add_copies_what_is_no_archive(tmp_path, content):
    layer = run_copy(tmp_path, {"a.tar.gz": content}, {}, Copy(("a.tar.gz",), (), "/to/", unpack=True))
    assert listing(layer) == {"to/": None, "to/a.tar.gz": content}


def test_copy_never_unpacks_nor_does_add_within_a_directory(tmp_path):
    (tmp_path / "context/d").mkdir(parents=True)
    archive(tmp_path / "context/d/a.tar", [("f", "1")])
    layer = run_copy(tmp_path, {}, {}, Copy(("d",), (), "/to", unpack=True))
    assert list((layer / "to").iterdir()) == [layer / "to/a.tar"]


def test_an_archive_stays_inside_its_destination(tmp_path):
    (tmp_path / "context").mkdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    archive(tmp_path / "context/a.tar", [("l", f"->{outside}"), ("l/f", "1")])
    run_copy(tmp_path, {}, {}, Copy(("a.tar",), (), "/to/", unpack=True))
    assert not list(outside.iterdir())


def test_what_comes_from_a_stage_keeps_owners_and_hard_links(tmp_path):
    (tmp_path / "context").mkdir()
    first = tmp_path / "context/f"
    first.write_text("1")
    OWNERS.change(str(first), 7, 8)
    os.link(first, tmp_path / "context/g")
    layer = run_copy(tmp_path, {}, {}, Copy((".",), (), "/to"), keeps=True)
    assert OWNERS.read(str(layer / "to/f"), (layer / "to/f").stat()) == (7, 8)
    assert (layer / "to/f").samefile(layer / "to/g")


def test_what_comes_from_a_context_belongs_to_root(tmp_path):
    (tmp_path / "context").mkdir()
    (tmp_path / "context/f").write_text("1")
    OWNERS.change(str(tmp_path / "context/f"), 7, 8)
    layer = run_copy(tmp_path, {}, {}, Copy(("f",), (), "/f"))
    assert OWNERS.read(str(layer / "f"), (layer / "f").stat()) == (0, 0)
