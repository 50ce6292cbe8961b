"""Limits of single disks in the user's words, /dev/NAME:RATE, and what they are in the runtime spec."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from tiffin.engine.size import size_in_bytes
from tiffin.errors import InvalidError, NotFoundError
from tiffin.oci.runtimespec import BlockIO, ThrottleDevice, WeightDevice

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

__all__ = ["BY_DISK", "disks", "in_words"]

_WEIGHTS = (10, 1000)
_RATES = {
    "device-read-bps": "throttle_read_bps_device",
    "device-write-bps": "throttle_write_bps_device",
    "device-read-iops": "throttle_read_iops_device",
    "device-write-iops": "throttle_write_iops_device",
}
_INSPECT = {
    "BlkioDeviceReadBps": "device-read-bps",
    "BlkioDeviceWriteBps": "device-write-bps",
    "BlkioDeviceReadIOps": "device-read-iops",
    "BlkioDeviceWriteIOps": "device-write-iops",
}
WEIGHT = "blkio-weight-device"
BY_DISK = (WEIGHT, *_RATES)


def disks(weight: int | None, words: Iterable[tuple[str, str]]) -> BlockIO | None:
    """Return the limits; `weight` is that of all disks. Raises InvalidError, or NotFoundError for no disk."""
    asked = [(name, text) for name, text in words if name in BY_DISK]
    fields: dict[str, tuple[Any, ...]] = {}
    for name, text in asked:
        path, number = _parse(name, text)
        major, minor = _numbers(name, path)
        if name == WEIGHT:
            fields["weight_device"] = (*fields.get("weight_device", ()), WeightDevice(major, minor, number))
        else:
            field = _RATES[name]
            fields[field] = (*fields.get(field, ()), ThrottleDevice(major, minor, number))
    return BlockIO(weight, **fields) if weight or fields else None


def in_words(words: Iterable[tuple[str, str]]) -> Mapping[str, list[dict[str, Any]]]:
    """The same in the words of Docker's `inspect`."""
    parsed = [(name, *_parse(name, text)) for name, text in words if name in BY_DISK]
    found: dict[str, list[dict[str, Any]]] = {
        "BlkioWeightDevice": [{"Path": path, "Weight": rate} for name, path, rate in parsed if name == WEIGHT]
    }
    for title, option in _INSPECT.items():
        found[title] = [{"Path": path, "Rate": rate} for name, path, rate in parsed if name == option]
    return found


def _parse(name: str, text: str) -> tuple[str, int]:
    path, colon, rate = text.partition(":")
    if not (colon and path.startswith("/dev/")):
        raise _wrong(name, text, "write it as /dev/NAME:NUMBER")
    if name.endswith("-bps"):
        number = size_in_bytes(rate)
        why = "the number is one of bytes a second, like 1mb"
    else:
        number = int(rate) if rate.isascii() and rate.isdecimal() and len(rate) < 19 else None
        why = "a whole number is needed"
    if number is None:
        raise _wrong(name, text, why)
    if name == WEIGHT and number and not _WEIGHTS[0] <= number <= _WEIGHTS[1]:
        raise _wrong(name, text, f"the weight is a number from {_WEIGHTS[0]} to {_WEIGHTS[1]}")
    return path, number


def _numbers(name: str, path: str) -> tuple[int, int]:
    try:
        status = Path(path).stat()
    except OSError as error:
        raise NotFoundError(
            f"--{name} {path}: {error.strerror}",
            code="device-not-found",
            hint="`lsblk -p` lists the disks",
            exit_status=125,
        ) from error
    if not stat.S_ISBLK(status.st_mode):
        raise _wrong(name, path, "it is no disk")
    return os.major(status.st_rdev), os.minor(status.st_rdev)


def _wrong(name: str, text: str, why: str) -> InvalidError:
    return InvalidError(
        f'invalid argument "{text}" for "--{name}" flag: {why}', code="usage", exit_status=125
    )
