"""What git ignores, decided by git itself where it is there."""

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tiffin.build.gitignore import GitIgnore


def ignores(text, path, *, folder=False, within=""):
    return GitIgnore().with_file(text, within).ignores(path, folder=folder)


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("data", "data", True),
        ("data", "a/data", True),
        ("data", "a/data2", False),
        ("/data", "data", True),
        ("/data", "a/data", False),
        ("a/data", "a/data", True),
        ("a/data", "b/a/data", False),
        ("*.pt", "a/b/x.pt", True),
        ("*.pt", "x.pth", False),
        ("a/*.pt", "a/x.pt", True),
        ("a/*.pt", "a/b/x.pt", False),
        ("**/data", "a/b/data", True),
        ("a/**/data", "a/data", True),
        ("a/**/data", "a/b/c/data", True),
        ("a/**", "a/b/c", True),
        ("a/**", "a", False),
        ("x?.txt", "x1.txt", True),
        ("x?.txt", "x/.txt", False),
        ("x[0-9]", "x7", True),
        ("x[!0-9]", "x7", False),
        ("# data", "data", False),
        (r"\#data", "#data", True),
        (r"\!data", "!data", True),
        ("data   ", "data", True),
        ("*.log\n!keep.log", "keep.log", False),
        ("!keep.log\n*.log", "keep.log", True),
        ("[", "[", False),
        ("", "x", False),
        ("x.y", "x_y", False),
    ],
)
def test_patterns(text, path, expected):
    assert ignores(text, path) is expected


def test_patterns_for_folders_alone():
    assert ignores("data/", "a/data", folder=True)
    assert not ignores("data/", "a/data")
    assert not GitIgnore()


def test_files_further_down_count_after_those_above_and_for_their_folder():
    both = GitIgnore().with_file("*.bin\n").with_file("!model.bin\n/x\n", "models")
    assert not both.ignores("models/model.bin", folder=False)
    assert both.ignores("model.bin", folder=False)
    assert both.ignores("models/x", folder=False)
    assert not both.ignores("x", folder=False)


PATTERN = st.text(st.sampled_from("ab*?/[]!.\\ #"), min_size=1, max_size=7)
PATH = st.lists(st.text(st.sampled_from("ab."), min_size=1, max_size=2), min_size=1, max_size=3).map("/".join)


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    git = shutil.which("git")
    assert git, "tools/install-test-needs installs git"
    folder = tmp_path_factory.mktemp("repository")
    subprocess.run([git, "init", "-q", folder], check=True)
    return git, folder


@settings(max_examples=40, deadline=None)
@given(lines=st.lists(PATTERN, min_size=1, max_size=3), path=PATH)
def test_git_says_the_same(repository, lines, path):
    """Of plain files whose folders are not ignored; brackets that git reads otherwise are left to it."""
    parts = path.split("/")
    if {"", ".", ".."} & set(parts) or any(set("[]\\") & set(line) for line in lines):
        return
    git, folder = repository
    (folder / ".gitignore").write_text("\n".join(lines) + "\n")
    ours = GitIgnore().with_file("\n".join(lines))
    above = ["/".join(parts[:count]) for count in range(1, len(parts))]
    expected = any(ours.ignores(way, folder=True) for way in above) or ours.ignores(path, folder=False)
    command = [git, "-C", folder, "check-ignore", "-q", "--no-index", path]
    assert (subprocess.run(command, check=False).returncode == 0) is expected
