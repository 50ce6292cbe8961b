"""Files for images and containers with a shell: a static busybox, and its programs as links to it."""

import shutil
import subprocess
from pathlib import Path

PROGRAM = Path("/bin/busybox")


def applets():
    """The names of all programs that it knows, but its own."""
    names = subprocess.run([PROGRAM, "--list"], capture_output=True, text=True, check=True).stdout.split()
    return [name for name in names if name != PROGRAM.name]


def install(place, names):
    """Put it and a link for each of `names` into the folder `place`, which is made if need be."""
    place.mkdir(parents=True, exist_ok=True)
    shutil.copy(PROGRAM, place / PROGRAM.name)
    for name in names:
        (place / name).symlink_to(PROGRAM.name)
