"""Many containers at once, and a flood of output: how long it takes, what it holds, what is left.

    python benchmarks/load.py [--count 200] [--at-once 50] [--flood 1000] [--output FILE]

As root the containers have a network on the bridge, a published port and a limit of processes each; else what
the account has. Everything runs with a store of its own, in a network namespace of its own.
"""

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from engines import Tiffin, remove
from measure import machine, show
from ownnetwork import enter_own_network
from starts import IMAGE, context

MB = 1 << 20
LINE = "line of the flood " * 10


def state_of(tiffin: Tiffin, identity: str) -> dict[str, object]:
    """What the supervisor of a container has written down."""
    found: dict[str, object] = json.loads((tiffin.home / "containers" / identity / "state.json").read_text())
    return found


def supervisor_of(tiffin: Tiffin, identity: str) -> int:
    """The process that supervises a container."""
    supervisor = state_of(tiffin, identity)["supervisor"]
    assert isinstance(supervisor, list)
    return int(supervisor[0])


def memory(pid: int) -> int:
    """What a process holds, in bytes: its own, and its part of what it shares."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))


def traces(tiffin: Tiffin) -> dict[str, int]:
    """How much there is of each thing that containers have of a machine."""
    mounts = Path("/proc/self/mountinfo").read_text().count(str(tiffin.home))
    places = (Path(path).read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists())
    return {
        "processes": sum(str(tiffin.home).encode() in words for words in places),
        "mounts": mounts,
        "network devices": sum(path.name.startswith("tf") for path in Path("/sys/class/net").iterdir()),
        "tables of rules": subprocess.run(
            ["nft", "list", "tables"], capture_output=True, check=False
        ).stdout.count(b"tiffin-"),
        "directories": len(list((tiffin.home / "containers").iterdir())),
        "snapshots": len(list((tiffin.home / "work").iterdir())),
    }


def many(tiffin: Tiffin, count: int, at_once: int) -> list[tuple[str, str]]:
    """Start and end `count` containers, `at_once` at a time."""
    limits = ("-p", "127.0.0.1:0:8000", "--pids-limit", "50") if os.geteuid() == 0 else ()

    def begin(_number: int) -> str:
        return tiffin.call("run", "-d", *limits, IMAGE, "sleep", "100000").strip()

    before = traces(tiffin)
    with ThreadPoolExecutor(at_once) as pool:
        start = time.perf_counter()
        started = list(pool.map(begin, range(count)))
        up = time.perf_counter() - start
        held = [memory(supervisor_of(tiffin, identity)) / MB for identity in started]
        start = time.perf_counter()
        listed = len(tiffin.call("ps", "-q").split())
        listing = time.perf_counter() - start
        start = time.perf_counter()
        list(pool.map(lambda identity: tiffin.call("rm", "-f", identity), started))
        down = time.perf_counter() - start
    assert listed == count, f"{listed} of {count} run"
    end = time.monotonic() + 30
    while (after := traces(tiffin)) != before and time.monotonic() < end:
        time.sleep(0.1)
    left = [f"{after[name] - before[name]} {name}" for name in after if after[name] != before[name]]
    return [
        (f"{count} started, {at_once} at a time", f"{show(up)}, {count / up:.0f} a second"),
        ("their list", show(listing)),
        (f"{count} removed, {at_once} at a time", f"{show(down)}, {count / down:.0f} a second"),
        ("memory of a supervisor", f"{statistics.median(held):.1f} MB ({min(held):.1f} to {max(held):.1f})"),
        ("left of them", ", ".join(left) or "nothing"),
    ]


def flood(tiffin: Tiffin, megabytes: int) -> list[tuple[str, str]]:
    """Let a container write, with logs of 3 files of 1 MB."""
    script = f"yes {LINE} | head -c {megabytes * 1_000_000}; echo; echo over; exec sleep 100000"
    logs = ("--log-opt", "max-size=1m", "--log-opt", "max-file=3")
    start = time.perf_counter()
    identity = tiffin.call("run", "-d", "--network", "none", *logs, IMAGE, "sh", "-c", script).strip()
    highest = 0
    supervisor = supervisor_of(tiffin, identity)
    while tiffin.call("logs", "--tail", "1", identity) != "over\n":
        highest = max(highest, memory(supervisor))
        time.sleep(0.2)
    taken = time.perf_counter() - start
    place = tiffin.home / "containers" / identity
    kept = sum(path.stat().st_size for path in place.glob("log.json*")) / MB
    tiffin.call("rm", "-f", identity)
    return [
        (f"a flood of {megabytes} MB of output", f"{show(taken)}, {megabytes / taken:.0f} MB a second"),
        ("the supervisor's memory meanwhile", f"{highest / MB:.1f} MB at most"),
        ("kept of it", f"{kept:.1f} MB"),
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=200, help="containers (default 200)")
    parser.add_argument("--at-once", type=int, default=50, help="so many at a time (default 50)")
    parser.add_argument("--flood", type=int, default=1000, help="megabytes of output (default 1000)")
    parser.add_argument("--output", type=Path, help="write the table here too")
    options = parser.parse_args()
    if os.geteuid() == 0:
        enter_own_network()
    work = Path(tempfile.mkdtemp(prefix="tiffin-bench-"))
    try:
        tiffin = Tiffin(work)
        tiffin.call("build", "-q", "-t", IMAGE, str(context(work / "context")))
        try:
            rows = many(tiffin, options.count, options.at_once) + flood(tiffin, options.flood)
        finally:
            for identity in tiffin.call("ps", "-aq").split():
                tiffin.call("rm", "-f", identity)
    finally:
        remove(work)
    lines = ["| | |", "| --- | --- |", *(f"| {title} | {figure} |" for title, figure in rows)]
    report = "\n".join(lines) + f"\n\n{machine()}.\n"
    print("\n" + report)
    if options.output:
        options.output.write_text(report)


if __name__ == "__main__":
    main()
