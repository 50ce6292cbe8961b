"""What paths below /proc and /dev mean to a process that asks for them. Pure; runs under `python -IS`."""

from __future__ import annotations

from tiffin.linux.record import NamedTuple

__all__ = ["MACHINE", "Meaning", "meaning_of"]

MACHINE = frozenset(
    (
        *("cmdline", "cpuinfo", "devices", "filesystems", "loadavg", "meminfo", "misc", "partitions"),
        *("stat", "swaps", "uptime", "version", "vmstat", "net/dev", "net/route", "net/if_inet6"),
        *("net/unix", "net/tcp", "net/tcp6", "net/udp", "net/udp6", "sys/kernel/hostname"),
        *("sys/kernel/osrelease", "sys/kernel/ostype", "sys/kernel/pid_max", "sys/kernel/threads-max"),
        *("sys/kernel/random/boot_id", "sys/kernel/random/uuid", "sys/kernel/cap_last_cap"),
        *("sys/fs/file-max", "sys/fs/nr_open", "sys/net/core/somaxconn", "sys/vm/overcommit_memory"),
        *("sys/vm/max_map_count", "sys/vm/swappiness", "sys/crypto/fips_enabled"),
    )
)
"""What tells of the machine."""

_PUBLIC = frozenset(("stat", "statm", "status", "cmdline", "comm", "cgroup"))
_OWN = _PUBLIC | {
    *("auxv", "coredump_filter", "environ", "gid_map", "io", "limits", "loginuid", "maps", "oom_adj"),
    *("oom_score", "oom_score_adj", "personality", "sched", "schedstat", "setgroups", "smaps"),
    *("smaps_rollup", "timerslack_ns", "uid_map", "wchan"),
}
_LINKED = ("exe", "cwd")
_LISTED = ("fd", "fdinfo", "task")
_STREAMS = {"stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"}


class Meaning(NamedTuple):
    """What is meant. `process` is 0 for the caller, or the number of a terminal.

    Kinds: a file of the `machine` or of a process (`file`), a `link` of a process that can be read or
    opened, a directory of its (`listing`), all `processes`, a new terminal (`terminals`), the other end of
    one (`terminal`).
    `public`: others may know it too.
    """

    kind: str
    process: int = 0
    name: str = ""
    public: bool = False


def meaning_of(path: bytes) -> Meaning | None:
    """Return what the absolute path means, None if the files of the root filesystem are meant."""
    try:
        parts = [part for part in path.decode("ascii").split("/") if part not in ("", ".")]
    except UnicodeDecodeError:
        return None
    if parts == ["proc"]:
        return Meaning("processes")
    if ".." in parts or len(parts) < 2 or parts[0] not in ("proc", "dev"):
        return None
    top, first, *rest = parts
    if top == "dev":
        return _device(first, rest)
    if first in ("self", "thread-self"):
        return _of_process(0, rest)
    if first.isdigit():
        return _of_process(int(first), rest)
    name = "/".join(parts[1:])
    return Meaning("machine", name=name) if name in MACHINE else None


def _device(first: str, rest: list[str]) -> Meaning | None:
    if first in _STREAMS and not rest:
        return Meaning("link", name=_STREAMS[first])
    if first == "fd":
        return _of_process(0, ["fd", *rest])
    if first == "ptmx" or (first == "pts" and rest == ["ptmx"]):
        return Meaning("terminals")
    if first == "pts" and len(rest) == 1 and rest[0].isdigit():
        return Meaning("terminal", int(rest[0]))
    return None


def _of_process(process: int, rest: list[str]) -> Meaning | None:
    match rest:
        case ["task", number, *more] if number.isdigit() and more[:1] != ["task"]:
            return _of_process(int(number), more)
        case ["net", *more]:
            name = "/".join(("net", *more))
            return Meaning("machine", name=name) if name in MACHINE else None
        case [name] if name in _OWN:
            return Meaning("file", process, name, name in _PUBLIC)
        case [name] if name in _LINKED:
            return Meaning("link", process, name)
        case [name] if name in _LISTED:
            return Meaning("listing", process, name)
        case ["fd", number] if number.isdigit():
            return Meaning("link", process, f"fd/{number}")
        case ["fdinfo", number] if number.isdigit():
            return Meaning("file", process, f"fdinfo/{number}")
        case _:
            return None
