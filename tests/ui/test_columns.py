"""Sizes, ages and tables against Docker 28's own output."""

import pytest

from tiffin.ui.columns import ago, human_duration, human_size, shorten, table


@pytest.mark.parametrize(
    ("count", "three", "four"),
    [
        (0, "0B", "0B"),
        (999, "999B", "999B"),
        (1000, "1kB", "1kB"),
        (4096, "4.1kB", "4.096kB"),
        (12345, "12.3kB", "12.35kB"),
        (45_600_000, "45.6MB", "45.6MB"),
        (238_412_345, "238MB", "238.4MB"),
        (1_234_567_890, "1.23GB", "1.235GB"),
        (1_500_000_000, "1.5GB", "1.5GB"),
        (10**12, "1TB", "1TB"),
    ],
)
def test_sizes_are_docker_s(count, three, four):
    assert (human_size(count), human_size(count, 4)) == (three, four)


def test_a_size_that_rounds_up_to_a_thousand_is_not_written_with_an_exponent():
    assert human_size(999_600) == "1MB"  # Docker prints 1e+03kB
    assert human_size(999_960_000, 4) == "1000MB"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "Less than a second"),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "About a minute"),
        (119, "About a minute"),
        (120, "2 minutes"),
        (59 * 60, "59 minutes"),
        (3600, "About an hour"),
        (3 * 3600, "3 hours"),
        (47 * 3600, "47 hours"),
        (3 * 86400, "3 days"),
        (40 * 86400, "5 weeks"),
        (400 * 86400, "13 months"),
        (20_759 * 86400, "56 years"),
    ],
)
def test_ages_are_docker_s(seconds, words):
    assert human_duration(seconds) == words
    assert ago(1000.0, 1000.0 + seconds) == f"{words} ago"


def test_a_clock_that_went_back_gives_no_negative_age():
    assert ago(2000.0, 1000.0) == "Less than a second ago"


def test_columns_are_padded_by_three_and_at_least_ten_wide_and_the_last_is_not():
    rows = [
        ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"],
        ["Images", "3", "1", "1.5GB", "1.307GB (87%)"],
        ["Local Volumes", "2", "1", "1.004MB", "1MB (99%)"],
    ]
    assert table(rows) == [
        "TYPE            TOTAL     ACTIVE    SIZE      RECLAIMABLE",
        "Images          3         1         1.5GB     1.307GB (87%)",
        "Local Volumes   2         1         1.004MB   1MB (99%)",
    ]


def test_shortened_text_ends_with_an_ellipsis():
    assert shorten("uvicorn serve:app --host", 20) == "uvicorn serve:app -…"
    assert shorten("true", 20) == "true"
