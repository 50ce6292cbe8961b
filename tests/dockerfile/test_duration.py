"""Durations in Go's notation, as HEALTHCHECK takes them."""

import pytest

from tiffin.dockerfile.duration import parse_duration
from tiffin.errors import InvalidError


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("0", 0),
        ("-0", 0),
        ("0s", 0),
        ("5s", 5_000_000_000),
        ("1m30s", 90_000_000_000),
        ("1h2m3s4ms5us6ns", 3_723_004_005_006),
        ("1.5h", 5_400_000_000_000),
        (".5s", 500_000_000),
        ("1.s", 1_000_000_000),
        ("3µs", 3_000),
        ("3μs", 3_000),
        ("-5s", -5_000_000_000),
        ("+5s", 5_000_000_000),
        ("30s1m", 90_000_000_000),
        ("0.123456789123s", 123_456_789),
        ("00000000000000000000001s", 1_000_000_000),
        ("2562047h47m16s", 9_223_372_036_000_000_000),
    ],
)
def test_durations(text, nanoseconds):
    assert parse_duration(text) == nanoseconds


@pytest.mark.parametrize(
    "text", ["", "5", "s", ".s", "5x", "5 s", " 5s", "5S", "-", "1m30", "٣s", "9" * 30 + "h", "2562048h"]
)
def test_what_is_none(text):
    with pytest.raises(InvalidError) as caught:
        parse_duration(text)
    assert caught.value.hint
