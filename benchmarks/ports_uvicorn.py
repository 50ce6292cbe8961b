"""Published ports before a Python server: requests and latency of uvicorn through each way to a container.

    python benchmarks/ports_uvicorn.py [--seconds 5] [--rounds 3] [--output FILE]

As `ports.py`, but for the servers that most containers of ours hold, and measured with hey. uvicorn runs by
this machine's Python and a virtual environment, which are mounted. Needs root, hey and a package index.
"""

import argparse
import contextlib
import os
import re
import sys
import tempfile
import venv
from pathlib import Path

from engines import BuildKit, Tiffin, call, remove, tool
from measure import Unavailable, machine
from ownnetwork import enter_own_network
from ports import CONNECTIONS, INSIDE, spawn, wait

IMAGE = "bench-uvicorn:1"
WORK = "TIFFIN_BENCH_UVICORN"
WAYS = ("the host, no container", "tiffin, root's bridge", "tiffin, forwarder", "Docker, userland proxy")
APP = """
async def app(scope, receive, send):
    head = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
    await send(head)
    await send({"type": "http.response.body", "body": b"ok"})
"""


def install(work: Path) -> None:
    """Put uvicorn, and an application, into a virtual environment; the package index is asked."""
    place = work / "venv"
    venv.create(place, with_pip=True)
    call([str(place / "bin/python"), "-m", "pip", "install", "--quiet", "uvicorn[standard]"])
    (place / "bench.py").write_text(APP)


def hey(port: int, seconds: int) -> tuple[float, float]:
    """Requests a second, and the 99th percentile in milliseconds."""
    url = f"http://127.0.0.1:{port}/small"
    said = call([tool("hey"), "-z", f"{seconds}s", "-c", str(CONNECTIONS), url])
    rate, tail = re.search(r"Requests/sec:\s+([\d.]+)", said), re.search(r"99%+ in ([\d.]+) secs", said)
    if rate is None or tail is None or "[200]" not in said:
        raise Unavailable(said[-200:])
    return float(rate[1]), float(tail[1]) * 1000


def start(work: Path, closing: contextlib.ExitStack) -> dict[str, int]:
    """Start a server for each way, and return the ports."""
    folder, place = work / "context", work / "venv"
    folder.mkdir()
    for name in ("bin", "lib", "lib64"):
        (folder / name).symlink_to(f"usr/{name}")
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY . /\n")
    tiffin = Tiffin(work)
    closing.callback(tiffin.close)
    tiffin.call("build", "-q", "-t", IMAGE, str(folder))
    serve = [str(place / "bin/python"), "-m", "uvicorn", "--app-dir", str(place), "--log-level", "warning"]
    serve += ["--lifespan", "off", "bench:app"]
    inside = [*serve, "--host", "0.0.0.0", "--port", str(INSIDE)]
    places = dict.fromkeys(("/usr", sys.base_prefix, str(place)))
    mounts = [word for path in places for word in ("-v", f"{path}:{path}:ro")]
    ports = {way: 18100 + number for number, way in enumerate(WAYS)}
    host, bridge, forwarder, proxy = ports.values()
    spawn([*serve, "--port", str(host)], closing)
    for port, network in ((bridge, "bridge"), (forwarder, "loopback")):
        publish = ["-p", f"127.0.0.1:{port}:{INSIDE}", "--network", network]
        name = f"bench-{network}"
        tiffin.call("run", "-d", "--rm", "--name", name, *publish, *mounts, IMAGE, *inside)
        closing.callback(tiffin.call, "kill", name)
    archive = work / "image.tar"
    tiffin.call("save", "-o", str(archive), IMAGE)
    daemon = BuildKit(work, bridge=True)
    closing.callback(daemon.close)
    daemon.load(archive)
    publish = ["-p", f"127.0.0.1:{proxy}:{INSIDE}"]
    daemon.call("run", "-d", "--rm", "--name", "bench", *publish, *mounts, IMAGE, *inside)
    closing.callback(daemon.call, "kill", "bench")
    for port in ports.values():
        wait(port)
    return ports


def measure(ports: dict[str, int], rounds: int, seconds: int) -> str:
    """The best of the rounds as a table: what disturbs the machine only ever makes worse."""
    turns = [{way: hey(port, seconds) for way, port in ports.items()} for _ in range(rounds)]
    best = {way: (max(turn[way][0] for turn in turns), min(turn[way][1] for turn in turns)) for way in ports}
    reference = best[WAYS[0]][0]
    lines = ["| way | requests/s | p99 |", "| --- | --- | --- |"]
    lines += [
        f"| {way} | {rate:,.0f} ({rate / reference:.2f}) | {tail:.1f} ms |"
        for way, (rate, tail) in best.items()
    ]
    return "\n".join([*lines, "", f"{machine()}; {CONNECTIONS} connections, {rounds} rounds.", ""])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=int, default=5, help="of each turn (default 5)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each way (default 3)")
    parser.add_argument("--output", type=Path, help="write the table here too")
    options = parser.parse_args()
    if WORK not in os.environ:  # the package index is out of reach from the network of its own
        os.environ[WORK] = tempfile.mkdtemp(prefix="tiffin-bench-")
        try:
            install(Path(os.environ[WORK]))
            enter_own_network()
        finally:
            remove(Path(os.environ[WORK]))
    work = Path(os.environ[WORK])
    work.chmod(0o755)
    with contextlib.ExitStack() as closing:
        report = measure(start(work, closing), options.rounds, options.seconds)
    print("\n" + report)
    if options.output:
        options.output.write_text(report)


if __name__ == "__main__":
    main()
