"""Go's filepath.Match, by its documentation and by a matcher that follows its definition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.dockerfile.match import has_wildcard, match, unescape
from tiffin.errors import InvalidError


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("abc", "abc", True),
        ("abc", "ab", False),
        ("", "", True),
        ("", "a", False),
        ("*", "abc", True),
        ("*", "", True),
        ("*", "a/b", False),
        ("*c", "abc", True),
        ("a*", "a", True),
        ("a*", "ab/c", False),
        ("a*/b", "abc/b", True),
        ("a*/b", "a/c/b", False),
        ("a*b*c*d*e*/f", "axbxcxdxe/f", True),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", False),
        ("a*b?c*x", "abxbbxdbxebxczzx", True),
        ("a*b?c*x", "abxbbxdbxebxczzy", False),
        ("**", "a/b", False),  # no more than one star
        ("a/**/b", "a/x/b", True),
        ("a/**/b", "a/x/y/b", False),
        ("?", "a", True),
        ("?", "/", False),
        ("a?b", "a/b", False),
        ("?", "é", True),
        ("*", ".hidden", True),  # a leading dot is nothing special
        ("?git", ".git", True),
        ("ab[c]", "abc", True),
        ("ab[b-d]", "abc", True),
        ("ab[e-g]", "abc", False),
        ("ab[^c]", "abc", False),
        ("ab[^e-g]", "abc", True),
        ("[!a]", "a", True),  # not a negation: a ! or an a
        ("[!a]", "b", False),
        ("[^a]", "/", True),
        ("a\\*b", "a*b", True),
        ("a\\*b", "axb", False),
        ("[[]x", "[x", True),
        ("[*]x", "*x", True),
        ("[\\]a]", "]", True),
        ("[\\-]", "-", True),
        ("[a\\-z]", "m", False),
        ("[z-a]", "m", False),
        ("]", "]", True),
        ("a{b,c}", "ab", False),
    ],
)
def test_matching(pattern, name, matches):
    assert match(pattern, name) is matches


@pytest.mark.parametrize(
    "pattern", ["[", "[a", "[]", "[]a]", "[^", "[^]", "[-a]", "[a-]", "[a-b-c]", "[\\", "a\\", "*[", "x[a-"]
)
def test_malformed(pattern):
    with pytest.raises(InvalidError) as caught:
        match(pattern, "nothing like it")
    assert pattern in caught.value.message


@pytest.mark.parametrize(
    ("pattern", "wild"),
    [("a", False), ("a*", True), ("a?", True), ("[a]", True), ("a\\*", False), ("\\\\*", True)],
)
def test_has_wildcard(pattern, wild):
    assert has_wildcard(pattern) is wild


@pytest.mark.parametrize(
    ("pattern", "name"), [("a\\*b", "a*b"), ("a\\\\", "a\\"), ("a\\", "a\\"), ("a", "a")]
)
def test_unescape(pattern, name):
    assert unescape(pattern) == name


def slow(pattern, name):
    if not pattern:
        return not name
    if pattern[0] == "*":
        return slow(pattern[1:], name) or bool(name and name[0] != "/" and slow(pattern, name[1:]))
    if not name:
        return False
    return (name[0] != "/" if pattern[0] == "?" else pattern[0] == name[0]) and slow(pattern[1:], name[1:])


@given(st.text(alphabet="ab*?/", max_size=7), st.text(alphabet="ab/", max_size=7))
def test_stars_by_definition(pattern, name):
    assert match(pattern, name) is slow(pattern, name)


def test_many_stars_take_no_time():
    assert not match("*a" * 100 + "b", "a" * 4000)
