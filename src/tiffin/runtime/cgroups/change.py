"""Change the limits of a group that has processes: all of them, or none."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from tiffin.errors import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tiffin.runtime.cgroups.limits import Write, Writes

_VERSION_2 = "cgroup.controllers"


class _Change(NamedTuple):
    """A file, what it is to say, and what it said."""

    path: Path
    value: str
    before: str


@contextmanager
def changed(joins: Sequence[str], writes: Writes) -> Iterator[None]:
    """Write limits into the group whose files `joins` take pids; what the block raises takes them back.

    Raises UnsupportedError for a limit whose controller the group has not, or that the kernel refuses; then
    all is as it was.
    """
    directories = [Path(join).parent for join in joins]
    wanted = writes.v2 if directories and (directories[0] / _VERSION_2).exists() else writes.v1
    changes = [change for write in wanted if (change := _change(write, directories)) is not None]
    try:
        _write_all(changes)
        yield
    except BaseException:
        with suppress(OSError):
            _try_all([change._replace(value=change.before) for change in changes])
        raise


def _change(write: Write, directories: Sequence[Path]) -> _Change | None:
    path = next((path for place in directories if (path := place / write.file).exists()), None)
    if path is not None:
        before = path.read_text(encoding="ascii").strip()
        return _Change(path, write.value, before)
    if write.optional:
        return None
    raise UnsupportedError(
        f"{write.file} cannot be set to {write.value}: the container's cgroup has no such file",
        code="no-controller",
        hint="leave the limit away, or use a kernel that is built with it",
    )


def _write_all(changes: Sequence[_Change]) -> None:
    refused = _try_all(changes)
    if refused is not None:
        change, error = refused
        raise UnsupportedError(
            f"{change.path.name} cannot be set to {change.value}: {error.strerror}",
            code="limit-refused",
            hint="compare with what it uses now ('tiffin stats'), and with what the group above has",
        ) from error


def _try_all(changes: Sequence[_Change]) -> tuple[_Change, OSError] | None:
    """Write all; return one that was refused, also when it was the last.

    Memory alone is never more than with swap, so which of them must come first depends on what they were:
    whatever is refused is tried again after the rest.
    """
    left, last = list(changes), None
    for _ in range(2):
        refused = []
        for change in left:
            try:
                _write(change)
            except OSError as error:
                refused.append(change)
                last = change, error
        if not refused:
            return None
        left = refused
    return last


def _write(change: _Change) -> None:
    fd = os.open(change.path, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC)
    try:
        os.write(fd, change.value.encode())
    finally:
        os.close(fd)
