"""Patterns of substitutions against a plain, slow matcher that follows their definition."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.dockerfile.globs import parse_pattern, replace, strip_prefix, strip_suffix


def whole(pattern, text):
    """Whether `pattern`, a list of tokens, matches all of `text`: by the definition."""
    if not pattern:
        return not text
    (kind, character), *rest = pattern
    if kind == "*":
        return any(whole(rest, text[skip:]) for skip in range(len(text) + 1))
    return bool(text) and (kind == "?" or text[0] == character) and whole(rest, text[1:])


patterns = st.lists(st.sampled_from(["a", "b", "*", "?", "\\*", "\\\\", "/"]), max_size=5).map("".join)
values = st.text(alphabet="ab*\\/", max_size=7)


@given(patterns, values, st.booleans())
def test_prefix(pattern, value, longest):
    tokens = parse_pattern(pattern)
    ends = [end for end in range(len(value) + 1) if whole(tokens, value[:end])]
    expected = value[max(ends) if longest else min(ends) :] if ends else value
    assert strip_prefix(tokens, value, longest=longest) == expected


@given(patterns, values, st.booleans())
def test_suffix(pattern, value, longest):
    tokens = parse_pattern(pattern)
    starts = [start for start in range(len(value) + 1) if whole(tokens, value[start:])]
    expected = value[: min(starts) if longest else max(starts)] if starts else value
    assert strip_suffix(tokens, value, longest=longest) == expected


@given(patterns.filter(lambda pattern: pattern.strip("*")), values, st.booleans())
def test_replace(pattern, value, every):
    tokens = parse_pattern(pattern)
    result = []
    start = 0
    while start < len(value):
        end = max(
            (end for end in range(start, len(value) + 1) if whole(tokens, value[start:end])), default=-1
        )
        if end < 0:
            result.append(value[start])
            start += 1
        else:
            result.append("<>")
            start = end
            if not every:
                break
    assert replace(tokens, value, "<>", every=every) == "".join(result) + value[start:]


@pytest.mark.parametrize(
    ("pattern", "value", "every", "expected"),
    [
        ("", "ab", False, "<>ab"),
        ("", "ab", True, "<>a<>b<>"),
        ("*", "ab", True, "<>"),
        ("*", "", True, "<>"),
    ],
)
def test_empty_matches(pattern, value, every, expected):
    assert replace(parse_pattern(pattern), value, "<>", every=every) == expected


def test_the_replacement_is_plain_text():
    assert replace(parse_pattern("a"), "xax", "$1\\*", every=True) == "x$1\\*x"


@pytest.mark.parametrize("pattern", ["\\", "\\a", "a\\\\\\"])
def test_an_escape_that_means_nothing(pattern):
    with pytest.raises(ValueError, match="no escape"):
        parse_pattern(pattern)
