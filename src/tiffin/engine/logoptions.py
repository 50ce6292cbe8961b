"""Where a container's output is kept, and how much of it: `--log-driver` and `--log-opt`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tiffin.container.journald import SOCKET
from tiffin.container.logs import Limit
from tiffin.engine.size import size_in_bytes
from tiffin.errors import InvalidError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["check", "limit_of"]

DRIVERS = ("json-file", "none", "journald")
_HERE = "json-file keeps Docker's form, journald the system's journal, none nothing"


def check(driver: str, options: Iterable[str]) -> None:
    """Refuse a driver that is not here, and options that it does not have."""
    if driver not in DRIVERS:
        raise UnsupportedError(
            f"there is no log driver {driver}", code="log-driver", hint=_HERE, exit_status=125
        )
    if driver == "journald" and not Path(SOCKET).exists():
        raise UnsupportedError(
            "--log-driver journald: there is no journal on this machine",
            code="log-driver",
            hint="use json-file, the default",
            exit_status=125,
        )
    wanted = dict(_pair(text) for text in options)
    known = ("max-size", "max-file", "mode") if driver == "json-file" else ("mode",)
    for name, value in wanted.items():
        if name not in known:
            raise _wrong(f"unknown log opt '{name}' for {driver} log driver", f"there is {', '.join(known)}")
        if name == "mode" and value != "blocking":
            raise _wrong(f"--log-opt mode={value} is not supported", "the mode is blocking")
    limit_of(options)


def limit_of(options: Iterable[str]) -> Limit:
    """Return how much is kept. With `max-size` alone it is one file, as in Docker."""
    wanted = dict(_pair(text) for text in options)
    default = Limit()
    size, count = default
    if "max-size" in wanted:
        size, count = _size(wanted["max-size"]), 1
    if "max-file" in wanted:
        text = wanted["max-file"]
        if not (text.isascii() and text.isdigit() and 0 < int(text) <= 1000):
            raise _wrong(f"--log-opt max-file={text}: a number from 1 to 1000 is needed", "for example 3")
        count = int(text)
    return Limit(size, count)


def _size(text: str) -> int:
    if text == "-1":
        return 0
    size = size_in_bytes(text)
    if not size:
        raise _wrong(f"--log-opt max-size={text} is no size", "for example 10m; -1 for no limit")
    return size


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise _wrong(f"--log-opt {text}: the value is missing", "write NAME=VALUE")
    return name, value


def _wrong(message: str, hint: str) -> InvalidError:
    return InvalidError(message, code="log-option", hint=hint, exit_status=125)
