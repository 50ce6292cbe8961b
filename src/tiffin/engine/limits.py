"""The options that limit a container, in the user's words → resources, and limits of its process. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tiffin.engine.size import size_in_bytes
from tiffin.errors import InvalidError
from tiffin.oci.runtimespec import CPU, BlockIO, Memory, Pids, Resources
from tiffin.runtime.cgroups.limits import Writes, check, killed
from tiffin.runtime.rlimits import parse_ulimits

if TYPE_CHECKING:
    from typing import Any

    from tiffin.oci.runtimespec import DeviceRule, Rlimit

    Words = tuple[tuple[str, str], ...]

PERIOD = 100_000
_BY_DISK = (
    *("blkio-weight-device", "device-read-bps", "device-read-iops"),
    *("device-write-bps", "device-write-iops"),
)
_SCORES = (-1000, 1000)
_BILLION = 10**9


class Limits(NamedTuple):
    """What was asked for; `resources` are kept by a cgroup, None if nothing needs one."""

    resources: Resources | None = None
    rlimits: tuple[Rlimit, ...] = ()
    oom_score_adj: int | None = None


def parse_limits(words: Words) -> Limits:
    """Return the limits. Raises InvalidError for what cannot be read, or contradicts itself."""
    given = dict(words)
    rlimits = parse_ulimits(text for name, text in words if name == "ulimit")
    score = _whole(given, "oom-score-adj")
    if score is not None and not _SCORES[0] <= score <= _SCORES[1]:
        raise _invalid("oom-score-adj", str(score), f"it is a number from {_SCORES[0]} to {_SCORES[1]}")
    resources = Resources(
        memory=_memory(given), cpu=_cpu(given), pids=_pids(given), block_io=_disks(given, words)
    )
    check(resources)
    return Limits(None if resources == Resources() else resources, rlimits, score)


def writes(words: Words, rules: tuple[DeviceRule, ...] = ()) -> tuple[Any, ...]:
    """Return what a supervisor writes into a cgroup for these limits; nothing where none is needed.

    `rules` are those of devices, which are found out at each start.
    """
    resources = parse_limits(words).resources
    if resources is None and not rules:
        return ()
    resources = msgspec.structs.replace(resources or Resources(), devices=rules)
    both = Writes.of(resources)
    return tuple(tuple(tuple(write) for write in one) for one in both)


def out_of_memory(words: Words, peak: int) -> str:
    """Return what is said of a container in which processes were killed for want of memory."""
    memory = parse_limits(words).resources
    limit = memory.memory.limit if memory and memory.memory else None
    return f"out of memory: a process of the container was {killed(limit, peak)}; give it more with --memory"


def _memory(given: dict[str, str]) -> Memory | None:
    swappiness = _whole(given, "memory-swappiness")
    memory = Memory(
        _size(given, "memory"),
        _size(given, "memory-swap"),
        _size(given, "memory-reservation"),
        None if swappiness == -1 else swappiness,
        disable_oom_killer="oom-kill-disable" in given,
    )
    return None if memory == Memory() else memory


def _cpu(given: dict[str, str]) -> CPU | None:
    quota, period = _whole(given, "cpu-quota"), _whole(given, "cpu-period")
    if given.get("cpus"):
        if quota or period:
            raise InvalidError(
                "--cpus is a quota of its own: it cannot be given with --cpu-period or --cpu-quota",
                code="invalid-limit",
                hint="leave one of them out",
                exit_status=125,
            )
        quota = _processors(given["cpus"])
        period = PERIOD if quota else None
    cpu = CPU(
        _whole(given, "cpu-shares") or None,
        quota or None,
        period or None,
        given.get("cpuset-cpus", ""),
        given.get("cpuset-mems", ""),
        _whole(given, "cpu-rt-runtime") or None,
        _whole(given, "cpu-rt-period") or None,
    )
    return None if cpu == CPU() else cpu


def _processors(text: str) -> int:
    whole, _, part = text.partition(".")
    if not (whole + part).isdecimal() or not (whole + part).isascii() or len(whole) > 6:
        raise _invalid("cpus", text, "a number of processors like 1.5 is needed")
    billionths = int(f"{whole or 0}{part[:9]:0<9}")
    return billionths * PERIOD // _BILLION


def _pids(given: dict[str, str]) -> Pids | None:
    most = _whole(given, "pids-limit")
    return None if most is None or most <= 0 else Pids(most)


def _disks(given: dict[str, str], words: Words) -> BlockIO | None:
    weight = _whole(given, "blkio-weight") or None
    if not any(name in _BY_DISK for name, _ in words):
        return BlockIO(weight) if weight else None
    from tiffin.engine.disklimits import disks  # few limit single ones

    return disks(weight, words)


def _size(given: dict[str, str], name: str) -> int | None:
    text = given.get(name, "")
    if text in ("", "0"):
        return None
    if text == "-1":
        return -1
    size = size_in_bytes(text)
    if size is None:
        raise _invalid(name, text, "a size like 64m or 1g is needed")
    return size or None


def _whole(given: dict[str, str], name: str) -> int | None:
    text = given.get(name)
    if text is None:
        return None
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 19):
        raise _invalid(name, text, "a whole number is needed")
    return int(text)


def _invalid(name: str, text: str, why: str) -> InvalidError:
    return InvalidError(
        f'invalid argument "{text}" for "--{name}" flag: {why}', code="usage", exit_status=125
    )
