"""Heads of requests: what is read, and what is refused because it could be read in two ways."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.build.relay.message import has_already, head_of_answer, parse_head, wanted_part
from tiffin.errors import InvalidError, TiffinError, UnsupportedError


def test_a_head_is_read():
    head = parse_head(b"GET /a?b HTTP/1.1\r\nHost: x\r\nAccept: a\r\naccept:  b \r\nContent-Length: 3")
    assert (head.method, head.target, head.minor, head.length) == ("GET", "/a?b", 1, 3)
    assert head.field("accept") == "a, b"
    assert head.persists


@pytest.mark.parametrize(
    ("line", "persists"),
    [
        (b"GET / HTTP/1.1\r\nConnection: close", False),
        (b"GET / HTTP/1.0", False),
        (b"GET / HTTP/1.0\r\nConnection: keep-alive", True),
    ],
)
def test_whether_the_connection_stays(line, persists):
    assert parse_head(line).persists is persists


@pytest.mark.parametrize(
    "data",
    [
        b"GET /",
        b"GET  / HTTP/1.1",
        b"GET / HTTP/2.0",
        b"GE T / HTTP/1.1",
        b"GET /\x00 HTTP/1.1",
        b"GET / HTTP/1.1\nHost: x",
        b"GET / HTTP/1.1\r\nHost : x",
        b"GET / HTTP/1.1\r\n folded: x",
        b"GET / HTTP/1.1\r\nA: b\rc",
        b"GET / HTTP/1.1\r\nA: b\nContent-Length: 4",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b",
        b"GET / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2",
        b"GET / HTTP/1.1\r\nContent-Length: +1",
        b"GET / HTTP/1.1\r\nContent-Length: 1, 1",
        b"GET / HTTP/1.1\r\n" + b"\r\n".join([b"a: b"] * 200),
    ],
)
def test_what_is_ambiguous_is_refused(data):
    with pytest.raises(InvalidError):
        parse_head(data)


def test_a_transfer_encoding_is_refused():
    with pytest.raises(UnsupportedError):
        parse_head(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 4")


def test_fields_cannot_end_a_head():
    assert head_of_answer(200, "OK", [("A", "b\r\n\r\nc"), ("D", "e")]) == b"HTTP/1.1 200 OK\r\nD: e\r\n\r\n"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("bytes=0-", (0, 10)),
        ("bytes=3-5", (3, 6)),
        ("bytes=3-99", (3, 10)),
        ("bytes=-3", None),
        ("bytes=1-2,4-5", None),
    ],
)
def test_parts(text, part):
    assert wanted_part(text, 10) == part


@pytest.mark.parametrize("text", ["bytes=10-", "bytes=5-3"])
def test_parts_that_are_none(text):
    with pytest.raises(InvalidError):
        wanted_part(text, 10)


@pytest.mark.parametrize(
    ("fields", "has"),
    [
        (b'If-None-Match: W/"a", "b"', True),
        (b'If-None-Match: "c"\r\nIf-Modified-Since: then', False),
        (b"If-Modified-Since: then", True),
        (b"A: b", False),
    ],
)
def test_what_a_client_has(fields, has):
    assert has_already(parse_head(b"GET / HTTP/1.1\r\n" + fields), '"b"', "then") is has


@given(
    st.lists(
        st.sampled_from(
            [
                b"GET",
                b" ",
                b"/",
                b"HTTP/1.1",
                b"\r\n",
                b":",
                b"a",
                b"\0",
                b"\xff",
                b"Content-Length",
                b"1",
                b"\n",
            ]
        )
    )
)
def test_whatever_comes_is_a_head_or_refused(pieces):
    with contextlib.suppress(TiffinError):
        parse_head(b"".join(pieces))
