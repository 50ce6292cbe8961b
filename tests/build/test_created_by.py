"""History texts in Go's formats, which Docker's tools read."""

import pytest

from tiffin.build.created_by import duration, quoted, run


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1_500, "1.5µs"),
        (250_000_000, "250ms"),
        (1_000_000_000, "1s"),
        (1_500_000_000, "1.5s"),
        (60_000_000_000, "1m0s"),
        (90_000_000_000, "1m30s"),
        (3_600_000_000_000, "1h0m0s"),
        (3_661_500_000_000, "1h1m1.5s"),
        (90_000_000_000_000, "25h0m0s"),
    ],
)
def test_durations(nanoseconds, text):
    assert duration(nanoseconds) == text


@pytest.mark.parametrize(
    ("items", "text"),
    [
        ((), "[]"),
        (("a", "b c"), '["a" "b c"]'),
        (('"', "\\"), '["\\"" "\\\\"]'),
        (("\n\t\x00\x7f", "é", "\u200b", "\U000e0001"), '["\\n\\t\\x00\\x7f" "é" "\\u200b" "\\U000e0001"]'),
        (("\udcff",), '["\\xff"]'),
    ],
)
def test_quoted_lists(items, text):
    assert quoted(items) == text


def test_run_counts_its_arguments():
    assert run(("/bin/sh", "-c", "x"), {}) == "RUN /bin/sh -c x"
    assert run(("x",), {"A": "1", "B": ""}) == "RUN |2 A=1 B= x"
