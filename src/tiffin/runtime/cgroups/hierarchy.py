"""Where this machine has its cgroups, and where in them this process is. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

CONTROLLERS = ("cpu", "cpuacct", "cpuset", "memory", "pids", "blkio", "devices", "freezer", "hugetlb")
_OCTAL = re.compile(r"\\([0-7]{3})")


class Place(NamedTuple):
    """A mounted hierarchy, and the path of our own cgroup below it: `/` for the mount itself.

    The path is None if our cgroup lies outside of what is mounted.
    """

    mount: str
    own: str | None


class Hierarchies(NamedTuple):
    """Hierarchies of version 1 by their controllers, and the one of version 2."""

    v1: Mapping[str, Place]
    v2: Place | None = None


def read_hierarchies(mountinfo: str, cgroup: str) -> Hierarchies:
    """Return what /proc/self/mountinfo and /proc/self/cgroup say (proc(5), cgroups(7))."""
    paths: dict[str, str] = {}
    for line in cgroup.splitlines():
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        paths |= dict.fromkeys(names.split(","), path) if number != "0" else {"": path}
    v1: dict[str, Place] = {}
    v2 = None
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(" "), after.split(" ")
        if len(fields) < 5 or len(kind) < 3:
            continue
        root, mount = _plain(fields[3]), _plain(fields[4])
        if kind[0] == "cgroup2" and "" in paths:
            v2 = Place(mount, _below(root, paths[""]))
        elif kind[0] == "cgroup":
            for name in kind[2].split(","):
                if name in CONTROLLERS and name in paths:
                    v1[name] = Place(mount, _below(root, paths[name]))
    return Hierarchies(v1, v2)


def _below(root: str, path: str) -> str | None:
    """Return `path` as seen from a mount that shows `root` of the hierarchy."""
    if path.startswith("/.."):
        return None  # outside of our cgroup namespace
    if root in ("/", path):
        return path if root == "/" else "/"
    return path.removeprefix(root) if path.startswith(f"{root}/") else None


def _plain(text: str) -> str:
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), text)
