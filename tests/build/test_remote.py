"""Words of ADD and values of --build-context: what fetches them, and what they are called."""

import pytest

from tiffin.build.graph import Git, Http
from tiffin.build.remote import file_name, named_context, parse_context, parse_source, title, with_options
from tiffin.errors import InvalidError, UnsupportedError

SHA = "0123456789abcdef0123456789abcdef01234567"
DIGEST = "sha256:" + "0" * 64


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://h/a/f.tar.gz", "f.tar.gz"),
        ("https://h/f?x=y/z#frag", "f"),
        ("https://h/a%20b%5B1%5D*.txt", "a b[1]*.txt"),
        ("https://h/", "__unnamed__"),
        ("https://h", "__unnamed__"),
        ("https://h/d/", "__unnamed__"),
        ("https://h/a/..", "__unnamed__"),
        ("https://h/.", "__unnamed__"),
        ("https://h/a%2f..%2fb", "b"),
        ("https://h/%2e%2e", "__unnamed__"),
        ("https://h/a%00b", "__unnamed__"),
        ("https://h/" + "x" * 256, "__unnamed__"),
        ("https://[/f", "__unnamed__"),
    ],
)
def test_names_of_files(url, name):
    assert file_name(url) == name


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("a/b", None),
        ("github.com/a/b", None),
        ("https://h/f.txt", Http("https://h/f.txt", "f.txt")),
        ("HTTP://h/f", Http("HTTP://h/f", "f")),
        ("https://h/r.git#v1:d", Git("https://h/r.git", "v1", "d")),
        ("git@h:r?submodules=0", Git("git@h:r", submodules=False)),
    ],
)
def test_sources_of_add(word, expected):
    assert parse_source(word) == expected


def test_contexts():
    assert parse_context("github.com/a/b") == Git("https://github.com/a/b")
    assert parse_context("https://h/c.tar.gz") == Http("https://h/c.tar.gz", "context")
    assert parse_context("folder") is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("folder", "local"),
        ("docker-image://alpine:3", "image:alpine:3"),
        ("oci-layout:///d:1@" + DIGEST, "image:oci-layout:///d:1@" + DIGEST),
        ("https://h/r.git#main", Git("https://h/r.git", "main")),
        ("https://h/r.tar", Http("https://h/r.tar", "context", unpack=True)),
    ],
)
def test_named_contexts(value, expected):
    assert named_context("x", value) == expected


@pytest.mark.parametrize(
    ("value", "kind", "word"),
    [("target:base", InvalidError, "bake"), ("ftp://h/x", UnsupportedError, "ftp://")],
)
def test_contexts_that_are_none(value, kind, word):
    with pytest.raises(kind) as caught:
        named_context("x", value)
    assert word in caught.value.message
    assert caught.value.hint


def test_options_of_add():
    http, git = Http("https://h/f", "f"), Git("https://h/r.git", "v1")
    assert with_options(http, DIGEST, None) == Http("https://h/f", "f", DIGEST)
    assert with_options(http, None, False) == http
    assert with_options(git, SHA, True) == Git("https://h/r.git", "v1", commit=SHA, keep_git_dir=True)
    assert with_options(Git("r", keep_git_dir=True), None, None).keep_git_dir
    assert not with_options(Git("r", keep_git_dir=True), None, False).keep_git_dir


@pytest.mark.parametrize(
    ("op", "checksum", "keep"),
    [
        (Http("u", "f"), "sha256:abc", None),
        (Http("u", "f"), "md5:" + "0" * 32, None),
        (Http("u", "f"), "sha256:" + "G" * 64, None),
        (Http("u", "f"), SHA, None),
        (Http("u", "f"), None, True),
        (Git("r"), DIGEST, None),
        (Git("r", commit=SHA), SHA[::-1], None),
    ],
)
def test_options_of_add_that_are_wrong(op, checksum, keep):
    with pytest.raises(InvalidError) as caught:
        with_options(op, checksum, keep)
    assert caught.value.hint


def test_titles_have_no_passwords():
    assert title(Http("https://u:p@h/f", "f")) == "fetch https://h/f"
    assert title(Git("https://u:p@h/r.git", "v1")) == "fetch https://h/r.git#v1"
