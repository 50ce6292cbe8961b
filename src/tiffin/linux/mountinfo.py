"""What is mounted, as /proc/self/mountinfo says it (proc(5)). Standard library only."""

from __future__ import annotations

import os

from tiffin.linux.record import NamedTuple


class Mounted(NamedTuple):
    """A mount of this namespace: where it is, and the kinds of its peers, of `shared` and `master`."""

    point: str
    kind: str
    peers: tuple[str, ...]


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
        found.append(Mounted(_plain(fields[4]), fields[dash + 1].decode(), peers))
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


def _within(path: str, place: str) -> bool:
    return path == place or path.startswith(place.rstrip("/") + "/")


def _plain(field: bytes) -> str:
    """Undo the escapes: a blank, say, is a backslash and 040."""
    head, *rest = field.split(b"\\")
    return os.fsdecode(head + b"".join(bytes([int(part[:3], 8)]) + part[3:] for part in rest))
