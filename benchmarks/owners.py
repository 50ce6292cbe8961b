"""What it costs that owners are kept where there is one id: the same steps with calls answered and without.

    python benchmarks/owners.py [--rounds N] ARCHIVE

As an ordinary user without subordinate ids. ARCHIVE has an image with Debian's apt and a Python with pip, as
`tiffin base --python --flavour build` makes it and `tiffin save` writes it; pip and apt take their packages
from where the host takes them. Both ways take turns. Without, a change of owner succeeds in name only.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

STEPS = {
    "apt-get install of packages that make users": (
        "RUN apt-get update -q && apt-get install -qy --no-install-recommends cron redis-server"
    ),
    "pip install": "RUN pip install --no-cache-dir --break-system-packages -q numpy requests flask",
    "venv and pip install as another user": (
        "RUN useradd -m app\nUSER app\n"
        "RUN python3 -m venv ~/v && ~/v/bin/pip install --no-cache-dir -q requests flask"
    ),
    "find -ls of /usr": "RUN find /usr -ls > /dev/null",
}
_WITHOUT = "import tiffin.linux.notify as notify; notify.missing = lambda: 'switched off'\n"
_MAIN = "import sys; from tiffin.cli.main import main; sys.exit(main())"


def seconds(folder: Path, *, answered: bool) -> float | None:
    """Return how long the steps take, None if they fail."""
    code = ("" if answered else _WITHOUT) + _MAIN
    command = [sys.executable, "-c", code, "build", "-q", "--no-cache-filter", "timed", str(folder)]
    # Owners that were made in name only are another store's.
    home = folder.parent / ("answered" if answered else "idle")
    began = time.perf_counter()
    env = {**os.environ, "TIFFIN_HOME": str(home)}
    done = subprocess.run(command, check=False, capture_output=True, env=env)
    return None if done.returncode else time.perf_counter() - began


def _median(taken: list[float | None]) -> float | None:
    found = [each for each in taken if each is not None]
    return statistics.median(found) if len(found) == len(taken) else None


def _shown(taken: float | None) -> str:
    return "fails" if taken is None else f"{taken:.1f} s"


def main() -> None:
    """Print a line for each step: the medians, and their ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("archive", help="a Docker archive of the image, as `tiffin save` writes it")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:  # /tmp may be small
        for home in ("answered", "idle"):
            load = [sys.executable, "-m", "tiffin", "load", "-q", "-i", str(Path(words.archive).absolute())]
            env = {**os.environ, "TIFFIN_HOME": f"{place}/{home}"}
            name = subprocess.run(load, check=True, capture_output=True, text=True, env=env).stdout.split()[
                -1
            ]
        for what, steps in STEPS.items():
            folder = Path(place, "context")
            folder.mkdir(exist_ok=True)
            folder.joinpath("Dockerfile").write_text(f"FROM {name} AS timed\n{steps}\n")
            taken: dict[bool, list[float | None]] = {True: [], False: []}
            for _ in range(words.rounds):
                for answered in (True, False):
                    taken[answered].append(seconds(folder, answered=answered))
            kept, idle = (_median(taken[answered]) for answered in (True, False))
            ratio = f"{kept / idle:.2f}" if kept and idle else ""
            print(f"| {what} | {_shown(kept)} | {_shown(idle)} | {ratio} |", flush=True)


if __name__ == "__main__":
    main()
