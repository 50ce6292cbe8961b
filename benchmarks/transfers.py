"""Images and weights to and from a registry on the loopback: tiffin, docker and skopeo, as one table.

    python benchmarks/transfers.py [--only mixed,torch,weights] [--rounds 2] [--output FILE]

Three loads: 1 GB in five layers, torch as it is installed, 2 GB of weights. Of each a push of what was built,
to an empty registry, and a pull into an empty store, unpacked; what is pulled is what docker pushed. The
weights also as an artifact, which only tiffin has a command for. Needs root, docker-registry, skopeo, docker,
and 15 GB of disk.
"""

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import payloads
from engines import BuildKit, Tiffin, call, remove
from measure import Unavailable, machine, show
from places import Registry, Skopeo

LOADS = ("mixed", "torch", "weights")
TITLES = {"mixed": "1 GB in 5 layers", "torch": "torch", "weights": "2 GB of weights"}
SIZES = {"mixed": 1 << 30, "torch": 0, "weights": 2 << 30}
TICK = os.sysconf("SC_CLK_TCK")
PATIENCE = 1800


class Cost(NamedTuple):
    """What one turn took: seconds, seconds of processors, and the most memory of one process in MB."""

    seconds: float
    busy: float
    memory: float


class Daemons:
    """The processes of a daemon, which are in a session of their own, and what they used so far."""

    def __init__(self, session: int) -> None:
        self.session = session

    def processes(self) -> Iterator[Path]:
        """Those that live."""
        for place in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if int(self.fields(place)[3]) == self.session:
                    yield place

    def fields(self, place: Path) -> list[str]:
        """What stat tells after the name."""
        return (place / "stat").read_text().rpartition(")")[2].split()

    def busy(self) -> float:
        """Seconds of processors, of children that ended too."""
        return sum(sum(map(int, self.fields(place)[11:15])) for place in self.processes()) / TICK

    def forget_peak(self) -> None:
        """Let the highest memory be that of now."""
        for place in self.processes():
            (place / "clear_refs").write_text("5")

    def peak(self) -> float:
        """The most memory since then of one process, in MB."""
        lines = [line for place in self.processes() for line in (place / "status").read_text().splitlines()]
        return max(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def turn(command: list[str], environment: dict[str, str], daemons: Daemons | None = None) -> Cost:
    """Run a command, and count what it and its daemon took; what is left to be written is written first."""
    os.sync()
    before = 0.0
    if daemons is not None:
        daemons.forget_peak()
        before = daemons.busy()
    with tempfile.TemporaryFile() as said:
        start = time.perf_counter()
        process = subprocess.Popen(command, env=os.environ | environment, stdout=said, stderr=said)
        stop = threading.Timer(PATIENCE, process.kill)
        stop.start()
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        stop.cancel()
        process.returncode = status
        if status:
            said.seek(0)
            raise Unavailable(said.read().decode(errors="replace").strip()[-300:])
    busy, memory = usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024
    if daemons is not None:
        busy, memory = busy + daemons.busy() - before, max(memory, daemons.peak())
    return Cost(seconds, busy, memory)


class Work(NamedTuple):
    """One engine's way to do something: `before` is not counted."""

    before: Callable[[], object]
    cost: Callable[[], Cost]


class Transfers:
    """The engines, the registry, and the rows of the table so far."""

    def __init__(self, work: Path, rounds: int) -> None:
        self.work = work
        self.rounds = rounds
        self.closing = contextlib.ExitStack()
        self.registry = Registry(work)
        self.closing.callback(self.registry.close)
        self.tiffin, self.docker, self.skopeo = Tiffin(work), BuildKit(work), Skopeo(work)
        for engine in (self.tiffin, self.docker, self.skopeo):
            self.closing.callback(engine.close)
        self.daemons = Daemons(self.docker.daemon.pid)
        self.rows: list[tuple[str, dict[str, list[Cost]]]] = []

    def compare(self, title: str, ways: dict[str, Work]) -> None:
        """Every engine once, then every engine again."""
        print(f"{title}:", flush=True)
        costs: dict[str, list[Cost]] = {name: [] for name in ways}
        for _ in range(self.rounds):
            for name, way in ways.items():
                way.before()
                cost = way.cost()
                costs[name].append(cost)
                print(
                    f"  {name} {show(cost.seconds)}, {cost.busy:.1f} s of CPU, {cost.memory:.0f} MB",
                    flush=True,
                )
        self.rows.append((title, costs))

    def load(self, kind: str, context: Path) -> None:
        """Push the image of a context, and pull it, by every engine."""
        name, archive = f"{self.registry.address}/bench/{kind}:1", self.work / "image.tar"
        self.tiffin.build(context, name)
        self.tiffin.call("save", "-o", str(archive), name)
        self.docker.load(archive)
        call(self.skopeo.copying(f"docker-archive:{archive}", self.skopeo.stored(name)))
        archive.unlink()
        self.compare(f"{TITLES[kind]}, push", self.pushes(name))
        self.registry.empty()
        self.docker.call("push", "-q", name)
        self.compare(f"{TITLES[kind]}, pull", self.pulls(name))
        for forget in (self.tiffin.forget, self.docker.forget, self.skopeo.close, self.registry.empty):
            forget()

    def pushes(self, name: str) -> dict[str, Work]:
        """How what was built is sent: to an empty registry, by who has not compressed it before."""
        copy = self.skopeo.copying(self.skopeo.stored(name), f"docker://{name}")

        def uncompressed() -> None:
            self.registry.empty()
            for blob in (self.tiffin.home / "blobs" / "sha256").iterdir():
                if blob.stat().st_size > 1 << 20:
                    blob.unlink()

        return {
            "tiffin": Work(uncompressed, partial(self.ours, "push", "-q", name)),
            "docker": Work(self.registry.empty, partial(self.theirs, "push", "-q", name)),
            "skopeo": Work(self.registry.empty, lambda: turn(copy, {})),
        }

    def pulls(self, name: str) -> dict[str, Work]:
        """How it is fetched and unpacked, into an empty store."""
        copy = self.skopeo.copying(f"docker://{name}", self.skopeo.stored(name))
        return {
            "tiffin": Work(self.tiffin.forget, partial(self.ours, "pull", "-q", name)),
            "docker": Work(self.docker.forget, partial(self.theirs, "pull", "-q", name)),
            "skopeo": Work(self.skopeo.close, lambda: turn(copy, {})),
        }

    def artifact(self, file: Path) -> None:
        """The file sent and fetched as it is."""
        name, target = f"{self.registry.address}/bench/model:1", self.work / "model"
        push = partial(self.ours, "artifact", "push", name, str(file))
        pull = partial(self.ours, "artifact", "pull", "-o", str(target), name)
        title = TITLES["weights"]
        self.compare(f"{title}, artifact push", {"tiffin": Work(self.registry.empty, push)})
        self.compare(f"{title}, artifact pull", {"tiffin": Work(lambda: remove(target), pull)})
        remove(target)
        self.registry.empty()

    def ours(self, *arguments: str) -> Cost:
        """A turn of tiffin."""
        return turn([self.tiffin.command, *arguments], {"TIFFIN_HOME": str(self.tiffin.home)})

    def theirs(self, *arguments: str) -> Cost:
        """A turn of docker."""
        return turn([*self.docker.command, *arguments], {}, self.daemons)

    def versions(self) -> str:
        """Who took part."""
        return ", ".join(engine.version() for engine in (self.tiffin, self.docker, self.skopeo))

    def table(self) -> str:
        """Medians; of time also the range, and how many times ours it is."""
        names = ("tiffin", "docker", "skopeo")
        lines = ["| | " + " | ".join(names) + " |", "| --- |" + " --- |" * len(names)]
        for title, costs in self.rows:
            cells = [cell(costs.get(name, []), costs["tiffin"], ours=name == "tiffin") for name in names]
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
        return "\n".join(lines)


def cell(costs: list[Cost], reference: list[Cost], *, ours: bool) -> str:
    """One engine's figures."""
    if not costs:
        return ""
    median = statistics.median(cost.seconds for cost in costs)
    text = show(median)
    if len(costs) > 1:
        text += f" ({show(min(costs).seconds)} to {show(max(costs).seconds)})"
    if not ours:
        text += f", **{median / statistics.median(cost.seconds for cost in reference):.1f} times**"
    busy = statistics.median(cost.busy for cost in costs)
    return f"{text}; {busy:.1f} s CPU, {max(cost.memory for cost in costs):.0f} MB"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default=",".join(LOADS), help=f"of {', '.join(LOADS)}")
    parser.add_argument("--rounds", type=int, default=2, help="turns of each engine (default 2)")
    parser.add_argument("--scale", type=float, default=1.0, help="of the sizes, for a try (default 1)")
    parser.add_argument("--work", type=Path, help="where to make the working folder")
    parser.add_argument("--output", type=Path, help="write the table here too")
    options = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="tiffin-bench-", dir=options.work))
    transfers: Transfers | None = None
    try:
        transfers = Transfers(work, options.rounds)
        for kind in options.only.split(","):
            context = work / kind
            size = int(SIZES[kind] * options.scale)
            call([sys.executable, payloads.__file__, kind, str(context), str(size)])
            transfers.load(kind, context)
            if kind == "weights":
                transfers.artifact(context / "model.safetensors")
            remove(context)
        report = f"{transfers.table()}\n\n{machine()}.\n{transfers.versions()}.\n"
    finally:
        if transfers is not None:
            transfers.closing.close()
        remove(work)
    print("\n" + report)
    if options.output:
        options.output.write_text(report)


if __name__ == "__main__":
    main()
