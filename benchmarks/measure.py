"""Timing side by side, and the table that comes of it."""

import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

MANY = 9  # rounds of which each is worth a line while they run


class Unavailable(Exception):  # noqa: N818 - it is an answer, not a mistake
    """An engine cannot take part; the message says why."""


class Result(NamedTuple):
    """One row: what was measured, and for each engine its seconds, or why there are none."""

    title: str
    seconds: dict[str, list[float]]
    missing: dict[str, str]


class Contender(NamedTuple):
    """How one engine does the work: `before` is not timed, `work` is."""

    work: Callable[[], object]
    before: Callable[[], object] = lambda: None


def timed(work: Callable[[], object]) -> float:
    """Seconds that the work took; what earlier work left to be written is written first."""
    os.sync()
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def side_by_side(title: str, contenders: Mapping[str, Contender], rounds: int, warm: int = 0) -> Result:
    """Every engine once, then every engine again: what disturbs the machine disturbs all of them alike."""
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    missing: dict[str, str] = {}
    for round_number in range(-warm, rounds):
        for name, contender in contenders.items():
            if name in missing:
                continue
            try:
                contender.before()
                taken = timed(contender.work)
            except Unavailable as error:
                missing[name] = str(error)
                continue
            if round_number >= 0:
                seconds[name].append(taken)
            if rounds <= MANY:
                print(f"  {name} {show(taken)}", flush=True)
    return Result(title, {name: taken for name, taken in seconds.items() if taken}, missing)


def show(seconds: float) -> str:
    """Seconds in three digits or so."""
    return (
        f"{seconds * 1000:.0f} ms"
        if seconds < 1
        else f"{seconds:.2f} s"
        if seconds < 10
        else f"{seconds:.1f} s"
    )


def cell(result: Result, name: str, reference: str) -> str:
    """The median, its spread, and how many times the reference's median it is."""
    taken = result.seconds.get(name)
    if not taken:
        return "missing" if name in result.missing else ""
    median = statistics.median(taken)
    text = show(median)
    if len(taken) > 1:
        text += f" ({show(min(taken))} to {show(max(taken))})"
    ours = result.seconds.get(reference)
    if ours and name != reference:
        text += f", {median / statistics.median(ours):.2g} times"
    return text


def markdown(results: Sequence[Result], engines: Sequence[str], reference: str) -> str:
    """The table, and below it what was missing and why."""
    lines = ["| | " + " | ".join(engines) + " |", "| --- |" + " --- |" * len(engines)]
    lines += [
        f"| {result.title} | " + " | ".join(cell(result, name, reference) for name in engines) + " |"
        for result in results
    ]
    reasons = {f"{name}: {why}" for result in results for name, why in result.missing.items()}
    return "\n".join(
        [*lines, *([""] if reasons else []), *(f"Missing: {reason}" for reason in sorted(reasons))]
    )


def machine() -> str:
    """What this ran on."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / 1024 / 1024
    uid = "root" if os.geteuid() == 0 else "an ordinary user"
    return (
        f"{os.cpu_count()} x {model}, {memory:.0f} GiB, Linux {platform.release()}, "
        f"Python {platform.python_version()}, as {uid}"
    )
