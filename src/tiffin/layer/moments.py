"""Times that programs write into files as they work: the known ones, made to say the epoch.

A package manager notes in its logs when it did what, useradd notes in /etc/shadow on which day a password was
set, ldconfig keeps a memory of inode numbers and times. None of it tells anything of what was installed, and
each would give the same step another layer tomorrow. What was there before the step is left as it is.
"""

from __future__ import annotations

import os
import re
import stat
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

_LARGEST: Final = 16 << 20  # bytes; a log beyond that is not one of a build
_DAY: Final = 86_400  # seconds; a container's clock may be in any zone
_SHADOW: Final = frozenset({"etc/shadow", "etc/shadow-"})  # shadow(5); the second is its backup
_LOGS: Final = frozenset(
    {
        "var/log/alternatives.log",
        "var/log/apt/history.log",
        "var/log/apt/term.log",
        "var/log/dpkg.log",
    }
)
_SPEEDUPS: Final = frozenset(
    {"var/cache/ldconfig/aux-cache"}
)  # ldconfig(8) makes it again, and checks each entry
_STAMP: Final = re.compile(rb"\d{4}-\d\d-\d\d {1,2}\d\d:\d\d:\d\d")


def settle(base: str, changed: Collection[str], began: int, epoch: int) -> Iterable[str]:
    """Let the known files among `changed`, paths below `base`, say `epoch`; return what was removed.

    Both times are in seconds; only times from the day before `began` on are replaced.
    """
    for path in _SHADOW & set(changed):
        _rewrite(f"{base}/{path}", lambda data: shadow(data, began, epoch))
    for path in _LOGS & set(changed):
        _rewrite(f"{base}/{path}", lambda data: log(data, began, epoch))
    removed = _SPEEDUPS & set(changed)
    for path in removed:
        os.unlink(f"{base}/{path}")
    return removed


def log(data: bytes, began: int, epoch: int) -> bytes:
    """Return a log with `2026-11-28 14:05:07` and the like as the epoch, if it is from the step's time."""
    first = (datetime.fromtimestamp(began, UTC) - timedelta(days=1)).strftime("%Y-%m-%d").encode()
    then = datetime.fromtimestamp(epoch, UTC)

    def replaced(found: re.Match[bytes]) -> bytes:
        stamp = found[0]
        if stamp[:10] < first:
            return stamp
        gap = " " * (len(stamp) - 18)
        return then.strftime(f"%Y-%m-%d{gap}%H:%M:%S").encode()

    return _STAMP.sub(replaced, data)


def shadow(data: bytes, began: int, epoch: int) -> bytes:
    """Return /etc/shadow with days of the step's time, when a password was set, as the epoch's."""
    lines = data.split(b"\n")
    for number, line in enumerate(lines):
        fields = line.split(b":")
        if len(fields) > 2 and fields[2].isdigit() and int(fields[2]) >= began // _DAY - 1:
            fields[2] = b"%d" % (epoch // _DAY)
            lines[number] = b":".join(fields)
    return b"\n".join(lines)


def _rewrite(host: str, change: Callable[[bytes], bytes]) -> None:
    """Write what `change` makes of the file in its place: owner, mode, attributes and links stay."""
    status = os.lstat(host)
    if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
        return
    fd = os.open(host, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(fd, "r+b") as file:
        data = file.read()
        changed = change(data)
        if changed != data:
            file.seek(0)
            file.write(changed)
            file.truncate()
