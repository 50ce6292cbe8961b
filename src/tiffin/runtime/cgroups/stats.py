"""What a cgroup has used, read from the files of either version. `parse_pairs` is pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_PEAKS = ("memory.peak", "memory.max_usage_in_bytes")
_EVENTS = ("memory.events", "memory.oom_control")


class Usage(NamedTuple):
    """`peak` is the most memory that was used, in bytes, None if the kernel does not tell (before 5.19).

    `killed` counts processes that were killed because the limit of memory was reached.
    """

    peak: int | None = None
    killed: int = 0


def read_usage(directories: Mapping[str, Path]) -> Usage:
    """Return what the controller of memory tells; nothing was used where there is none."""
    memory = directories.get("memory")
    if memory is None:
        return Usage()
    peaks = [text for name in _PEAKS if (text := _read(memory / name)).strip().isdigit()]
    events = [parse_pairs(_read(memory / name)) for name in _EVENTS]
    return Usage(int(peaks[0]) if peaks else None, max(each.get("oom_kill", 0) for each in events))


def parse_pairs(text: str) -> dict[str, int]:
    """Return the numbers of a file whose lines are a name and a number."""
    pairs = (line.split() for line in text.splitlines())
    return {pair[0]: int(pair[1]) for pair in pairs if len(pair) == 2 and pair[1].isdigit()}


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
