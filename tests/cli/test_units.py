"""Sizes and times as they are written on the command line."""

import pytest

from tiffin.cli.units import parse_moment, parse_size
from tiffin.errors import InvalidError


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("0", 0),
        ("1048576", 1 << 20),
        ("64m", 64 << 20),
        ("1g", 1 << 30),
        ("1G", 1 << 30),
        ("2GB", 2 << 30),
        ("2GiB", 2 << 30),
        ("1.5k", 1536),
        ("7b", 7),
    ],
)
def test_sizes_are_powers_of_1024(text, count):
    assert parse_size(text, "--shm-size") == count


@pytest.mark.parametrize("text", ["", "x", "-1", "1x", "1gg", "0x10"])
def test_other_sizes_are_refused(text):
    with pytest.raises(InvalidError, match="--shm-size"):
        parse_size(text, "--shm-size")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("42m", 10_000 - 42 * 60),
        ("1h30m", 10_000 - 5400),
        ("1.5s", 9998.5),
        ("500ms", 9999.5),
        ("1234.5", 1234.5),
        ("1970-01-01T00:00:10Z", 10.0),
        ("1970-01-01T02:00:10.25+02:00", 10.25),
        ("1969-12-31T23:00:10-01:00", 10.0),
        ("1970-01-02Z", 86400.0),
    ],
)
def test_moments(text, seconds):
    assert parse_moment(text, 10_000.0, "--since") == pytest.approx(seconds)


def test_a_moment_without_a_zone_is_local(monkeypatch):
    import time

    monkeypatch.setenv("TZ", "UTC-2")
    time.tzset()
    try:
        assert parse_moment("1970-01-01T02:00:10", 0.0, "--since") == 10.0
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "10", "5x", "2026-02-30T00:00:00Z"])
def test_other_moments_are_refused(text):
    if text == "10":
        assert parse_moment(text, 0.0, "--since") == 10.0
        return
    with pytest.raises(InvalidError, match="--since"):
        parse_moment(text, 0.0, "--since")
