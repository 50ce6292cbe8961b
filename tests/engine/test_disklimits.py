"""Limits of single disks, by words, in the spec, and as they are written for either version of cgroups."""

import os
import stat

import pytest

from tiffin.engine.disklimits import disks, in_words
from tiffin.engine.limits import parse_limits
from tiffin.errors import InvalidError, NotFoundError
from tiffin.oci.runtimespec import BlockIO, ThrottleDevice, WeightDevice
from tiffin.runtime.cgroups.limits import Writes

WORDS = (
    ("device-read-bps", "/dev/sda:10mb"),
    ("device-write-bps", "/dev/sda:5"),
    ("device-read-iops", "/dev/sda:100"),
    ("device-read-iops", "/dev/sdb:200"),
    ("blkio-weight-device", "/dev/sda:505"),
)


@pytest.fixture
def disk(monkeypatch):
    """Every path is a disk, 8:0 or 8:16."""

    def status(path):
        number = os.makedev(8, 16 if path.name == "sdb" else 0)
        return os.stat_result((stat.S_IFBLK, *([0] * 9)), {"st_rdev": number})

    monkeypatch.setattr("tiffin.engine.disklimits.Path.stat", status)


def test_in_the_spec(disk):
    assert disks(7, WORDS) == BlockIO(
        7,
        (WeightDevice(8, 0, 505),),
        (ThrottleDevice(8, 0, 10 << 20),),
        (ThrottleDevice(8, 0, 5),),
        (ThrottleDevice(8, 0, 100), ThrottleDevice(8, 16, 200)),
    )
    assert disks(None, ()) is None


def test_as_they_are_written(disk):
    both = Writes.of(parse_limits(WORDS).resources)
    assert [(write.file, write.value) for write in both.v1] == [
        ("blkio.weight_device", "8:0 505"),
        ("blkio.throttle.read_bps_device", f"8:0 {10 << 20}"),
        ("blkio.throttle.write_bps_device", "8:0 5"),
        ("blkio.throttle.read_iops_device", "8:0 100"),
        ("blkio.throttle.read_iops_device", "8:16 200"),
    ]
    assert [(write.file, write.value) for write in both.v2] == [
        ("io.weight", "8:0 5000"),
        ("io.max", f"8:0 rbps={10 << 20}"),
        ("io.max", "8:0 wbps=5"),
        ("io.max", "8:0 riops=100"),
        ("io.max", "8:16 riops=200"),
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("device-read-bps", "/dev/sda"),
        ("device-read-bps", "sda:1mb"),
        ("device-read-bps", "/dev/sda:fast"),
        ("device-read-iops", "/dev/sda:1k"),
        ("device-write-iops", "/dev/sda:-1"),
        ("blkio-weight-device", "/dev/sda:5"),
        ("device-read-bps", "/dev/null:1mb"),
    ],
)
def test_what_is_refused(name, text):
    with pytest.raises(InvalidError, match=f"--{name}"):
        disks(None, ((name, text),))


def test_a_disk_that_is_not_there():
    with pytest.raises(NotFoundError, match="/dev/not-here"):
        disks(None, (("device-read-bps", "/dev/not-here:1mb"),))


def test_in_the_words_of_inspect():
    found = in_words(WORDS)
    assert found["BlkioWeightDevice"] == [{"Path": "/dev/sda", "Weight": 505}]
    assert found["BlkioDeviceReadBps"] == [{"Path": "/dev/sda", "Rate": 10 << 20}]
    assert [line["Rate"] for line in found["BlkioDeviceReadIOps"]] == [100, 200]
    assert in_words(())["BlkioDeviceWriteIOps"] == []


@pytest.mark.parametrize(
    ("words", "written"),
    [
        ((("memory-swappiness", "0"),), [("memory.swappiness", "0")]),
        ((("memory-swappiness", "-1"),), []),
        ((("oom-kill-disable", "true"),), [("memory.oom_control", "1")]),
        (
            (("cpu-rt-period", "1000000"), ("cpu-rt-runtime", "950000")),
            [("cpu.rt_period_us", "1000000"), ("cpu.rt_runtime_us", "950000")],
        ),
        ((("cgroup-parent", "/a/b"),), []),
    ],
)
def test_further_limits(words, written):
    resources = parse_limits(words).resources
    assert [(write.file, write.value) for write in (Writes.of(resources).v1 if resources else ())] == written


def test_swappiness_is_a_share():
    with pytest.raises(InvalidError, match="--memory-swappiness"):
        parse_limits((("memory-swappiness", "101"),))
