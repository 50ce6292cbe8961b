"""The names of places where images are."""

import pytest

from tiffin.engine.places import Place, parse_place
from tiffin.errors import InvalidError, UnsupportedError


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("docker://localhost:5000/a/b:1", Place("docker", "", "localhost:5000/a/b:1")),
        ("oci:dir", Place("oci", "dir")),
        ("oci:/a/dir:1.0", Place("oci", "/a/dir", "1.0")),
        ("oci-archive:a.tar:x/y:1", Place("oci-archive", "a.tar", "x/y:1")),
        ("docker-archive:a.tar", Place("docker-archive", "a.tar")),
        ("docker-archive:a.tar:app:2", Place("docker-archive", "a.tar", "app:2")),
        ("docker-daemon:app:2", Place("docker-daemon", "", "app:2")),
        ("app", Place("store", "", "app")),
        ("app:2", Place("store", "", "app:2")),
        ("localhost:5000/app", Place("store", "", "localhost:5000/app")),
        ("store:oci:1", Place("store", "", "oci:1")),
        ("docker", Place("store", "", "docker")),
        ("oci", Place("store", "", "oci")),
    ],
)
def test_places(text, place):
    assert parse_place(text) == place


@pytest.mark.parametrize(
    "text", ["docker:app", "docker://", "oci:", "oci-archive::x", "store:", "docker-daemon:"]
)
def test_what_is_no_place(text):
    with pytest.raises(InvalidError):
        parse_place(text)


@pytest.mark.parametrize("scheme", ["containers-storage", "dir", "sif"])
def test_places_of_others(scheme):
    with pytest.raises(UnsupportedError) as caught:
        parse_place(f"{scheme}:x")
    assert caught.value.hint
