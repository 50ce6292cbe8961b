"""Definitions from elsewhere: what their targets read lies there too."""

from pathlib import Path

import pytest

from tiffin.bake.files import read_remote
from tiffin.bake.remote import rebase, split_words
from tiffin.bake.selection import Selection
from tiffin.bake.target import Target
from tiffin.engine.building.context import Place
from tiffin.errors import NotFoundError, TiffinError

REPOSITORY = "https://x.org/a.git#main:app"


@pytest.mark.parametrize(
    ("words", "split"),
    [
        ([], ("", "cwd://", ())),
        (["a", "b"], ("", "cwd://", ("a", "b"))),
        ([REPOSITORY, "a"], (REPOSITORY, "cwd://", ("a",))),
        ([REPOSITORY, "https://x.org/c.tar", "a"], (REPOSITORY, "https://x.org/c.tar", ("a",))),
        (["a", REPOSITORY], ("", "cwd://", ("a", REPOSITORY))),
    ],
)
def test_words_that_are_urls(words, split):
    assert split_words(words) == split


@pytest.mark.parametrize(
    ("url", "context", "found"),
    [
        (REPOSITORY, ".", REPOSITORY),
        (REPOSITORY, "./sub/../lib/", "https://x.org/a.git#main:app/lib"),
        ("https://x.org/a.git", "sub", "https://x.org/a.git#:sub"),
        (REPOSITORY, "cwd://here", "cwd://here"),
        (REPOSITORY, "target:b", "target:b"),
        (REPOSITORY, "docker-image://alpine", "docker-image://alpine"),
        (REPOSITORY, "https://y.org/z.tar", "https://y.org/z.tar"),
        ("https://x.org/a.tar", ".", "https://x.org/a.tar"),
    ],
)
def test_contexts_lie_where_the_definition_lies(url, context, found):
    target = Target("t", {"context": context, "contexts": {"c": context}})
    rebase(Selection({"t": target}, {}), url)
    assert (target.text("context"), target.pairs("contexts")) == (found, {"c": found})


@pytest.mark.parametrize(
    ("url", "context"),
    [(REPOSITORY, ".."), (REPOSITORY, "/etc"), (REPOSITORY, "a/../../b"), ("https://x.org/a.tar", "sub")],
)
def test_contexts_that_cannot_be(url, context):
    with pytest.raises(TiffinError) as caught:
        rebase(Selection({"t": Target("t", {"context": context})}, {}), url)
    assert caught.value.code == "bake-remote"


def test_files_of_what_was_fetched(tmp_path, monkeypatch):
    fetched, here = tmp_path / "fetched", tmp_path / "here"
    fetched.mkdir()
    here.mkdir()
    monkeypatch.chdir(here)
    (here / "x.hcl").write_text("here")
    (fetched / "x.hcl").write_text("there")
    (fetched / "docker-bake.hcl").write_text("usual")
    (fetched / "out.hcl").symlink_to(here / "x.hcl")
    place = Place(fetched, "url", elsewhere=True)
    assert [file.text for file in read_remote(place, ["x.hcl", "cwd://x.hcl"])] == ["there", "here"]
    assert [file.name for file in read_remote(place, [])] == ["docker-bake.hcl"]
    for name in ("nosuch", "out.hcl", "../here/x.hcl"):  # nothing outside is reached
        with pytest.raises(NotFoundError):
            read_remote(place, [name])
    with pytest.raises(NotFoundError):
        read_remote(Place(here, "url", elsewhere=True), [])
    file = Place(Path(), "https://x.org/d/b.json?x=1", dockerfile=b"{}")
    assert [tuple(one) for one in read_remote(file, [])] == [("b.json", "{}")]
