import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiffin.base.versions import satisfies, version_key
from tiffin.errors import InvalidError

# Debian policy 5.6.12 and deb-version(7), each pair in rising order.
RISING = [
    ("1.0~beta1~svn1245", "1.0~beta1"),
    ("1.0~beta1", "1.0"),
    ("1.0", "1.0-1"),
    ("1.0-1~bpo12+1", "1.0-1"),
    ("1.0-1", "1.0-1+deb12u1"),
    ("1.0-1+b1", "1.0-1+deb12u1"),
    ("1.2.9", "1.2.10"),
    ("9.99", "1:0.1"),
    ("1.0a", "1.0b"),
    ("1.0a", "1.0+"),
    ("2.36-9+deb12u9", "2.36-9+deb12u14"),
    ("1-1-1", "1-1-2"),
    ("0~", "0"),
    ("3.0.9-1~deb12u1", "3.0.11-1~deb12u2"),
]
EQUAL = [("1.0", "1.0-0"), ("0:1.0", "1.0"), ("1.00", "1.0"), ("1.", "1.0"), ("007-1", "7-1")]


@pytest.mark.parametrize(("low", "high"), RISING)
def test_rising(low, high):
    assert version_key(low) < version_key(high)
    assert satisfies(low, "<<", high)
    assert satisfies(high, ">>", low)
    assert not satisfies(low, ">=", high)


@pytest.mark.parametrize(("one", "two"), EQUAL)
def test_equal(one, two):
    assert version_key(one) == version_key(two)
    assert satisfies(one, "=", two)
    assert satisfies(one, "<=", two)
    assert not satisfies(one, ">>", two)


@pytest.mark.parametrize("bad", ["", "1 0", "1:", "a:1", "1_0", "-1", "1\n"])
def test_no_version(bad):
    with pytest.raises(InvalidError, match="not the version"):
        version_key(bad)


def test_unknown_operator():
    with pytest.raises(InvalidError, match="not a relation"):
        satisfies("1", "~=", "1")


_text = st.text("019a.~+", min_size=1, max_size=8)


@given(_text, _text)
def test_tilde_sorts_before_the_end_and_all_else_behind_it(start, rest):
    assert version_key(start + "~" + rest) < version_key(start)
    assert version_key(start + "a" + rest) > version_key(start)


@given(_text, _text, _text)
def test_sorting_is_an_order(one, two, three):
    keys = sorted(map(version_key, (one, two, three)))
    assert keys[0] <= keys[1] <= keys[2]
    assert keys[0] <= keys[2]
