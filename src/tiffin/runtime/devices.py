"""Devices of this machine in the user's words, and the rules of Docker about who may use which. Pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from tiffin.errors import InvalidError
from tiffin.oci.runtimespec import DeviceRule

_ACCESS = re.compile(r"[rwm]{1,3}")
_RULE = re.compile(r"([abc]) (\d+|\*):(\d+|\*) ([rwm]{1,3})", re.ASCII)
_ALL = "rwm"
_LARGEST = (1 << 32) - 1

DENY_ALL = DeviceRule(allow=False, access=_ALL)
DEFAULTS = (
    DeviceRule(allow=True, type="c", access="m"),
    DeviceRule(allow=True, type="b", access="m"),
    *(
        DeviceRule(allow=True, type="c", major=major, minor=minor, access=_ALL)
        for major, minor in (
            *((1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 1), (5, 2), (10, 200), (136, None)),
        )
    ),
)
"""Any node may be made; null, zero, full, random, urandom, tun and all terminals may be used."""


class HostDevice(NamedTuple):
    """A device, or a directory of them, by its path on this machine and in the container."""

    source: str
    target: str
    access: str = _ALL

    @property
    def limited(self) -> bool:
        """Whether the container may do less with it than its owner and mode allow."""
        return not {"r", "w"} <= set(self.access)


def parse_device(text: str) -> HostDevice:
    """Read `PATH[:PATH][:ACCESS]`, of which a second word is the access if it can be one."""
    source, *rest = text.split(":")
    access = rest.pop() if rest and _is_access(rest[-1]) else _ALL
    target = rest.pop() if rest else source
    if rest or not source.startswith("/"):
        hint = "write it as /dev/NAME, /dev/NAME:/dev/OTHER or /dev/NAME:/dev/OTHER:r"
        raise _wrong(f"--device {text}: this is no device", hint)
    if not target.startswith("/") or ".." in target.split("/"):
        hint = f"the place in the container is an absolute path, and the access some of {_ALL}"
        raise _wrong(f"--device {text}: {target!r} is neither", hint)
    return HostDevice(source, target, access)


def parse_rule(text: str) -> DeviceRule:
    """Read `c 189:* rwm`, as Docker does."""
    found = _RULE.fullmatch(text)
    numbers = [None if word == "*" else int(word) for word in found.groups()[1:3]] if found else []
    if not found or any(number is not None and number > _LARGEST for number in numbers):
        hint = 'write it as TYPE MAJOR:MINOR ACCESS, such as "c 189:* rwm"'
        raise _wrong(f"--device-cgroup-rule {text}: this is no rule", hint)
    kind = found[1]
    if kind == "a":
        return DeviceRule(allow=True, access=_ALL)  # the kernel takes it for all devices, whatever follows
    return DeviceRule(allow=True, type=kind, major=numbers[0], minor=numbers[1], access=found[4])


def _is_access(text: str) -> bool:
    return bool(_ACCESS.fullmatch(text)) and len(set(text)) == len(text)


def _wrong(message: str, hint: str) -> InvalidError:
    return InvalidError(message, code="usage", hint=hint, exit_status=125)
