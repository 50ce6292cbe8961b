"""--ulimit as Docker reads it."""

import resource

import pytest

from tiffin.errors import InvalidError
from tiffin.oci.runtimespec import Rlimit
from tiffin.runtime.plan import _rlimit
from tiffin.runtime.rlimits import UNLIMITED, parse_ulimit, parse_ulimits


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nofile=1024", ("NOFILE", 1024, 1024)),
        ("nofile=1024:2048", ("NOFILE", 1024, 2048)),
        ("NOFILE=1", ("NOFILE", 1, 1)),
        ("core=0:-1", ("CORE", 0, UNLIMITED)),
        ("memlock=-1:-1", ("MEMLOCK", UNLIMITED, UNLIMITED)),
        ("stack=unlimited", ("STACK", UNLIMITED, UNLIMITED)),
    ],
)
def test_limits(text, expected):
    name, soft, hard = expected
    assert parse_ulimit(text) == Rlimit(f"RLIMIT_{name}", soft, hard)


@pytest.mark.parametrize(
    "text", ["", "nofile", "nofile=", "nofile=x", "nofile=1:", "files=1", "nofile=2:1", "core=-1:0", "cpu=-2",
             "cpu=99999999999999999999", "cpu=1.5", "cpu=²"],
)  # fmt: skip
def test_what_is_no_limit(text):
    with pytest.raises(InvalidError, match="--ulimit"):
        parse_ulimit(text)


def test_the_last_of_a_name_counts():
    assert [(limit.type, limit.soft) for limit in parse_ulimits(["cpu=1", "core=2", "cpu=3"])] == [
        ("RLIMIT_CPU", 3),
        ("RLIMIT_CORE", 2),
    ]


def test_every_name_is_the_kernels():
    for name in ("cpu", "fsize", "data", "stack", "core", "rss", "nproc", "nofile", "memlock", "as"):
        number, soft, hard = _rlimit(parse_ulimit(f"{name}=1:-1"))
        assert number == getattr(resource, f"RLIMIT_{name.upper()}")
        assert (soft, hard) == (1, resource.RLIM_INFINITY)
