"""Options that limit a container, in the user's words, and what they become."""

import marshal

import pytest

from tiffin.engine.limits import Limits, out_of_memory, parse_limits, writes
from tiffin.errors import InvalidError
from tiffin.oci.runtimespec import CPU, BlockIO, Memory, Pids, Resources, Rlimit

MB = 1 << 20


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({}, None),
        ({"memory": "0", "cpu-shares": "0", "pids-limit": "0", "blkio-weight": "0", "cpus": "0"}, None),
        ({"pids-limit": "-1"}, None),
        ({"memory": "64m"}, Resources(memory=Memory(64 * MB))),
        ({"memory": "64m", "memory-swap": "-1"}, Resources(memory=Memory(64 * MB, -1))),
        ({"memory-reservation": "8m"}, Resources(memory=Memory(reservation=8 * MB))),
        ({"cpus": "1.5"}, Resources(cpu=CPU(quota=150_000, period=100_000))),
        ({"cpus": ".25"}, Resources(cpu=CPU(quota=25_000, period=100_000))),
        ({"cpu-quota": "5000", "cpu-period": "10000"}, Resources(cpu=CPU(quota=5000, period=10000))),
        (
            {"cpu-shares": "512", "cpuset-cpus": "0-1", "cpuset-mems": "0"},
            Resources(cpu=CPU(512, cpus="0-1", mems="0")),
        ),
        ({"pids-limit": "10"}, Resources(pids=Pids(10))),
        ({"blkio-weight": "500"}, Resources(block_io=BlockIO(500))),
    ],
)
def test_resources(words, expected):
    assert parse_limits(tuple(words.items())).resources == expected


def test_limits_of_the_process_need_no_group():
    words = (("ulimit", "nofile=1:2"), ("ulimit", "core=0"), ("oom-score-adj", "-5"))
    rlimits = (Rlimit("RLIMIT_NOFILE", 1, 2), Rlimit("RLIMIT_CORE", 0, 0))
    assert parse_limits(words) == Limits(None, rlimits, -5)
    assert writes(words) == ()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"memory": "much"}, "a size like 64m"),
        ({"memory": "1m"}, "below 6 MB"),
        ({"memory-swap": "64m"}, "needs --memory"),
        ({"memory": "64m", "memory-swap": "32m"}, "less than --memory"),
        ({"memory": "64m", "memory-reservation": "65m"}, "more than it"),
        ({"cpus": "two"}, "a number of processors"),
        ({"cpus": "1", "cpu-quota": "5"}, "--cpus is a quota of its own"),
        ({"cpuset-cpus": "x"}, "--cpuset-cpus x"),
        ({"pids-limit": "ten"}, "a whole number"),
        ({"blkio-weight": "5"}, "10 to 1000"),
        ({"oom-score-adj": "1001"}, "-1000 to 1000"),
        ({"ulimit": "nofile"}, "a name, = and a number"),
    ],
)
def test_what_cannot_be(words, message):
    with pytest.raises(InvalidError, match=message):
        parse_limits(tuple(words.items()))


def test_what_a_supervisor_gets_can_be_sent():
    one, two = marshal.loads(marshal.dumps(writes((("pids-limit", "7"),))))
    assert one == two == (("pids", "pids.max", "7", False),)


def test_what_is_said_when_memory_ran_out():
    told = out_of_memory((("memory", "64m"),), 60 * MB)
    assert "killed at the limit of 64 MB; at most 60 MB were used" in told
    assert "at most" not in out_of_memory((("memory", "64m"),), 0)
