"""Build contexts: the example with a wheel server of its own, and generated folders of many files."""

import functools
import http.server
import random
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

EXAMPLE = Path(__file__).resolve().parents[1] / "examples" / "finca-serving"
COPY_ALL = "FROM scratch\nCOPY . /data/\n"


def many_files(folder: Path, files: int, size: int) -> Path:
    """A context of this many files of about this size, in folders of a hundred, the same every time."""
    generator = random.Random(40_000)
    for number in range(files):
        target = folder / f"{number // 2000:02}" / f"{number // 100 % 20:02}" / f"{number % 100:02}.bin"
        if number % 100 == 0:
            target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(generator.randbytes(generator.randint(size // 2, size * 3 // 2)))
    (folder / "Dockerfile").write_text(COPY_ALL)
    return folder


def many_stages(folder: Path, base: str, stages: int) -> Path:
    """A context whose stages know nothing of each other, each with some work, and one that joins them."""
    folder.mkdir(parents=True)
    work = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo $i"
    lines = [
        line
        for number in range(stages)
        for line in (
            f"FROM {base} AS stage{number}",
            f"COPY part{number} /part",
            f"RUN {work} | cat /part - > /result",
        )
    ]
    lines += ["FROM scratch", *(f"COPY --from=stage{number} /result /{number}" for number in range(stages))]
    (folder / "Dockerfile").write_text("\n".join(lines) + "\n")
    for number in range(stages):
        (folder / f"part{number}").write_text(f"{number}\n")
    return folder


def example(folder: Path) -> Path:
    """A copy of the example that may be changed."""
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def change(file: Path, number: int) -> None:
    """One file with another content than it ever had."""
    with file.open("ab") as stream:
        stream.write(f"# change {number}\n".encode())


def wheels(folder: Path, python: str) -> Path:
    """Everything that the example installs, fetched once, so that no run waits for a network."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / ".complete").exists():
        platforms = [f"manylinux_{glibc}_x86_64" for glibc in ("2_28", "2_27", "2_17")] + [
            "manylinux2014_x86_64"
        ]
        arguments = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(folder), "--no-deps"]
        arguments += ["--only-binary=:all:", "--python-version", python, "--implementation", "cp"]
        arguments += [word for name in (*platforms, "any") for word in ("--platform", name)]
        for name in ("requirements-train.txt", "requirements.txt"):
            subprocess.run([*arguments, "-r", str(EXAMPLE / name)], check=True, stderr=subprocess.DEVNULL)
        (folder / ".complete").touch()
    return folder


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder without a line for every request."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A pip configuration that finds its packages in this folder, served on the loopback."""
    handler = functools.partial(QuietHandler, directory=str(folder))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"[global]\nno-index = true\nfind-links = http://127.0.0.1:{server.server_port}/\n"
    finally:
        server.shutdown()
        server.server_close()
