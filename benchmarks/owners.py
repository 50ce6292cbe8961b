"""What it costs that owners are kept where there is one id: the same steps with calls answered and without.

    python benchmarks/owners.py [--rounds N] [--traced] ARCHIVE

As an ordinary user without subordinate ids. ARCHIVE has an image with Debian's apt and a Python with pip, as
`tiffin base --python --flavour build` makes it and `tiffin save` writes it; pip and apt take their packages
from where the host takes them. Both ways take turns. Without, a change of owner succeeds in name only. With
`--traced` it is the rung traced, where all calls with paths are answered, beside the one the account has.
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
_ANSWERED, _IDLE, _TRACED = "answered", "idle", "traced"
_WITHOUT = "import tiffin.linux.notify as notify; notify.missing = lambda: 'switched off'\n"
_MAIN = "import sys; from tiffin.cli.main import main; sys.exit(main())"


def seconds(folder: Path, way: str) -> float | None:
    """Return how long the steps take, None if they fail."""
    code = (_WITHOUT if way == _IDLE else "") + _MAIN
    command = [sys.executable, "-c", code, "build", "-q", "--no-cache-filter", "timed", str(folder)]
    # Owners that were made in name only are another store's.
    env = {**os.environ, **_environment(folder.parent, way)}
    began = time.perf_counter()
    done = subprocess.run(command, check=False, capture_output=True, env=env)
    return None if done.returncode else time.perf_counter() - began


def _environment(place: Path, way: str) -> dict[str, str]:
    return {"TIFFIN_HOME": str(place / way)} | ({"TIFFIN_ISOLATION": "traced"} if way == _TRACED else {})


def _median(taken: list[float | None]) -> float | None:
    found = [each for each in taken if each is not None]
    return statistics.median(found) if len(found) == len(taken) else None


def _shown(taken: float | None) -> str:
    return "fails" if taken is None else f"{taken:.1f} s"


def main() -> None:
    """Print a line for each step: the medians, and their ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--traced", action="store_true", help="the rung traced beside the account's own")
    parser.add_argument("archive", help="a Docker archive of the image, as `tiffin save` writes it")
    words = parser.parse_args()
    ways = (_TRACED, _ANSWERED) if words.traced else (_ANSWERED, _IDLE)
    with tempfile.TemporaryDirectory(dir="/var/tmp") as place:  # /tmp may be small
        for way in ways:
            load = [sys.executable, "-m", "tiffin", "load", "-q", "-i", str(Path(words.archive).absolute())]
            env = {**os.environ, **_environment(Path(place), way)}
            said = subprocess.run(load, check=True, capture_output=True, text=True, env=env).stdout
            name = said.split()[-1]
        for what, steps in STEPS.items():
            folder = Path(place, "context")
            folder.mkdir(exist_ok=True)
            folder.joinpath("Dockerfile").write_text(f"FROM {name} AS timed\n{steps}\n")
            taken: dict[str, list[float | None]] = {way: [] for way in ways}
            for _ in range(words.rounds):
                for way in ways:
                    taken[way].append(seconds(folder, way))
            first, second = (_median(taken[way]) for way in ways)
            ratio = f"{first / second:.2f}" if first and second else ""
            print(f"| {what} | {_shown(first)} | {_shown(second)} | {ratio} |", flush=True)


if __name__ == "__main__":
    main()
