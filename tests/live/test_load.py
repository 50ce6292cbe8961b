"""Many containers at once, killed supervisors, floods: nothing is left of them, and little memory is held."""

import json
import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import pytest
from tests.live.test_faults import processes
from tests.live.test_run import until

pytestmark = pytest.mark.live

# Where it is the same on every rung.
ROOT = pytest.mark.parametrize("tiffin", ["root"], indirect=True)
MB = 1 << 20
MOST_MEMORY = 20 * MB
"""What a detached container may hold besides itself, as docs/architecture says."""


class Traces(NamedTuple):
    """What a running container has of the machine, by which it would be found again."""

    identity: str
    pid: int
    supervisor: int
    groups: tuple[str, ...]

    @classmethod
    def of(cls, tiffin, identity):  # noqa: ANN206
        state = json.loads((tiffin.store / "containers" / identity / "state.json").read_text())
        groups = tuple(os.path.dirname(path) for path in state["cgroups"])
        return cls(identity, state["pid"], state["supervisor"][0], groups)

    def left(self, tiffin):
        """What is still there."""
        short = self.identity[:12]
        yield from (path for path in self.groups if Path(path).exists())
        yield from (f"process {pid}" for pid in (self.pid, self.supervisor) if Path(f"/proc/{pid}").exists())
        yield from (path for path in Path("/run").glob(f"**/tiffin/containers/{short}"))
        yield from (tiffin.store / "locks").glob(f"*{short}*")
        if (tiffin.store / "containers" / self.identity).exists():
            yield "its directory"
        if tiffin.rung == "root":
            yield from (name for name in os.listdir("/sys/class/net") if name == f"tf{short}")
            yield from (path for path in leases() if f"tf{short}" in text_of(path))
            rules = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True)
            yield from (line for line in rules.stdout.splitlines() if short in line)


def text_of(path):
    try:
        return path.read_text()
    except FileNotFoundError:  # of another container, which has ended
        return ""


def leases():
    return [path for path in Path("/run/tiffin/network").glob("*/leases/*") if path.is_file()]


def memory(pid):
    """The memory of a process in bytes, of what it shares its part."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("Pss:"))


@pytest.mark.parametrize(
    ("tiffin", "count"), [("root", 16), ("rootless", 8)], indirect=["tiffin"], scope="session"
)
def test_many_at_once_leave_nothing(tiffin, busybox, count):
    """Some are stopped, some removed while they run, and of some the supervisor is killed."""
    before = processes(tiffin)
    work = set(os.listdir(tiffin.store / "work"))
    volumes = tiffin("volume", "ls", "-q").stdout
    limits = ("--pids-limit", "50") if tiffin.rung == "root" else ()

    def begin(number):
        words = ("-d", "--label", "many", "-p", "127.0.0.1:0:80", "-v", "/data", *limits)
        return tiffin("run", *words, busybox, "sleep", "100000").stdout.strip()

    def end(found):
        number, traces = found
        if number % 4 == 0:
            os.kill(traces.supervisor, signal.SIGKILL)
            until(lambda: not Path(f"/proc/{traces.pid}").exists(), "the kernel's end of it")
            shown = tiffin("ps", "-a", "--no-trunc", "--filter", f"id={traces.identity}").stdout
            assert "Exited (137)" in shown
        if number % 4 == 1:
            tiffin("stop", "-t", "0", traces.identity)
        tiffin("rm", "-f", "-v", traces.identity)

    with ThreadPoolExecutor(10) as pool:
        try:
            started = list(pool.map(begin, range(count)))
            traces = [Traces.of(tiffin, identity) for identity in started]
            assert {memory(one.supervisor) < MOST_MEMORY for one in traces} == {True}
            list(pool.map(end, enumerate(traces)))
        finally:
            for identity in tiffin("ps", "-aq", "--filter", "label=many").stdout.split():
                tiffin("rm", "-f", "-v", identity)
    until(lambda: not any(list(one.left(tiffin)) for one in traces), "the end of all that they had")
    until(lambda: processes(tiffin) <= before, "the end of their processes")
    assert tiffin("volume", "ls", "-q").stdout == volumes
    assert set(os.listdir(tiffin.store / "work")) <= work


@ROOT
def test_the_groups_of_a_paused_container_whose_supervisor_is_killed(tiffin, busybox):
    words = ("-d", "--name", "paused", "--network", "none", "--pids-limit", "50")
    identity = tiffin("run", *words, busybox, "sleep", "100000").stdout.strip()
    tiffin("pause", "paused")
    traces = Traces.of(tiffin, identity)
    os.kill(traces.supervisor, signal.SIGKILL)
    assert "Exited (137)" in tiffin("ps", "-a").stdout
    tiffin("run", "--rm", "--network", "none", busybox, "true")
    until(lambda: not Path(f"/proc/{traces.pid}").exists(), "the kernel's end of it")
    tiffin("start", "paused")
    again = Traces.of(tiffin, identity)
    assert not [path for path in traces.groups if Path(path).exists()]
    assert all(Path(path).exists() for path in again.groups)
    tiffin("rm", "-f", "paused")
    until(lambda: not list(again.left(tiffin)), "the end of it")


@ROOT
def test_a_flood_of_output_is_rotated_in_little_memory(tiffin, busybox):
    script = f"yes {'line of the flood ' * 10} | head -c 50000000; echo; echo over; exec sleep 100000"
    options = ("--network", "none", "--log-opt", "max-size=1m", "--log-opt", "max-file=3")
    identity = tiffin("run", "-d", "--name", "flood", *options, busybox, "sh", "-c", script).stdout.strip()
    try:
        until(lambda: tiffin("logs", "--tail", "1", "flood").stdout == "over\n", "the end of the flood")
        supervisor = Traces.of(tiffin, identity).supervisor
        assert memory(supervisor) < MOST_MEMORY
        highest = next(
            int(line.split()[1]) << 10
            for line in Path(f"/proc/{supervisor}/status").read_text().splitlines()
            if line.startswith("VmHWM:")
        )
        assert highest < 2 * MOST_MEMORY  # with all that it shares with others
        place = tiffin.store / "containers" / identity
        sizes = [path.stat().st_size for path in place.glob("log.json*")]
        assert len(sizes) == 3
        assert max(sizes) <= MB
    finally:
        tiffin("rm", "-f", "flood")


@ROOT
def test_a_fork_bomb_is_held_and_removed(tiffin, busybox):
    script = "bomb() { bomb | bomb & }; bomb; echo lit; exec sleep 1000"
    words = ("-d", "--name", "bomb", "--network", "none", "--pids-limit", "60")
    identity = tiffin("run", *words, busybox, "sh", "-c", script).stdout.strip()
    try:
        traces = Traces.of(tiffin, identity)
        (group,) = {Path(path) for path in traces.groups if (Path(path) / "pids.max").exists()}
        failures = (group / "pids.events").read_text
        until(lambda: int(failures().split()[1]), "the limit")
        assert int((group / "pids.current").read_text()) <= 60
        # Others go on meanwhile, and one that is let in does not count.
        assert tiffin("run", "--rm", "--network", "none", busybox, "echo", "fine").stdout == "fine\n"
    finally:
        tiffin("rm", "-f", "bomb")
    until(lambda: not list(traces.left(tiffin)), "the end of it")
