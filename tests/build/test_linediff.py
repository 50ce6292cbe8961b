"""What changed between two texts, in the words that a person is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.build.linediff import arrow, changed_lines
from tiffin.build.oneline import short


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("torch==2.5\n", "torch==2.6\n", ["line 1: torch 2.5 → 2.6"]),
        ("a\ntorch>=2.5\n", "a\ntorch==2.6\n", ["line 2: torch >=2.5 → ==2.6"]),
        ("uvicorn[standard]==1\n", "uvicorn[standard]==2\n", ["line 1: uvicorn[standard] 1 → 2"]),
        ("torch @ https://a/1\n", "torch @ https://a/2\n", ["line 1: torch https://a/1 → https://a/2"]),
        ('  "version": "1.0",\n', '  "version": "1.1",\n', ["line 1: version 1.0 → 1.1"]),
        ("version = '1'\n", "version = '2'\n", ["line 1: version 1 → 2"]),
        ("lr: 0.1\n", "lr: 0.01\n", ["line 1: lr 0.1 → 0.01"]),
        ("a\nb\n", "a\nb\nc\n", ["line 3: c is new"]),
        ("a\nb\nc\n", "a\nc\n", ["line 2: b is gone"]),
        ("a\n", "b\n", ["line 1: a → b"]),
        ("numpy\n", "torch==2\n", ["line 1: numpy → torch==2"]),
        ("a\n\n", "a\n", []),
        ("same\n", "same\n", []),
        ("a=1\nb=2\nc=3\n", "a=9\nb=2\nc=8\n", ["line 1: a 1 → 9", "line 3: c 3 → 8"]),
        ("a=1\nb=2\n", "a=2\nb=3\nc=4\n", ["line 1: a 1 → 2", "line 2: b 2 → 3", "line 3: c=4 is new"]),
    ],
)
def test_changed_lines(old, new, expected):
    assert changed_lines(old, new) == expected


def test_texts_that_nobody_would_compare_are_not_compared():
    assert changed_lines("a\n" * 10_000, "b\n" * 10_000) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("1", "2", "1 → 2"),
        ("", "2", "nothing → 2"),
        ("a  b", "a\nc", "a b → a c"),
        (
            "pip install --no-cache-dir -r requirements.txt --index-url https://example.org torch==2.5",
            "pip install --no-cache-dir -r requirements.txt --index-url https://example.org torch==2.6",
            "… torch==2.5 → … torch==2.6",
        ),
        (
            "apt-get update && apt-get install -y curl && rm -rf /var/lib/apt/lists/* /tmp/cache",
            "apt-get update && apt-get install -y curl git && rm -rf /var/lib/apt/lists/* /tmp/cache",
            "nothing → … git …",
        ),
        ("x" * 100, "y" * 100, f"{'x' * 59}… → {'y' * 59}…"),
    ],
)
def test_arrow(old, new, expected):
    assert arrow(old, new) == expected


@given(st.text(max_size=200), st.text(max_size=200))
def test_a_difference_is_always_told_and_never_long(old, new):
    lines = changed_lines(old, new)
    for line in lines:
        assert len(line) < 400
        assert "\n" not in line
    if old.splitlines() == new.splitlines():
        assert lines == []


def test_short():
    assert short("a\n  b") == "a b"
    assert len(short("x" * 1000)) == 60
