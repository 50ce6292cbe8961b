"""The pace of a transfer, and the time left."""

import pytest

from tiffin.events import StepProgress
from tiffin.ui.pace import Pace

MB = 1_000_000


def told(*seen, total=100 * MB, unit="B"):
    pace = Pace()
    return [pace.told(StepProgress("s", done, total, unit), now) for now, done in seen][-1]


@pytest.mark.parametrize(
    ("seen", "shown"),
    [
        ([(0, 0)], ""),
        ([(0, 0), (0.5, 5 * MB)], ""),  # too early to say
        ([(0, 0), (2, 10 * MB)], "5MB/s 18s left"),
        ([(0, 50 * MB), (2, 60 * MB)], "5MB/s 8s left"),  # what was there at first came earlier
        ([(0, 0), (2, 10 * MB), (4, 10 * MB)], "2.5MB/s 36s left"),
        ([(0, 0), (10, MB)], "100kB/s 16m30s left"),
        ([(0, 0), (100, MB)], "10kB/s 2h45m left"),
        ([(0, 0), (2, 0)], ""),
        ([(0, 0), (2, 100 * MB)], ""),  # all of it is here
        ([(0, 50 * MB), (2, 60 * MB), (3, MB), (5, 11 * MB)], "5MB/s 18s left"),  # it began anew
    ],
)
def test_pace_and_time_left(seen, shown):
    assert told(*seen) == shown


def test_only_the_last_seconds_count():
    steps = [(n, n * MB) for n in range(20)] + [(20 + n, 19 * MB + n * 4 * MB) for n in range(1, 15)]
    assert told(*steps, total=200 * MB).startswith("4MB/s")


def test_without_a_total_there_is_a_pace_alone():
    assert told((0, 0), (2, 10 * MB), total=None) == "5MB/s"


def test_what_is_not_bytes_has_none():
    assert told((0, 0), (2, 3), total=7, unit="layers") == ""
