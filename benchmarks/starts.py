"""How long a container takes to start: until `true` has ended, and until its server answers.

    python benchmarks/starts.py [--rounds 20] [--example IMAGE] [--output FILE]

tiffin, Docker, podman and crun take turns, on an image of one static busybox. Everything runs in a network
namespace of its own. With `--example` the example's service, an image of your store, is one more row: most of
that time is its own. Needs root and busybox-static; who is not installed is said to be missing.
"""

import argparse
import contextlib
import itertools
import tarfile
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

from engines import LIMITS, BuildKit, Crun, Tiffin, call, hide_hybrid_cgroups, remove, tool
from measure import Contender, Result, Unavailable, machine, markdown, side_by_side
from ownnetwork import enter_own_network

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGE = "localhost/bench-busybox:1"
SERVER = ("httpd", "-f", "-p", "8000", "-h", "/www")
PATIENCE = 30


class Podman:
    """podman with a storage of its own, and crun beneath it."""

    name = "podman"

    def __init__(self, work: Path) -> None:
        self.store = work / "podman"
        self.program = tool("podman")
        self.thread = ThreadPoolExecutor(max_workers=1, initializer=hide_hybrid_cgroups)
        self.call("info")

    def call(self, *arguments: str) -> str:
        """What a podman command prints."""
        places = [
            "--root",
            f"{self.store}/root",
            "--runroot",
            f"{self.store}/run",
            "--tmpdir",
            f"{self.store}/tmp",
        ]
        kinds = ["--storage-driver", "overlay", "--cgroup-manager", "cgroupfs", "--events-backend", "none"]
        return self.thread.submit(call, [self.program, *places, *kinds, *arguments]).result()

    def version(self) -> str:
        """Name and version."""
        return "podman " + self.call("--version").split()[2]

    def load(self, archive: Path) -> None:
        """Take an image."""
        self.call("load", "-i", str(archive))

    def close(self) -> None:
        """Remove the storage."""
        self.thread.shutdown()
        remove(self.store)


def context(folder: Path) -> Path:
    """A context for an image with a shell, `true` and a web server."""
    root = folder / "root"
    (root / "bin").mkdir(parents=True)
    (root / "www").mkdir()
    (root / "www/index.html").write_text("served\n")
    (root / "bin/busybox").write_bytes(Path(tool("busybox")).read_bytes())
    (root / "bin/busybox").chmod(0o755)
    for name in ("sh", "true", "httpd", "sleep", "yes", "head"):
        (root / "bin" / name).symlink_to("busybox")
    (folder / "Dockerfile").write_text('FROM scratch\nCOPY root /\nCMD ["sh"]\n')
    return folder


def answered(port: int, path: str) -> None:
    """Return when the server says 200."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with contextlib.suppress(OSError, HTTPException):
            connection = HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", path)
            if connection.getresponse().status == 200:
                return
        time.sleep(0.001)
    raise Unavailable("no answer")


class Starts:
    """The commands of one engine, which all have the same."""

    ports = itertools.count(20000)

    def __init__(self, engine: Tiffin | BuildKit | Podman, *options: str) -> None:
        self.engine = engine
        self.options = options

    def true(self, network: str) -> None:
        """Run `true` to its end."""
        self.engine.call("run", "--rm", *self.options, f"--network={network}", IMAGE, "true")

    def served(self, image: str, path: str, *command: str) -> None:
        """Run a server, and return when it has answered."""
        port = next(self.ports)
        publish = ["--name", "bench-served", "-p", f"127.0.0.1:{port}:8000"]
        self.engine.call("run", "-d", "--rm", *self.options, *publish, image, *command)
        answered(port, path)

    def over(self) -> None:
        """Remove the server of the last round, if there is one."""
        with contextlib.suppress(Unavailable):
            self.engine.call("rm", "-f", "bench-served")


def engines(
    work: Path, closing: contextlib.ExitStack, example: str
) -> tuple[dict[str, Starts], dict[str, str]]:
    """The engines, with the images in them, and the reasons of those that are missing."""
    tiffin = Tiffin(work)
    closing.callback(tiffin.close)
    tiffin.call("build", "-q", "-t", IMAGE, str(context(work / "context")))
    archive = work / "image.tar"
    if example:
        call([tiffin.command, "save", "-o", str(archive), example])
        tiffin.load(archive)
    tiffin.call("save", "-o", str(archive), IMAGE, *([example] if example else []))
    found, missing = {tiffin.name: Starts(tiffin)}, {}
    makers: dict[str, Callable[[], BuildKit | Podman]] = {
        "Docker": lambda: BuildKit(work, bridge=True),
        "podman": lambda: Podman(work),
    }
    for name, make in makers.items():
        try:
            engine = make()
            closing.callback(engine.close)
            engine.load(archive)
            found[name] = Starts(engine, *(LIMITS if name == "podman" else ()))
            found[name].true("none")
        except Unavailable as error:
            missing[name] = str(error)
            found.pop(name, None)
    return found, missing


def crun(work: Path, closing: contextlib.ExitStack) -> Contender:
    """The runtime alone, on a bundle that was prepared beforehand. Raises Unavailable."""
    runtime = Crun(work)
    closing.callback(runtime.close)
    bundle = work / "bundle"
    with tarfile.open(work / "context.tar", "w") as archive:
        archive.add(work / "context/root", "rootfs")
    bundle.mkdir()
    call(["tar", "-xf", str(work / "context.tar"), "-C", str(bundle)])
    runtime.prepare(bundle, ["true"])
    return Contender(partial(runtime.run, bundle))


def measure(work: Path, rounds: int, example: str) -> tuple[list[Result], list[str]]:
    """All rows, and who took part."""
    with contextlib.ExitStack() as closing:
        found, missing = engines(work, closing, example)
        bare: dict[str, Contender] = {}
        try:
            bare["crun"] = crun(work, closing)
        except Unavailable as error:
            missing["crun"] = str(error)
        rows = []
        for title, network in (("`true`, no network", "none"), ("`true`, its own network", "bridge")):
            print(f"{title}:", flush=True)
            turns = {name: Contender(partial(starts.true, network)) for name, starts in found.items()}
            rows.append(side_by_side(title, turns | (bare if network == "none" else {}), rounds, warm=1))
        servers: dict[str, tuple[str, ...]] = {
            "first answer of a server, published": (IMAGE, "/index.html", *SERVER)
        }
        if example:
            servers["first answer of the example, published"] = (example, "/healthz")
        for title, words in servers.items():
            print(f"{title}:", flush=True)
            turns = {
                name: Contender(partial(starts.served, *words), starts.over) for name, starts in found.items()
            }
            rows.append(side_by_side(title, turns, rounds, warm=1))
        for starts in found.values():
            starts.over()
        took_part = [starts.engine.version() for starts in found.values()]
    return [row._replace(missing=missing | row.missing) for row in rows], took_part


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20, help="of each row (default 20)")
    parser.add_argument("--example", default="", metavar="IMAGE", help="the example's service, in your store")
    parser.add_argument("--output", type=Path, help="write the table here too")
    options = parser.parse_args()
    enter_own_network()
    work = Path(tempfile.mkdtemp(prefix="tiffin-bench-"))
    try:
        rows, took_part = measure(work, options.rounds, options.example)
    finally:
        remove(work)
    names = ["tiffin", "Docker", "podman", "crun"]
    report = f"{markdown(rows, names, 'tiffin')}\n\n{machine()}.\n{', '.join(took_part)}.\n"
    print("\n" + report)
    if options.output:
        options.output.write_text(report)


if __name__ == "__main__":
    main()
