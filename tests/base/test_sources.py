import pytest

from tiffin.base.sources import (
    Source,
    parse_deb822,
    parse_mirror,
    parse_one_line,
    read_sources,
    sources_for,
)
from tiffin.errors import InvalidError, NotFoundError

URI = "http://mirror.example.org/tin"


def test_one_line_sources():
    text = f"""
# deb {URI} off main
deb {URI}/ tinny main contrib # the release
deb-src {URI} tinny main
deb [arch=amd64,arm64 signed-by=/k/a.gpg,/k/b.gpg check-valid-until=no] {URI} tinny-security main
"""
    assert list(parse_one_line(text, "f")) == [
        Source(URI, "tinny", ("main", "contrib")),
        Source(URI, "tinny-security", ("main",), ("/k/a.gpg", "/k/b.gpg"), "", ("amd64", "arm64"), False),
    ]


def test_a_malformed_line_is_named():
    with pytest.raises(InvalidError) as caught:
        list(parse_one_line("\ndeb tinny\n", "sources.list"))
    assert caught.value.where.line == 2
    assert "sources.list:2" in caught.value.message


def test_deb822_sources():
    text = f"""Types: deb deb-src
URIs: {URI} http://other.example.org/tin
Suites: tinny tinny-updates
Components: main
Signed-By: /usr/share/keyrings/tin.gpg

Types: deb
Enabled: no
URIs: {URI}
Suites: off
Components: main

Types: deb-src
URIs: {URI}
Suites: src
Components: main
"""
    found = list(parse_deb822(text, "f"))
    assert [(s.uri.split("/")[2], s.suite) for s in found] == [
        ("mirror.example.org", "tinny"),
        ("mirror.example.org", "tinny-updates"),
        ("other.example.org", "tinny"),
        ("other.example.org", "tinny-updates"),
    ]
    assert found[0].signed_by == ("/usr/share/keyrings/tin.gpg",)


def test_a_key_within_the_source():
    text = f"""Types: deb
URIs: {URI}
Suites: tinny
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abcd
 -----END PGP PUBLIC KEY BLOCK-----
"""
    (source,) = parse_deb822(text, "f")
    assert source.signed_by == ()
    assert source.inline_key.split("\n")[:3] == ["-----BEGIN PGP PUBLIC KEY BLOCK-----", "", "abcd"]


def test_all_files_are_read_and_odd_schemes_left_out(tmp_path):
    parts = tmp_path / "etc/apt/sources.list.d"
    parts.mkdir(parents=True)
    (parts.parent / "sources.list").write_text(f"deb {URI} a main\ndeb cdrom:[disc]/ b main\n")
    (parts / "b.sources").write_text(f"Types: deb\nURIs: {URI}\nSuites: b\nComponents: main\n")
    (parts / "a.list").write_text("deb mirror+file:/etc/apt/mirrors.txt a2 main\n")
    (parts / "c.list.disabled").write_text(f"deb {URI} c main\n")
    (parts.parent / "mirrors.txt").write_text("# mirrors\nhttp://near.example.org/tin/\tpriority:1\n")
    found = read_sources(tmp_path)
    assert [(s.uri, s.suite) for s in found] == [
        (URI, "a"),
        ("http://near.example.org/tin", "a2"),
        (URI, "b"),
    ]


MACHINE = (
    Source(URI, "tinny-backports", ("main",)),
    Source("http://security.example.org", "tinny-security", ("main",)),
    Source(URI, "tinny", ("main", "contrib")),
    Source(URI, "tinny-updates", ("main",)),
    Source("http://tool.example.org", "tinny", ("stable",)),
)


def test_the_release_with_its_updates_and_fixes():
    assert [s.suite for s in sources_for(MACHINE, "tinny", "tinny")] == [
        "tinny",
        "tinny-updates",
        "tinny-security",
    ]


def test_another_release_is_asked_for_in_the_same_places():
    found = sources_for(MACHINE, "tinny", "brassy")
    assert [(s.uri, s.suite) for s in found] == [
        (URI, "brassy"),
        (URI, "brassy-updates"),
        ("http://security.example.org", "brassy-security"),
    ]


def test_a_release_named_by_its_state():
    sources = (Source(URI, "stable", ("main",)), Source(URI, "stable-updates", ("main",)))
    assert [s.suite for s in sources_for(sources, "tinny", "tinny")] == ["stable", "stable-updates"]


@pytest.mark.parametrize("sources", [(), MACHINE[:2], MACHINE[4:]])
def test_a_machine_without_the_release_says_so(sources):
    with pytest.raises(NotFoundError) as caught:
        sources_for(sources, "tinny", "tinny")
    assert "--mirror" in caught.value.hint


def test_mirrors_that_the_user_names():
    assert parse_mirror(URI + "/", "tinny") == Source(URI, "tinny", ("main",))
    assert parse_mirror("file:/srv/tin", "tinny").uri == "file:/srv/tin"
    line = f"deb [signed-by=/k.gpg] {URI} other main universe"
    assert parse_mirror(line, "tinny") == Source(URI, "other", ("main", "universe"), ("/k.gpg",))
    with pytest.raises(InvalidError, match="not a URI"):
        parse_mirror("mirror.example.org", "tinny")
