"""The second build after one requirement changed, with torch kept: what is downloaded again, and the time.

    python benchmarks/relay.py [--rounds 3] [--rate 12.5] [--torch torch==2.13.0+cpu] [--output FILE]

An unmodified Dockerfile (`pip install --no-cache-dir -r requirements.txt`) in tiffin with and without its
relay, and in BuildKit; and one that was rewritten with a cache mount for pip, in BuildKit. All of them get
their wheels from one index on the loopback that gives each connection `--rate` megabytes a second, as a
network would, and counts what it sends. The wheels are fetched once, by the settings of pip on this
machine. Needs root and dockerd.
"""

import argparse
import functools
import hashlib
import http.server
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from engines import BuildKit, Engine, Tiffin, call, remove
from measure import Unavailable, machine, show

BASE, TAG = "localhost/bench-base:1", "localhost/bench-relay:1"
CHANGED = ("idna==3.10", "idna==3.11")
PLAIN = "RUN pip install --no-cache-dir -r requirements.txt"
# pip keeps in its own cache only what came by https, or from a host that is trusted by name.
MOUNTED = (
    "RUN --mount=type=cache,target=/root/.cache/pip pip install --trusted-host 127.0.0.1 -r requirements.txt"
)
BLOCK = 1 << 18


class Index(http.server.BaseHTTPRequestHandler):
    """A package index of the wheels in a folder."""

    protocol_version = "HTTP/1.1"
    sent = 0

    def __init__(self, folder: Path, rate: float, *arguments: Any) -> None:
        self.folder, self.rate = folder, rate
        super().__init__(*arguments)

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer with a page or a wheel."""
        name = self.path.strip("/").rpartition("/")[2].replace("%2B", "+")
        if self.path.startswith("/simple/"):
            wheels = [
                path for path in sorted(self.folder.glob("*.whl")) if normal(path.name.split("-")[0]) == name
            ]
            page = "".join(
                f'<a href="/files/{path.name}#sha256={digest(path)}">{path.name}</a>\n' for path in wheels
            )
            self.reply("text/html", page.encode())
        else:
            self.reply("application/zip", (self.folder / name).read_bytes())

    def reply(self, kind: str, data: bytes) -> None:
        """Answer, no faster than the rate."""
        tag = f'"{len(data)}"'
        if self.headers.get("If-None-Match") == tag:
            self.send_response(304)
            self.end_headers()
            return
        self.send_response(200)
        fields = {"Content-Type": kind, "Content-Length": str(len(data)), "ETag": tag}
        if kind != "text/html":
            fields["Cache-Control"] = "max-age=365000000, immutable, public"  # as PyPI says of files
        for name, value in fields.items():
            self.send_header(name, value)
        self.end_headers()
        begin = time.perf_counter()
        for at in range(0, len(data), BLOCK):
            self.wfile.write(data[at : at + BLOCK])
            Index.sent += len(data[at : at + BLOCK])
            time.sleep(max(0.0, at / (self.rate * 1e6) - (time.perf_counter() - begin)))


def normal(name: str) -> str:
    """A project's name as addresses have it."""
    return re.sub(r"[-_.]+", "-", name).lower()


@functools.cache
def digest(path: Path) -> str:
    """The SHA-256 of a wheel."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@contextmanager
def served(folder: Path, rate: float) -> Iterator[str]:
    """The address of an index of the folder."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Index, folder, rate))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/simple"
    finally:
        server.shutdown()
        server.server_close()


class Contender(NamedTuple):
    """An engine with a way to build: the line with pip, and options."""

    name: str
    engine: Engine
    line: str
    options: tuple[str, ...] = ()


class Taken(NamedTuple):
    """What one build took: seconds, and megabytes that the index sent."""

    seconds: float
    megabytes: float


def build(contender: Contender, folder: Path, torch: str, number: int) -> Taken:
    """One build, which no engine has made before."""
    folder.mkdir(parents=True, exist_ok=True)
    changed = CHANGED[0] if number == 0 else CHANGED[1]
    (folder / "requirements.txt").write_text(f"{torch}\n{changed}\n# build {number} for {contender.name}\n")
    text = f"FROM {BASE}\nARG PIP_INDEX_URL\nCOPY requirements.txt .\n{contender.line}\n"
    (folder / "Dockerfile").write_text(text)
    Index.sent = 0
    os.sync()
    begin = time.perf_counter()
    contender.engine.build(folder, TAG, *contender.options)
    return Taken(time.perf_counter() - begin, Index.sent / 1e6)


def contenders(work: Path, url: str) -> tuple[list[Contender], dict[str, str], Callable[[], None]]:
    """Who takes part, who cannot and why, and what ends them."""
    os.environ["PIP_INDEX_URL"] = url
    made: list[Engine] = []
    found: list[Contender] = []
    missing: dict[str, str] = {}
    for kind in (Tiffin, BuildKit):
        try:
            engine = kind(work)
        except Unavailable as error:
            missing[kind.name] = str(error)
            continue
        made.append(engine)
        engine.load(work / "base.tar")
        if kind is Tiffin:
            found.append(Contender("tiffin", engine, PLAIN))
            found.append(Contender("tiffin --no-relay", engine, PLAIN, ("--no-relay",)))
        else:
            given = ("--build-arg", f"PIP_INDEX_URL={url}")
            found.append(Contender("BuildKit", engine, PLAIN, given))
            found.append(Contender("BuildKit, cache mount", engine, MOUNTED, given))
    return found, missing, lambda: [engine.close() for engine in made] and None


def fetch(folder: Path, torch: str) -> None:
    """Fetch the wheels once."""
    pip = [sys.executable, "-m", "pip", "download", "-q", "-d", str(folder), "--only-binary=:all:"]
    if not (folder / ".complete").exists():
        subprocess.run([*pip, torch, CHANGED[0]], check=True, stderr=subprocess.DEVNULL)
        subprocess.run([*pip, "--no-deps", CHANGED[1]], check=True, stderr=subprocess.DEVNULL)
        (folder / ".complete").touch()


def table(found: dict[str, list[Taken]], missing: dict[str, str]) -> str:
    """The first build, and the median of those after it."""
    lines = [
        "| | first build | index sent | one requirement changed | index sent |",
        "| --- | --- | --- | --- | --- |",
    ]
    for name, (first, *rest) in found.items():
        median = statistics.median(taken.seconds for taken in rest)
        sent = statistics.median(taken.megabytes for taken in rest)
        lines.append(
            f"| {name} | {show(first.seconds)} | {first.megabytes:.1f} MB | {show(median)} | {sent:.2f} MB |"
        )
    return "\n".join([*lines, *(f"| {name} | missing: {why} | | | |" for name, why in missing.items())])


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=float, default=12.5, help="megabytes a second of each connection")
    parser.add_argument("--torch", default="torch==2.13.0+cpu")
    parser.add_argument(
        "--wheels", type=Path, default=Path(".demo/relay-wheels"), help="where the wheels stay"
    )
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    options.wheels.mkdir(parents=True, exist_ok=True)
    fetch(options.wheels.resolve(), options.torch)
    work = Path(tempfile.mkdtemp(prefix="tiffin-relay-bench-"))
    try:
        tiffin = str(Path(sys.executable).with_name("tiffin"))
        call([tiffin, "base", "--python", "-t", BASE])
        call([tiffin, "save", "-o", str(work / "base.tar"), BASE])
        with served(options.wheels.resolve(), options.rate) as url:
            running, missing, end = contenders(work, url)
            try:
                found: dict[str, list[Taken]] = {each.name: [] for each in running}
                for number in range(options.rounds + 1):
                    for each in running:
                        taken = build(each, work / "context", options.torch, number)
                        found[each.name].append(taken)
                        print(f"  {each.name} {show(taken.seconds)} {taken.megabytes:.2f} MB", flush=True)
            finally:
                end()
    finally:
        remove(work)
    text = f"{machine()}\n\n{table(found, missing)}\n"
    print(text)
    if options.output:
        options.output.write_text(text)


if __name__ == "__main__":
    main()
