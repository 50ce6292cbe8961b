"""What containers use: `stats`. From the cgroup of one that has limits, and from /proc for all else."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tiffin.container.record import Records
from tiffin.engine.running import state_of
from tiffin.runtime.cgroups.stats import parse_pairs
from tiffin.runtime.members import pids_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.container.record import Record
    from tiffin.container.state import State
    from tiffin.engine.engine import Engine

__all__ = ["Sample", "Usage", "between", "sample", "usages"]

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
_USED = (
    ("memory.current", "memory.stat", "inactive_file"),
    ("memory.usage_in_bytes", "memory.stat", "total_inactive_file"),
)
_LIMITS = ("memory.max", "memory.limit_in_bytes")


class Sample(NamedTuple):
    """What one container had used at a moment: seconds of processor, bytes, and processes now."""

    moment: float
    cpu: float = 0.0
    memory: int = 0
    limit: int = 0
    received: int = 0
    sent: int = 0
    read: int = 0
    written: int = 0
    processes: int = 0


class Usage(NamedTuple):
    """A row of `stats`. `cpu` is a share of one processor; `sample` is None for what does not run."""

    id: str
    name: str
    cpu: float
    sample: Sample | None


def usages(engine: Engine, names: Sequence[str], *, all_: bool = False, seconds: float = 1.0) -> list[Usage]:
    """What `names` use, or all containers that run, with `all_` every one; looked at for `seconds`."""
    records = [Records(engine.db).need(name) for name in names] or Records(engine.db).all()
    found = [(record, state_of(engine, record)) for record in records]
    kept = [(record, state) for record, state in found if state.running or all_ or names]
    before = {record.id: sample(state) for record, state in kept}
    if any(before.values()):
        time.sleep(seconds)
    return [_usage(record, state, before[record.id]) for record, state in kept]


def between(first: Sample, last: Sample) -> float:
    """The share of one processor that was used from one sample to the next."""
    return max(last.cpu - first.cpu, 0.0) / max(last.moment - first.moment, 1e-3)


def sample(state: State) -> Sample | None:
    """What the container uses now; None if it does not run."""
    if not state.pid:
        return None
    try:
        pids = pids_of(state.pid)
    except OSError:
        return None  # it has ended meanwhile
    cpu, resident, read, written = 0.0, 0, 0, 0
    for pid in pids:
        with contextlib.suppress(OSError):
            place = Path("/proc") / str(pid)
            fields = (place / "stat").read_bytes().rpartition(b")")[2].split()
            cpu += sum(map(int, fields[11:15])) / _TICKS  # its own, and its children's that have ended
            resident += int((place / "statm").read_bytes().split()[1]) * _PAGE
            counts = parse_pairs((place / "io").read_text(encoding="ascii"))
            read, written = read + counts.get("read_bytes:", 0), written + counts.get("write_bytes:", 0)
    memory, limit = _memory(state, resident)
    received, sent = _network(state.pid)
    return Sample(time.monotonic(), cpu, memory, limit, received, sent, read, written, len(pids))


def _usage(record: Record, state: State, before: Sample | None) -> Usage:
    now = sample(state) if before is not None else None
    return Usage(record.id, record.name, between(before, now) if before and now else 0.0, now)


def _memory(state: State, resident: int) -> tuple[int, int]:
    """What is used, without caches that can be dropped, and what there is."""
    limit = os.sysconf("SC_PHYS_PAGES") * _PAGE
    for file in state.cgroups:
        group = Path(file).parent
        for name in _LIMITS:
            text = _text(group / name).strip()
            if text.isdigit():
                limit = min(limit, int(text))
        for name, details, cache in _USED:
            text = _text(group / name).strip()
            if text.isdigit():
                resident = max(int(text) - parse_pairs(_text(group / details)).get(cache, 0), 0)
    return resident, limit


def _network(pid: int) -> tuple[int, int]:
    """Bytes that came in and went out, by all interfaces but the loopback."""
    received = sent = 0
    for line in _text(Path(f"/proc/{pid}/net/dev")).splitlines()[2:]:
        name, _, numbers = line.partition(":")
        if name.strip() != "lo":
            fields = numbers.split()
            received, sent = received + int(fields[0]), sent + int(fields[8])
    return received, sent


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""
