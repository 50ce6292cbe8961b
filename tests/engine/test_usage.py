"""What `stats` says of samples; that there are some is tried with real containers."""

import pytest

from tiffin.cli.commands.stats import binary_size, usage_row
from tiffin.engine.usage import Sample, Usage, between


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0B"),
        (1023, "1023B"),
        (1536, "1.5KiB"),
        (100 << 20, "100MiB"),
        (24 << 30, "24GiB"),
        (1 << 50, "1024TiB"),
    ],
)
def test_memory_is_shown_in_powers_of_1024(size, text):
    assert binary_size(size) == text


def test_use_of_the_processor_is_what_came_between_two_samples():
    assert between(Sample(10.0, cpu=1.0), Sample(12.0, cpu=4.0)) == 1.5
    assert between(Sample(10.0, cpu=4.0), Sample(11.0, cpu=1.0)) == 0.0  # a process has ended, uncounted


def test_a_row_reads_as_dockers():
    sample = Sample(0.0, 0.0, 3 << 20, 1 << 30, 1500, 0, 0, 2_000_000, 4)
    row = usage_row(Usage("a" * 64, "serving", 0.0712, sample))
    assert row == {
        "Container": "a" * 12,
        "ID": "a" * 12,
        "Name": "serving",
        "CPUPerc": "7.12%",
        "MemUsage": "3MiB / 1GiB",
        "MemPerc": "0.29%",
        "NetIO": "1.5kB / 0B",
        "BlockIO": "0B / 2MB",
        "PIDs": "4",
    }
    stopped = usage_row(Usage("b" * 64, "gone", 0.0, None), whole=True)
    assert (stopped["ID"], stopped["MemUsage"], stopped["PIDs"]) == ("b" * 64, "-- / --", "--")
