"""Where `cp` puts what, by Docker's rules. That it does is tried with real containers."""

import pytest

from tiffin.cli.commands.cp import split
from tiffin.engine.copying import place_of, source_of
from tiffin.errors import ConflictError, NotFoundError

DIR, FILE, NONE = "directory", "file", ""


@pytest.mark.parametrize(
    ("source", "kind", "path", "there", "parent", "found"),
    [
        ("/a/f", FILE, "/d", DIR, DIR, ("/d", "f")),
        ("/a/f", FILE, "/d/", DIR, DIR, ("/d/", "f")),
        ("/a/f", FILE, "/d/g", NONE, DIR, ("/d", "g")),
        ("/a/f", FILE, "/d/g", FILE, DIR, ("/d", "g")),
        ("/a/f", FILE, "g", NONE, DIR, (".", "g")),
        ("/a/f", FILE, "/g", NONE, DIR, ("/", "g")),
        ("/a/f", FILE, "/d/g/", NONE, DIR, NotFoundError),
        ("/a/f", FILE, "/d/g/", FILE, DIR, ConflictError),
        ("/a/f", FILE, "/no/g", NONE, NONE, NotFoundError),
        ("/a", DIR, "/d", DIR, DIR, ("/d", "a")),
        ("/a/", DIR, "/d", DIR, DIR, ("/d", "a")),
        ("/a/.", DIR, "/d", DIR, DIR, ("/d", "")),
        ("/", DIR, "/d", DIR, DIR, ("/d", "")),
        ("/a", DIR, "/d/new", NONE, DIR, ("/d", "new")),
        ("/a/.", DIR, "/d/new/", NONE, DIR, ("/d", "new")),
        ("/a", DIR, "/d/f", FILE, DIR, ConflictError),
    ],
)
def test_the_place_follows_dockers_rules(source, kind, path, there, parent, found):
    if isinstance(found, tuple):
        assert place_of(source_of(source, kind), path, there, parent) == found
    else:
        with pytest.raises(found):
            place_of(source_of(source, kind), path, there, parent)


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("name:/a", ("name", "/a")),
        ("name:a:b", ("name", "a:b")),
        ("/a:b", ("", "/a:b")),
        ("./a:b", ("", "./a:b")),
        ("../a:b", ("", "../a:b")),
        ("a", ("", "a")),
        ("-", ("", "-")),
    ],
)
def test_words_name_a_container_or_none(word, found):
    assert split(word) == found
