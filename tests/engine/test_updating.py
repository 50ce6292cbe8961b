"""What an update makes of the limits that were asked for before."""

import pytest

from tiffin.engine.updating import merged, writes_between
from tiffin.runtime.cgroups.limits import Write

MB = 1 << 20


@pytest.mark.parametrize(
    ("old", "given", "new"),
    [
        ((), {"memory": "64m"}, (("memory", "64m"),)),
        ((("memory", "64m"), ("cpus", "1")), {"memory": "1g"}, (("cpus", "1"), ("memory", "1g"))),
        # As in Docker, nothing is changed by 0; but any number of processes is one.
        ((("memory", "64m"),), {"memory": "0", "cpus": "0", "cpuset-cpus": ""}, (("memory", "64m"),)),
        ((("pids-limit", "5"),), {"pids-limit": "0"}, (("pids-limit", "0"),)),
        # What has several values, or cannot be changed, stays.
        (
            (("ulimit", "nofile=1"), ("ulimit", "core=0"), ("oom-score-adj", "5")),
            {"cpu-shares": "9"},
            (("ulimit", "nofile=1"), ("ulimit", "core=0"), ("oom-score-adj", "5"), ("cpu-shares", "9")),
        ),
    ],
)
def test_merged(old, given, new):
    assert merged(old, given) == new


@pytest.mark.parametrize(
    ("old", "new", "two"),
    [
        ((), (), ()),
        ((("memory", "64m"),), (("memory", "64m"), ("ulimit", "nofile=1")), ()),
        (
            (("memory", "64m"), ("pids-limit", "5")),
            (("memory", "32m"), ("pids-limit", "5")),
            (
                Write("memory", "memory.max", str(32 * MB)),
                Write("memory", "memory.swap.max", str(32 * MB), optional=True),
            ),
        ),
        ((("pids-limit", "5"),), (("pids-limit", "9"),), (Write("pids", "pids.max", "9"),)),
        ((("pids-limit", "5"),), (("pids-limit", "-1"),), (Write("pids", "pids.max", "max"),)),
        ((("cpus", "1"),), (("cpus", "2"),), (Write("cpu", "cpu.max", "200000 100000"),)),
    ],
)
def test_only_what_differs_is_written(old, new, two):
    assert writes_between(old, new).v2 == two
