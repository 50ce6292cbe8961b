"""Resources of the runtime spec → what is written into which files of a cgroup, of either version. Pure.

The files are those of the kernel's documents cgroup-v1/ and cgroup-v2.rst.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from tiffin.errors import InvalidError

if TYPE_CHECKING:
    from tiffin.oci.runtimespec import CPU, BlockIO, Memory, Resources, ThrottleDevice

UNLIMITED = -1
DEVICES = "devices"
SMALLEST_MEMORY = 6 << 20  # as Docker has it: less, and no container starts
_SHARES = (2, 262144)
_LIST = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*")


_WEIGHTS = (10, 1000)
_MOST_SWAPPY = 100


class Write(NamedTuple):
    """A value for a file of a controller; the file of what is `optional`, not asked for, may be missing."""

    controller: str
    file: str
    value: str
    optional: bool = False


class Writes(NamedTuple):
    """The same limits for both versions, whichever there is."""

    v1: tuple[Write, ...] = ()
    v2: tuple[Write, ...] = ()

    @classmethod
    def of(cls, resources: Resources) -> Writes:
        """Return what is written for these limits."""
        return cls(v1_writes(resources), v2_writes(resources))


def killed(limit: int | None, peak: int | None) -> str:
    """Return how it is said that memory ran out: what the limit was, and the most that was used."""
    at = "" if limit is None else f" at the limit of {_megabytes(limit)}"
    most = f"; at most {_megabytes(peak)} were used" if peak else ""
    return f"killed{at}{most}"


def _megabytes(size: int) -> str:
    return f"{size / (1 << 20):.0f} MB"


def check(resources: Resources) -> None:
    """Raise InvalidError for limits that contradict each other or cannot be."""
    memory, cpu = resources.memory, resources.cpu
    if memory is not None:
        limit, swap = memory.limit, memory.swap
        if limit is not None and 0 <= limit < SMALLEST_MEMORY:
            raise _invalid(f"a limit of memory below {SMALLEST_MEMORY >> 20} MB lets nothing run")
        if swap is not None and limit is None:
            raise _invalid("--memory-swap is memory and swap together, and needs --memory")
        if limit is not None and swap is not None and 0 <= swap < limit:
            raise _invalid("--memory-swap is memory and swap together, and less than --memory")
        if memory.swappiness is not None and not 0 <= memory.swappiness <= _MOST_SWAPPY:
            raise _invalid(f"--memory-swappiness is a number from 0 to {_MOST_SWAPPY}")
        if limit is not None and memory.reservation is not None and 0 <= limit < memory.reservation:
            raise _invalid("--memory-reservation is a part of --memory, and more than it")
    io = resources.block_io
    if io is not None and io.weight is not None and not _WEIGHTS[0] <= io.weight <= _WEIGHTS[1]:
        raise _invalid(f"--blkio-weight is a number from {_WEIGHTS[0]} to {_WEIGHTS[1]}")
    if cpu is not None:
        for text, flag in ((cpu.cpus, "--cpuset-cpus"), (cpu.mems, "--cpuset-mems")):
            if text and not _LIST.fullmatch(text):
                raise _invalid(f"{flag} {text}: it is a list such as 0-3 or 0,2")


def v1_writes(resources: Resources) -> tuple[Write, ...]:
    """Return the writes for cgroups of version 1, in an order that the kernel takes."""
    found: list[Write] = []
    if (memory := resources.memory) is not None and memory.limit is not None:
        found.append(Write("memory", "memory.limit_in_bytes", str(memory.limit)))
        # Without accounting of swap there is no such file, and no swap is counted.
        both = _both(memory)
        found.append(Write("memory", "memory.memsw.limit_in_bytes", str(both), memory.swap is None))
    if memory is not None and memory.reservation is not None:
        found.append(Write("memory", "memory.soft_limit_in_bytes", str(memory.reservation)))
    found += _memory_habits(memory)
    if (cpu := resources.cpu) is not None:
        found += _realtime(cpu)
        files = {"cpu.shares": cpu.shares, "cpu.cfs_period_us": cpu.period, "cpu.cfs_quota_us": cpu.quota}
        found += [Write("cpu", file, str(value)) for file, value in files.items() if value is not None]
        found += _cpuset(cpu)
    if (disks := resources.block_io) is not None:
        if disks.weight is not None:
            found.append(Write("blkio", "blkio.weight", str(disks.weight)))
        for disk in disks.weight_device:
            found.append(Write("blkio", "blkio.weight_device", f"{disk.major}:{disk.minor} {disk.weight}"))
        for file, _, rates in _rates(disks):
            found += [Write("blkio", file, f"{disk.major}:{disk.minor} {disk.rate}") for disk in rates]
    return (*found, *_pids(resources), *_devices(resources))


def v2_writes(resources: Resources) -> tuple[Write, ...]:
    """Return the writes for cgroups of version 2."""
    found: list[Write] = []
    if (memory := resources.memory) is not None and memory.limit is not None:
        found.append(Write("memory", "memory.max", _number(memory.limit)))
        both = _both(memory)
        swap = UNLIMITED if UNLIMITED in (both, memory.limit) else both - memory.limit
        found.append(Write("memory", "memory.swap.max", _number(swap), memory.swap is None))
    if memory is not None and memory.reservation is not None:
        found.append(Write("memory", "memory.low", str(memory.reservation)))
    found += _memory_habits(memory)
    if (cpu := resources.cpu) is not None:
        found += _realtime(cpu)
        if cpu.shares is not None:
            found.append(Write("cpu", "cpu.weight", str(weight(cpu.shares))))
        if cpu.quota is not None or cpu.period is not None:
            quota = UNLIMITED if cpu.quota is None else cpu.quota
            found.append(Write("cpu", "cpu.max", f"{_number(quota)} {cpu.period or 100_000}"))
        found += _cpuset(cpu)
    if (disks := resources.block_io) is not None:
        if disks.weight is not None:
            found.append(Write("io", "io.weight", str(_share(disks.weight))))
        for disk in disks.weight_device:
            found.append(Write("io", "io.weight", f"{disk.major}:{disk.minor} {_share(disk.weight)}"))
        for _, key, rates in _rates(disks):
            found += [Write("io", "io.max", f"{disk.major}:{disk.minor} {key}={disk.rate}") for disk in rates]
    return (*found, *_pids(resources), *_filter(resources))


def _share(weight_of_disk: int) -> int:
    """Return a weight of version 1 (10 to 1000) as one of version 2 (1 to 10000)."""
    least, most = _WEIGHTS
    return 1 + (weight_of_disk - least) * 9999 // (most - least)


def _rates(disks: BlockIO) -> tuple[tuple[str, str, tuple[ThrottleDevice, ...]], ...]:
    """Return the limits of single disks with their file in version 1 and their key in version 2."""
    return (
        ("blkio.throttle.read_bps_device", "rbps", disks.throttle_read_bps_device),
        ("blkio.throttle.write_bps_device", "wbps", disks.throttle_write_bps_device),
        ("blkio.throttle.read_iops_device", "riops", disks.throttle_read_iops_device),
        ("blkio.throttle.write_iops_device", "wiops", disks.throttle_write_iops_device),
    )


def _memory_habits(memory: Memory | None) -> list[Write]:
    """Return what only version 1 has: a kernel without these files says that it has no such limit."""
    found = []
    if memory is not None and memory.swappiness is not None:
        found.append(Write("memory", "memory.swappiness", str(memory.swappiness)))
    if memory is not None and memory.disable_oom_killer:
        found.append(Write("memory", "memory.oom_control", "1"))
    return found


def _realtime(cpu: CPU) -> list[Write]:
    """The same for the time of real-time processes."""
    files = {"cpu.rt_period_us": cpu.realtime_period, "cpu.rt_runtime_us": cpu.realtime_runtime}
    return [Write("cpu", file, str(value)) for file, value in files.items() if value is not None]


def weight(shares: int) -> int:
    """Return shares of version 1 (2 to 262144, usually 1024) as a weight of version 2 (1 to 10000)."""
    least, most = _SHARES
    bounded = min(max(shares, least), most)
    return 1 + (bounded - least) * 9999 // (most - least)


def _both(memory: Memory) -> int:
    """Return the limit of memory and swap together: without a word as much swap as memory, as in Docker."""
    assert memory.limit is not None
    if memory.swap is not None:
        return memory.swap
    return UNLIMITED if memory.limit == UNLIMITED else 2 * memory.limit


def _cpuset(cpu: CPU) -> list[Write]:
    lists = {"cpuset.cpus": cpu.cpus, "cpuset.mems": cpu.mems}
    return [Write("cpuset", file, text) for file, text in lists.items() if text]


def _pids(resources: Resources) -> list[Write]:
    limit = None if resources.pids is None else resources.pids.limit
    return [] if limit is None else [Write("pids", "pids.max", _number(limit))]


def _devices(resources: Resources) -> list[Write]:
    """Return the rules, in their order."""
    found = []
    for rule in resources.devices:
        numbers = ":".join("*" if number is None else str(number) for number in (rule.major, rule.minor))
        text = "a" if rule.type == "a" else f"{rule.type} {numbers} {rule.access}"
        found.append(Write("devices", f"devices.{'allow' if rule.allow else 'deny'}", text))
    return found


def _filter(resources: Resources) -> list[Write]:
    """Return the same for version 2, which has no files for it: the program, as hexadecimal digits."""
    allowed = [rule for rule in resources.devices if rule.allow]
    if not resources.devices:
        return []
    from tiffin.linux.devicefilter import compile_rules  # few containers have rules

    program = compile_rules((rule.type, rule.major, rule.minor, rule.access) for rule in allowed)
    return [Write(DEVICES, "", program.hex())]


def _number(value: int) -> str:
    return "max" if value == UNLIMITED else str(value)


def _invalid(message: str) -> InvalidError:
    return InvalidError(message, code="invalid-limit")
