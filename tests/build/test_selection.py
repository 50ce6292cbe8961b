"""--parents and --exclude: which entries they take, and under which paths, as Docker's reference has it."""

import os

import pytest

from tiffin.build.graph import Copy
from tiffin.build.ops.copy import CopyStep, Taking, Target
from tiffin.build.selection import select
from tiffin.errors import InvalidError, NotFoundError
from tiffin.layer.owners import RecordedOwners, TrueOwners
from tiffin.snapshot.merged import MergedTree

OWNERS = TrueOwners() if os.geteuid() == 0 else RecordedOwners()
DEEP = (
    *("test/a/b/c/d/foo", "test/a/b/c/d/e/bay", "test/a/b2/c/d/e/bar"),
    *("test/a/b/c2/d/e/baz", "test/a/b/c2/d/e2/baz"),
)
FLAT = ("home.txt", "home.md", "away.txt", "sub/home.txt", "sub/deep/a.txt", "sub/deep/b.md", "sub/x", ".env")


def plant(base, names):
    for name in names:
        path = base / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return base


@pytest.fixture
def copy(tmp_path):
    """Copy from a tree of these files to /out; return the files there."""

    def act(names, *sources, exclude=(), parents=False, prepare=lambda _base: None):
        base = plant(tmp_path / "context", names)
        prepare(base)
        selection = select(MergedTree([base]), sources, exclude=exclude, parents=parents)
        (tmp_path / "place").mkdir()
        target = Target(tmp_path / "place", MergedTree([]), OWNERS, 0)
        made = CopyStep(Copy(sources, (), "/out/"), target, None).write([Taking(selection, keeps=False)])
        return sorted(str(path.relative_to(made / "out")) for path in made.rglob("*") if not path.is_dir())

    return act


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        # Those of the reference's own tests.
        ("test/a/b/./c/d", {"c/d/foo", "c/d/e/bay"}),
        ("test/a/b/c/d", {"test/a/b/c/d/foo", "test/a/b/c/d/e/bay"}),
        ("test/a/./b/c", {"b/c/d/foo", "b/c/d/e/bay"}),
        ("test/a/./*/c", {"b/c/d/foo", "b/c/d/e/bay", "b2/c/d/e/bar"}),
        ("test/a/b*/./c/**/e", {"c/d/e/bay", "c/d/e/bar"}),
        ("test/a/b/c*/./d/**/baz", {"d/e/baz", "d/e2/baz"}),
        # More of the same.
        ("test/a/b*/./c/**/bar", {"c/d/e/bar"}),
        ("test/a/b/c/d/foo", {"test/a/b/c/d/foo"}),
        ("**/foo", {"test/a/b/c/d/foo"}),
        ("**/d/e", {"test/a/b/c/d/e/bay", "test/a/b2/c/d/e/bar", "test/a/b/c2/d/e/baz"}),
        ("test/a/b/c/./.", {"d/foo", "d/e/bay"}),
        ("*/a/b2", {"test/a/b2/c/d/e/bar"}),
        ("test/*/none", set()),
    ],
)
def test_parents(copy, source, expected):
    assert copy(DEEP, source, parents=True) == sorted(expected)


def test_parents_of_several_sources(copy):
    assert copy(FLAT, "sub/deep/a.txt", "home.md", parents=True) == ["home.md", "sub/deep/a.txt"]


def test_parents_keep_their_modes(tmp_path):
    base = plant(tmp_path, ["a/b/f"])
    (base / "a").chmod(0o700)
    (chosen,) = select(MergedTree([base]), ["a/b/f"], parents=True)
    first = chosen.below[0]
    assert (first.path, first.status.st_mode & 0o777) == ("/a", 0o700)
    assert chosen.partial


@pytest.mark.parametrize("source", ["none", "sub/none", "sub/./none", "none/./x"])
def test_a_plain_name_with_parents_has_to_be_there(tmp_path, source):
    with pytest.raises(NotFoundError, match="none"):
        select(MergedTree([plant(tmp_path, FLAT)]), [source], parents=True)


@pytest.mark.parametrize(
    ("sources", "exclude", "expected"),
    [
        ((".",), ("*.txt",), {"home.md", ".env", "sub/home.txt", "sub/deep/a.txt", "sub/deep/b.md", "sub/x"}),
        ((".",), ("**/*.txt",), {"home.md", ".env", "sub/deep/b.md", "sub/x"}),
        ((".",), ("sub", ".*"), {"home.txt", "home.md", "away.txt"}),
        ((".",), ("*", "!sub/deep/a.txt"), {"sub/deep/a.txt"}),
        (("sub",), ("deep/*.txt",), {"home.txt", "deep/b.md", "x"}),  # seen from the source
        (("sub",), ("sub/x",), {"home.txt", "deep/a.txt", "deep/b.md", "x"}),
        (("sub/",), ("x/", "deep"), {"home.txt"}),
        (("sub/",), ("/x", "deep"), {"home.txt", "x"}),  # no path begins with a slash
        # The reference's example: all that begins with "hom", without .txt.
        (("hom*",), ("*.txt",), {"home.md"}),
        (("sub/*",), ("home.txt",), {"a.txt", "b.md", "x"}),
        (("*",), ("sub",), {"home.txt", "home.md", "away.txt", ".env"}),
        (("home.txt",), ("home.txt",), {"home.txt"}),  # named itself
        ((".",), (), set(FLAT)),
    ],
)
def test_exclude(copy, sources, exclude, expected):
    assert copy(FLAT, *sources, exclude=exclude) == sorted(expected)


def test_an_excluded_directory_leaves_nothing_behind(tmp_path):
    (chosen,) = select(MergedTree([plant(tmp_path, FLAT)]), ["."], exclude=["sub", "!sub/none"])
    assert "/sub" not in [node.path for node in chosen.below]


def test_parents_and_exclude(copy):
    found = copy(FLAT, "sub", "*.md", exclude=("sub/deep/*.md", "**/x"), parents=True)
    assert found == ["home.md", "sub/deep/a.txt", "sub/home.txt"]


def test_links_below_stay_links(copy, tmp_path):
    def prepare(base):
        (base / "sub/link").symlink_to("deep")

    assert copy(FLAT, "sub/link", parents=True, prepare=prepare) == ["sub/link"]
    assert (tmp_path / "place/upper/out/sub/link").is_symlink()


def test_a_bad_pattern(tmp_path):
    with pytest.raises(InvalidError, match="pattern"):
        select(MergedTree([tmp_path]), ["."], exclude=["["])
