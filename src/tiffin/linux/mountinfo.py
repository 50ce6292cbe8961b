"""What is mounted, as /proc/self/mountinfo says it (proc(5)). Standard library only."""

from __future__ import annotations

import os

from tiffin.linux.record import NamedTuple


class Mounted(NamedTuple):
    """A mount of this namespace: where it is, the kinds of its peers, of `shared` and `master`.

    `root` is the directory of its file system that lies at the mount point.
    """

    point: str
    kind: str
    peers: tuple[str, ...]
    root: str = "/"


_EMPTY = ("/sys/fs/binfmt_misc", "/fs/nfsd")
"""Directories of a /proc which never hold anything but what is mounted on them."""


def read_mounts(path: str = "/proc/self/mountinfo") -> list[Mounted]:
    """Every mount, in the order in which they were made."""
    with open(path, "rb") as file:  # without pathlib
        return parse_mounts(file.read())


def parse_mounts(data: bytes) -> list[Mounted]:
    """Return the mounts that these lines tell of."""
    found = []
    for line in data.splitlines():
        fields = line.split(b" ")
        dash = fields.index(b"-", 6)
        peers = tuple(field.partition(b":")[0].decode() for field in fields[6:dash])
        found.append(Mounted(_plain(fields[4]), fields[dash + 1].decode(), peers, _plain(fields[3])))
    return found


def mount_of(mounts: list[Mounted], path: str) -> Mounted:
    """Return the mount that the real path `path` lies on: of several at one place the last."""
    over = [each for each in mounts if _within(path, each.point)]
    longest = max(len(each.point) for each in over)
    return [each for each in over if len(each.point) == longest][-1]


def below(mounts: list[Mounted], path: str) -> list[str]:
    """Return where else something is mounted below the real path `path`, relative to that."""
    points = dict.fromkeys(each.point for each in mounts if each.point != path and _within(each.point, path))
    return [os.path.relpath(point, path) for point in points]


def shows_whole_proc(mounts: list[Mounted]) -> bool:
    """Tell whether a /proc is in sight of which nothing is hidden.

    Without one the kernel lets no user namespace mount a fresh one, which would reveal what is hidden
    (mount_too_revealing in fs/namespace.c).
    """
    whole = [each.point.rstrip("/") for each in mounts if each.kind == "proc" and each.root == "/"]
    covers = [each.point for each in mounts]
    return any(not any(_hides(cover, point) for cover in covers) for point in whole)


def _hides(cover: str, point: str) -> bool:
    return cover.startswith(f"{point}/") and not cover.removeprefix(point).startswith(_EMPTY)


def _within(path: str, place: str) -> bool:
    return path == place or path.startswith(place.rstrip("/") + "/")


def _plain(field: bytes) -> str:
    """Undo the escapes: a blank, say, is a backslash and 040."""
    head, *rest = field.split(b"\\")
    return os.fsdecode(head + b"".join(bytes([int(part[:3], 8)]) + part[3:] for part in rest))
