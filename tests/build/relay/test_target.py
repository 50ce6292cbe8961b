"""Addresses of the relay: made, read, and not to be forged."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.build.relay.target import Addresses, Target, is_below, login_of, without_login
from tiffin.errors import InvalidError, NotFoundError, TiffinError

OURS = Addresses("http://127.0.0.1:19090", b"k" * 32)
SHARED = Addresses("http://127.0.0.1:5000/token", b"k" * 32)
SHA = "ab" * 32


def path_of(address, ours=OURS):
    return address.removeprefix("http://" + ours.base.partition("://")[2].partition("/")[0])


@pytest.mark.parametrize("ours", [OURS, SHARED])
@pytest.mark.parametrize("sha256", ["", SHA])
def test_a_file_is_found_again(ours, sha256):
    url = "https://files.example.org:8443/a/b-1.0+cpu.whl?x=y"
    assert ours.parse("GET", path_of(ours.file(url, sha256), ours)) == Target("file", url, sha256)


@given(st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#?%\\"), min_size=1))
def test_every_file_of_a_page_is_found_again(name):
    if any(part in (".", "..") for part in name.split("/")):
        return
    url = f"https://example.org/files/{name}"
    assert OURS.parse("GET", path_of(OURS.file(url, SHA))).url == url


@pytest.mark.parametrize(
    "path",
    [
        f"/_file/{'0' * 24}/{SHA}/https/example.org/a.whl",
        path_of(OURS.file("https://example.org/a.whl")).replace("a.whl", "b.whl"),
        path_of(OURS.file("https://example.org/a.whl")).replace("example.org", "169.254.169.254"),
        path_of(Addresses(OURS.base, b"other").file("https://example.org/a.whl")),
    ],
)
def test_what_no_page_has_offered_is_not_there(path):
    with pytest.raises(NotFoundError):
        OURS.parse("GET", path)


def test_metadata_lies_beside_its_wheel_and_has_not_its_digest():
    url = "https://example.org/a.whl"
    found = OURS.parse("GET", path_of(OURS.file(url, SHA)) + ".metadata")
    assert found == Target("file", f"{url}.metadata", "")


def test_pip_escapes_anew():
    url = "https://example.org:8443/a%2Bb.whl"
    path = path_of(OURS.file(url, SHA)).replace(":8443", "%3A8443").replace("%2B", "+")
    assert OURS.parse("GET", path) == Target("file", "https://example.org:8443/a+b.whl", SHA)


@pytest.mark.parametrize(
    ("method", "text", "kind", "url"),
    [
        ("GET", "/_index/https/pypi.org/simple/x/", "index", "https://pypi.org/simple/x/"),
        ("GET", "http://127.0.0.1:19090/_index/http/h/x", "index", "http://h/x"),
        ("GET", "/_hub/api/models/x", "hub", "/api/models/x"),
        ("GET", "/@scope%2fname", "npm", "/@scope%2fname"),
        ("GET", "http://deb.example.org/debian/x", "proxy", "http://deb.example.org/debian/x"),
        ("GET", "http://deb.example.org", "proxy", "http://deb.example.org/"),
        ("CONNECT", "example.org:443", "connect", "example.org:443"),
    ],
)
def test_kinds(method, text, kind, url):
    assert OURS.parse(method, text) == Target(kind, url)


@pytest.mark.parametrize(
    "text",
    [
        "/_index/ftp/host/x",
        "/_index/https/host",
        "/_index/https/[/x",
        "/_index/https/h:x/x",
        "/_index/https/user@host/x",
        "/_index/https/host/simple/../admin",
        "/_index/https/host/simple/%2e%2e/admin",
        "/_index/https/host/simple/..%5cadmin",
        "https://host/x",
        "http://user@host/x",
        "http://host:x/",
        "*",
    ],
)
def test_what_is_no_address(text):
    with pytest.raises(InvalidError):
        OURS.parse("GET", text)


def test_the_token_is_needed():
    with pytest.raises(NotFoundError):
        SHARED.parse("GET", "/_index/https/host/x")


@pytest.mark.parametrize(
    ("url", "below"),
    [
        ("https://h/simple/x/", True),
        ("https://h:443/simple", True),
        ("https://h/simple-not", False),
        ("https://h/", False),
        ("http://h/simple/x", False),
        ("https://other/simple/x", False),
    ],
)
def test_what_is_below_an_index(url, below):
    assert is_below(url, "https://h/simple/") is below


def test_logins():
    assert login_of("https://a%40b:c%3Ad@h/") == "a@b:c:d"
    assert login_of("https://h/a@b") == ""
    assert login_of("https://u:p@[h") == ""
    assert without_login("https://a:b@h:1/x") == "https://h:1/x"


PIECES = st.sampled_from(
    [
        "/",
        "_index",
        "_file",
        "_hub",
        "https",
        "http",
        ":",
        "[",
        "]",
        "..",
        "%2e",
        "%5b",
        "@",
        "h",
        "é",
        "?",
        "#",
        "80",
        "\\",
    ]
)


@given(st.lists(PIECES, max_size=12).map("".join), st.sampled_from(["GET", "CONNECT", "POST"]))
def test_whatever_is_asked_is_an_address_or_refused(text, method):
    for start in ("", "/", "/_index/", "/_file/x/-/", "http://"):
        with contextlib.suppress(TiffinError):
            OURS.parse(method, start + text)
