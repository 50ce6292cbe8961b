"""What it costs that owners are kept where there is one id: the same steps with calls answered and without.

    python benchmarks/owners.py [--rounds N] IMAGE

As an ordinary user without subordinate ids. IMAGE has Debian's apt and a Python with pip, as
`tiffin base --python --flavour build -t IMAGE` makes it; pip and apt take their packages from where the host
takes them. Both ways take turns. Without, a change of owner succeeds in name only.
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


def seconds(folder: Path, *, answered: bool) -> float:
    """Return how long the last step takes: those before it are cached."""
    code = ("" if answered else _WITHOUT) + _MAIN
    command = [sys.executable, "-c", code, "build", "-q", "--no-cache-filter", "timed", str(folder)]
    # Owners that were made in name only are another store's.
    home = folder.parent / ("answered" if answered else "idle")
    began = time.perf_counter()
    subprocess.run(
        command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "TIFFIN_HOME": str(home)}
    )
    return time.perf_counter() - began


def main() -> None:
    """Print a line for each step: the medians, and their ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("image", help="a Docker archive of the image, as `tiffin save` writes it")
    words = parser.parse_args()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:  # /tmp may be small
        for home in ("answered", "idle"):
            load = [sys.executable, "-m", "tiffin", "load", "-q", "-i", str(Path(words.image).absolute())]
            env = {**os.environ, "TIFFIN_HOME": f"{place}/{home}"}
            name = subprocess.run(load, check=True, capture_output=True, text=True, env=env).stdout.split()[
                -1
            ]
        for what, steps in STEPS.items():
            folder = Path(place, "context")
            folder.mkdir(exist_ok=True)
            folder.joinpath("Dockerfile").write_text(f"FROM {name} AS timed\n{steps}\n")
            taken: dict[bool, list[float]] = {True: [], False: []}
            for _ in range(words.rounds):
                for answered in (True, False):
                    taken[answered].append(seconds(folder, answered=answered))
            kept, idle = (statistics.median(taken[answered]) for answered in (True, False))
            print(f"| {what} | {kept:.1f} s | {idle:.1f} s | {kept / idle:.2f} |", flush=True)


if __name__ == "__main__":
    main()
