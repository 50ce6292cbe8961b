"""Published ports: requests, bytes and latency through each way to a container, and without one.

    python benchmarks/ports.py [--seconds 5] [--rounds 3] [--output FILE]

Everything runs on the loopback of a network namespace of its own: nginx with one worker, in a container or
not, and wrk beside it. The ways take turns, round by round. Needs root, nginx and wrk; pasta and Docker take
part where they are installed.
"""

import argparse
import contextlib
import os
import re
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from engines import BuildKit, Tiffin, call, remove, tool
from measure import Unavailable, machine
from ownnetwork import enter_own_network

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGE, INSIDE = "bench-nginx:1", 8000
CONF = """
daemon off; user root; worker_processes 1; pid /tmp/nginx-bench.pid; error_log /dev/null;
events { worker_connections 1024; }
http { access_log off; sendfile on; keepalive_requests 100000000; server { listen %d; root %s; } }
"""
CONNECTIONS = 32
SIZES = {"small": 1 << 10, "large": 1 << 20}
UNITS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


class Figures(NamedTuple):
    """What one turn gave."""

    requests: float
    """A second, of 1 KiB."""
    p99: float
    """Milliseconds."""
    megabytes: float
    """A second, in files of 1 MiB."""


def context(folder: Path) -> Path:
    """A context for an image with this machine's nginx, the libraries that it loads, and two files."""
    folder.mkdir()
    nginx = tool("nginx")
    found = re.findall(r"(/\S+) \(0x", call(["ldd", nginx]))
    found += [str(path) for path in Path("/lib").glob("*/libnss_files.so.2")]
    for path in (nginx, *found):
        target = folder / "root" / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(Path(path).read_bytes())
        target.chmod(0o755)
    for name in ("tmp", "etc", "var/log/nginx", "var/lib/nginx", "www"):
        (folder / "root" / name).mkdir(parents=True, exist_ok=True)
    (folder / "root/etc/passwd").write_text("root:x:0:0::/:/\n")
    (folder / "root/etc/group").write_text("root:x:0:\n")
    (folder / "root/etc/nginx.conf").write_text(CONF % (INSIDE, "/www"))
    for name, size in SIZES.items():
        (folder / "root/www" / name).write_bytes(bytes(size))
    command = f'CMD ["{nginx}", "-c", "/etc/nginx.conf"]'
    (folder / "Dockerfile").write_text(f"FROM scratch\nCOPY root /\n{command}\n")
    return folder


def wrk(port: int, name: str, seconds: int) -> tuple[float, float, float]:
    """Requests a second, bytes a second and the 99th percentile in milliseconds."""
    url = f"http://127.0.0.1:{port}/{name}"
    said = call([tool("wrk"), "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", url])
    if errors := re.search(r"(Socket errors|Non-2xx).*", said):
        raise Unavailable(errors[0])
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    tail = re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
    assert rate
    assert tail
    requests = float(rate[1])
    return requests, requests * SIZES[name], float(tail[1]) * UNITS[tail[2]]


def wait(port: int) -> None:
    """Return when the port answers."""
    for _ in range(200):
        with contextlib.suppress(OSError, urllib.error.URLError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/small", timeout=5).close()
            return
        time.sleep(0.05)
    raise Unavailable("no answer")


def ways(work: Path, closing: contextlib.ExitStack) -> tuple[dict[str, int], dict[str, str]]:
    """Start a server for each way; the ports, and the reasons of ways that are missing."""
    folder = context(work / "context")
    tiffin = Tiffin(work)
    closing.callback(tiffin.close)
    tiffin.call("build", "-q", "-t", IMAGE, str(folder))
    ports: dict[str, int] = {}
    missing: dict[str, str] = {}

    def host(port: int) -> None:
        conf = work / "host.conf"
        conf.write_text(CONF % (port, folder / "root/www"))
        spawn([tool("nginx"), "-c", str(conf)], closing)

    def ours(port: int, network: str) -> None:
        name = f"bench-{network}"
        publish = ["-p", f"127.0.0.1:{port}:{INSIDE}", "--network", network]
        tiffin.call("run", "-d", "--rm", "--name", name, *publish, IMAGE)
        closing.callback(tiffin.call, "kill", name)

    def pasta(port: int) -> None:
        program = [tool("pasta"), "--config-net", "-f", "-t", f"127.0.0.1/{port}:{INSIDE}", "-u", "none"]
        conf = folder / "root/etc/nginx.conf"
        inside = work / "pasta.conf"
        inside.write_text(conf.read_text().replace("/www", f"{folder}/root/www"))
        spawn([*program, "--runas", "0", "--", tool("nginx"), "-c", str(inside)], closing)

    def docker(port: int) -> None:
        archive = work / "image.tar"
        tiffin.call("save", "-o", str(archive), IMAGE)
        daemon = BuildKit(work, bridge=True)
        closing.callback(daemon.close)
        daemon.load(archive)
        daemon.call("run", "-d", "--rm", "--name", "bench", "-p", f"127.0.0.1:{port}:{INSIDE}", IMAGE)
        closing.callback(daemon.call, "kill", "bench")

    starts: dict[str, Callable[[int], None]] = {
        "the host, no container": host,
        "tiffin, root's bridge": lambda port: ours(port, "bridge"),
        "tiffin, forwarder": lambda port: ours(port, "loopback"),
        "pasta -t": pasta,
        "Docker, userland proxy": docker,
    }
    for port, (way, start) in enumerate(starts.items(), 18000):
        try:
            start(port)
            wait(port)
            ports[way] = port
        except Unavailable as error:
            missing[way] = str(error)
    return ports, missing


def spawn(command: list[str], closing: contextlib.ExitStack) -> None:
    """Start a program that ends with us."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdout=quiet, stderr=quiet, start_new_session=True)
    closing.callback(process.wait)
    closing.callback(os.killpg, process.pid, signal.SIGTERM)  # pasta leaves its own child alone


def measure(ports: dict[str, int], rounds: int, seconds: int) -> dict[str, Figures]:
    """The best of the rounds: what disturbs the machine only ever makes worse."""
    found: dict[str, list[Figures]] = {way: [] for way in ports}
    for _ in range(rounds):
        for way, port in ports.items():
            requests, _, p99 = wrk(port, "small", seconds)
            _, volume, _ = wrk(port, "large", seconds)
            found[way].append(Figures(requests, p99, volume / 1e6))
            print(f"  {way}: {found[way][-1]}", flush=True)
    return {
        way: Figures(
            max(turn.requests for turn in turns),
            min(turn.p99 for turn in turns),
            max(turn.megabytes for turn in turns),
        )
        for way, turns in found.items()
    }


def table(figures: dict[str, Figures], missing: dict[str, str]) -> str:
    """The best of each, and how many times the host's they are."""
    (reference, *_) = figures.values()
    lines = ["| way | requests/s, 1 KiB | p99 | MB/s, 1 MiB |", "| --- | --- | --- | --- |"]
    for way, own in figures.items():
        rate, volume = own.requests / reference.requests, own.megabytes / reference.megabytes
        first, last = f"{own.requests:,.0f} ({rate:.2f})", f"{own.megabytes:,.0f} ({volume:.2f})"
        lines.append(f"| {way} | {first} | {own.p99:.2f} ms | {last} |")
    return "\n".join([*lines, "", *(f"Missing: {way}: {why}" for way, why in missing.items())])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=int, default=5, help="of each turn (default 5)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each way (default 3)")
    parser.add_argument("--output", type=Path, help="write the table here too")
    options = parser.parse_args()
    enter_own_network()
    work = Path(tempfile.mkdtemp(prefix="tiffin-bench-"))
    try:
        with contextlib.ExitStack() as closing:
            ports, missing = ways(work, closing)
            figures = measure(ports, options.rounds, options.seconds)
    finally:
        remove(work)
    report = (
        f"{table(figures, missing)}\n\n{machine()}; {CONNECTIONS} connections, {options.rounds} rounds.\n"
    )
    print("\n" + report)
    if options.output:
        options.output.write_text(report)


if __name__ == "__main__":
    main()
