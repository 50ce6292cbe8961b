"""Pages of an index with links that lead here."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.build.relay.pages import JSON, rewritten
from tiffin.errors import CorruptError

SHA = "ab" * 32
PAGE = "https://h/simple/x/"


def mark(url, sha256):
    return f"<{url}|{sha256}>".replace("<", "[").replace(">", "]")


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        (
            f'<a href="../../f/x.whl#sha256={SHA}">x</a>',
            f'<a href="[https://h/f/x.whl|{SHA}]#sha256={SHA}">x</a>',
        ),
        (
            "<A data-yanked='' HREF='x.whl'>x</A>",
            "<A data-yanked='' HREF=\"[https://h/simple/x/x.whl|]\">x</A>",
        ),
        ("<a href=x.whl>x</a>", '<a href="[https://h/simple/x/x.whl|]">x</a>'),
        ('<a href="/x?a=1&amp;b=2">x</a>', '<a href="[https://h/x?a=1&amp;b=2|]">x</a>'),
        ('<base href="https://g/f/"><a href="x.whl">x</a>', '<a href="[https://g/f/x.whl|]">x</a>'),
        ('<a href="https://u:p@h/x">x</a>', '<a href="https://u:p@h/x">x</a>'),
        ('<a href="javascript:x">x</a>', '<a href="javascript:x">x</a>'),
        ('<a href="http://[">x</a>', '<a href="http://[">x</a>'),
        ('<a href="http://[#sha256=x">x</a>', '<a href="http://[#sha256=x">x</a>'),
        ('<base href="https://["><a href="x">x</a>', '<a href="[https://h/simple/x/x|]">x</a>'),
    ],
)
def test_html(page, expected):
    assert rewritten(page.encode(), "text/html; charset=utf-8", PAGE, mark).decode() == expected


def test_json():
    files = [
        {
            "filename": "x.whl",
            "url": "../f/x.whl",
            "hashes": {"sha256": SHA},
            "core-metadata": {"sha256": "0"},
        }
    ]
    data = rewritten(json.dumps({"meta": {}, "files": files}).encode(), f"{JSON}; charset=utf-8", PAGE, mark)
    [file] = json.loads(data)["files"]
    assert file == {**files[0], "url": f"[https://h/simple/f/x.whl|{SHA}]"}


@pytest.mark.parametrize(
    "data", [b"{", b"[]", b'{"files": 1}', b'{"files": [{}]}', b'{"files": [1]}', b"[" * 9999]
)
def test_json_that_is_no_page(data):
    with pytest.raises(CorruptError):
        rewritten(data, JSON, PAGE, mark)


def test_what_is_no_page_stays():
    assert rewritten(b"<a href=x>", "text/plain", PAGE, mark) == b"<a href=x>"


PIECES = st.sampled_from(
    [
        "<a ",
        "href=",
        '"',
        "'",
        ">",
        "https://",
        "[",
        "x.whl",
        "#sha256=",
        SHA,
        "&amp;",
        "<base ",
        "//",
        "@",
        " ",
    ]
)


@given(st.lists(PIECES, max_size=14).map("".join))
def test_whatever_a_page_says_it_is_rewritten(text):
    rewritten(text.encode(), "text/html", PAGE, mark)
