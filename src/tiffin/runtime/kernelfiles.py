"""What stands in for /dev and /proc in a plain root, where neither can be mounted.

Devices are nodes of our own, or, where whoever opens them is answered, empty files to be listed. Of /proc
there are copies of what tells of the machine, as it was when they were made, and of processes what programs
look for before they ask (see `procview`).
"""

from __future__ import annotations

import os
import stat
from functools import partial
from typing import TYPE_CHECKING

from tiffin.errors import UnsupportedError
from tiffin.linux.isolation import Rung
from tiffin.runtime.mounts import DEVICES, LINKS
from tiffin.runtime.procpaths import MACHINE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_OF_ITSELF = ("cgroup", "limits")
_MOUNTS = "rootfs / rootfs rw 0 0\nproc /proc proc rw 0 0\n"
_NUMBERS = {
    "null": (1, 3),
    "zero": (1, 5),
    "full": (1, 7),
    "random": (1, 8),
    "urandom": (1, 9),
    "tty": (5, 0),
}


def makers(rung: Rung) -> dict[str, Callable[[Path], None]]:
    """Return what makes the directories that stand in for file systems of the kernel, by their paths."""
    dev = partial(make_dev, nodes=rung is not Rung.TRACED)
    return {"/proc": make_proc, "/sys": make_sys, "/dev": dev}


def make_dev(place: Path, *, nodes: bool = True) -> None:
    """Make the directory `place` what /dev is to be: the usual nodes, /dev/shm, and links into /proc.

    Raises UnsupportedError where no device can be made, or used.
    """
    _directory(place, 0o755)
    for device in DEVICES:
        name = device.rpartition("/")[2]
        node = place / name
        if not nodes:
            node.touch()
            continue
        try:
            os.mknod(node, stat.S_IFCHR | 0o666, os.makedev(*_NUMBERS[name]))
            node.chmod(0o666)
            if name != "tty":
                os.close(os.open(node, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK))
        except PermissionError as error:
            raise UnsupportedError(
                f"the device {device} cannot be made or used in {place.parent}: {error.strerror}",
                code="no-device-nodes",
                hint="give the surrounding container the capability MKNOD, and put the store (TIFFIN_HOME) "
                "on a file system that is not mounted nodev",
                exit_status=125,
            ) from error
    for path, target in LINKS.items():
        os.symlink(target, place / path.rpartition("/")[2])
    for name, mode in (("shm", 0o1777), ("mqueue", 0o1777), ("pts", 0o755)):
        _directory(place / name, mode)


def make_proc(place: Path) -> None:
    """Make the directory `place` what /proc is to be. It is ours to write, so that all can move it."""
    _directory(place, 0o755)
    for name in MACHINE:
        _copy(f"/proc/{name}", place / name)
    own = place / "self"
    _directory(own, 0o755)
    for name in _OF_ITSELF:
        _copy(f"/proc/self/{name}", own / name)
    for name in ("fd", "fdinfo", "task"):
        _directory(own / name, 0o755)
    os.mkfifo(own / "fd/1")
    (own / "fd/1").chmod(0o622)
    os.link(own / "fd/1", own / "fd/2")
    os.symlink("/dev/null", own / "fd/0")
    os.symlink("/bin/sh", own / "exe")  # there is one, for those who look before they ask
    os.symlink("/", own / "root")
    (own / "mounts").write_text(_MOUNTS)
    (own / "mountstats").write_text("device rootfs mounted on / with fstype rootfs\n")
    (own / "mountinfo").write_text("1 0 0:1 / / rw - rootfs rootfs rw\n2 1 0:2 / /proc rw - proc proc rw\n")
    os.symlink("self/mounts", place / "mounts")
    os.symlink("self", place / "thread-self")
    for name in ("fd", "fdinfo", "task", ""):
        (own / name).chmod(0o555)


def make_sys(place: Path) -> None:
    """Make the directory `place` what /sys is to be: how many processors there are, and nothing else."""
    _directory(place, 0o755)
    for name in ("online", "possible", "present"):
        _copy(f"/sys/devices/system/cpu/{name}", place / "devices/system/cpu" / name)


def _directory(place: Path, mode: int) -> None:
    place.mkdir(parents=True, exist_ok=True)
    place.chmod(mode)


def _copy(source: str, target: Path) -> None:
    try:
        with open(source, "rb", buffering=0) as file:
            data = file.read()
    except OSError:
        return  # masked, or not in this kernel
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data or b"")
    target.chmod(0o444)
