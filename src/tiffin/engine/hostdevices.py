"""Devices that a container is given by path: found on this machine at each start, and put into its spec.

As root a node of its own is made for each, with the owner, group and mode that it has here, by number: in
the container's user namespace they are those of its users. Without root the node of this machine is mounted,
and it can be used as far as the account may use it.

The nodes that a container has are those that it was given: it cannot make others that the kernel opens. A
group that limits devices (cgroups) is needed only where a device shall be used less than its mode allows, or
rules are given.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tiffin.errors import DeniedError, InvalidError, NotFoundError, UnsupportedError
from tiffin.linux.isolation import Rung
from tiffin.oci.runtimespec import Device, DeviceRule, Mount
from tiffin.runtime.devices import DEFAULTS, DENY_ALL, HostDevice, parse_device, parse_rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tiffin.oci.runtimespec import RuntimeSpec

_MOST = 4096
_PASSED_OVER = frozenset({"pts", "shm", "fd", "mqueue", "console", ".udev", ".lxc", ".lxd-mounts"})
_NODE = ("bind", "rprivate", "nosuid", "noexec")
_NEEDS = {"r": os.R_OK, "w": os.W_OK}


class Node(NamedTuple):
    """A device node of this machine, and where it is in the container."""

    source: str
    target: str
    access: str
    status: os.stat_result

    @property
    def kind(self) -> str:
        """As the runtime spec names it."""
        return "b" if stat.S_ISBLK(self.status.st_mode) else "c"


def find_nodes(words: Iterable[str]) -> list[Node]:
    """Return the devices that are meant, those of a directory too. Raises NotFoundError or InvalidError."""
    found = [node for word in words for node in _nodes(parse_device(word))]
    return list({node.target: node for node in found}.values())


def check(rung: Rung, words: Iterable[str], rules: Iterable[str]) -> None:
    """Refuse what the container could not have; as `find_nodes`, and UnsupportedError or DeniedError."""
    nodes, asked = find_nodes(words), [parse_rule(rule) for rule in rules]
    if rung is Rung.ROOT:
        return
    if asked or any(_limited(node) for node in nodes):
        what = "--device-cgroup-rule" if asked else "--device with an access other than rw or rwm"
        raise UnsupportedError(
            f"{what} needs root: only root may limit the devices of a group of processes",
            code="device-rules",
            hint="leave it away: a device can be used as far as your account may use it",
            exit_status=125,
        )
    for node in nodes:
        _may_use(node)


def with_nodes(spec: RuntimeSpec, rung: Rung, words: Iterable[str]) -> RuntimeSpec:
    """Return the spec with the devices in it."""
    nodes = find_nodes(words)
    if rung is not Rung.ROOT:
        mounts = tuple(Mount(node.target, "bind", node.source, _NODE) for node in nodes)
        return msgspec.structs.replace(spec, mounts=(*spec.mounts, *mounts))
    devices = (*spec.linux.devices, *map(_device, nodes))
    return msgspec.structs.replace(spec, linux=msgspec.structs.replace(spec.linux, devices=devices))


def rules_for(words: Iterable[str], rules: Iterable[str]) -> tuple[DeviceRule, ...]:
    """Return what a cgroup has to allow, nothing if none is needed."""
    nodes, asked = find_nodes(words), tuple(parse_rule(rule) for rule in rules)
    if not asked and not any(_limited(node) for node in nodes):
        return ()
    return (DENY_ALL, *DEFAULTS, *map(_rule, nodes), *asked)


def described(words: Iterable[str]) -> list[dict[str, Any]]:
    """The same in the words of Docker's `inspect`."""
    return [
        {"PathOnHost": device.source, "PathInContainer": device.target, "CgroupPermissions": device.access}
        for device in map(parse_device, words)
    ]


def _nodes(device: HostDevice) -> Iterator[Node]:
    path = os.path.realpath(device.source)
    try:
        status = Path(path).stat()
    except OSError as error:
        raise NotFoundError(
            f"--device {device.source}: {error.strerror}",
            code="device-not-found",
            hint="check the path of the device, and that its driver is loaded",
            exit_status=125,
        ) from error
    if stat.S_ISDIR(status.st_mode):
        inside = list(_below(path))
        if inside:
            for below, found in inside:
                yield Node(below, device.target + below.removeprefix(path), device.access, found)
            return
    if not _is_device(status):
        empty = ", and there is none in it" if stat.S_ISDIR(status.st_mode) else ""
        raise InvalidError(
            f"--device {device.source}: it is no device{empty}",
            code="no-device",
            hint="mount files and folders with -v",
            exit_status=125,
        )
    yield Node(path, device.target, device.access, status)


def _below(directory: str) -> Iterator[tuple[str, os.stat_result]]:
    """The devices in a directory and below it, but for what every container has of its own."""
    count = 0
    for place, names, files in os.walk(directory):
        names[:] = sorted(set(names) - _PASSED_OVER)
        for name in sorted(set(files) - _PASSED_OVER):
            path = f"{place}/{name}"
            try:
                status = os.lstat(path)
            except FileNotFoundError:
                continue
            if _is_device(status):
                count += 1
                if count > _MOST:
                    return
                yield path, status


def _is_device(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)


def _limited(node: Node) -> bool:
    return HostDevice(node.source, node.target, node.access).limited


def _may_use(node: Node) -> None:
    """Refuse a device that the container's root, who is the caller without further groups, cannot open."""
    wanted = sum(bit for letter, bit in _NEEDS.items() if letter in node.access)
    if not os.access(node.source, wanted):
        why, hint = "your account may not use it", f"ls -l {node.source} shows who may; or run tiffin as root"
    elif _by_further_group(node, wanted):
        why = "your account may use it by a further group only, and a container without root has none"
        hint = f"have your account may use it by itself: setfacl -m u:$USER:rw {node.source} (as root)"
    else:
        return
    raise DeniedError(f"--device {node.source}: {why}", code="device-denied", hint=hint, exit_status=125)


def _by_further_group(node: Node, wanted: int) -> bool:
    status = node.status
    if os.geteuid() in (0, status.st_uid) or status.st_gid == os.getegid():
        return False
    others = status.st_mode & 0o7
    return others & wanted != wanted and not _has_acl(node.source)


def _has_acl(path: str) -> bool:
    try:
        return bool(os.getxattr(path, "system.posix_acl_access"))
    except OSError:
        return False


def _device(node: Node) -> Device:
    status = node.status
    return Device(
        node.target,
        node.kind,
        os.major(status.st_rdev),
        os.minor(status.st_rdev),
        stat.S_IMODE(status.st_mode),
        status.st_uid,
        status.st_gid,
    )


def _rule(node: Node) -> DeviceRule:
    major, minor = os.major(node.status.st_rdev), os.minor(node.status.st_rdev)
    return DeviceRule(allow=True, type=node.kind, major=major, minor=minor, access=node.access)
