"""Names in a tar, of entries and of what links lead to, as paths below a root that they cannot leave."""

from __future__ import annotations

import errno
import os
import re
from typing import Final

from tiffin.errors import InvalidError
from tiffin.linux.files import open_in_root

_NAME_MAX: Final = 255
_PATH_MAX: Final = 3840  # the kernel's 4096, less what the store needs for its own directories
_MAX_LINKS: Final = 40  # as the kernel's path walk (path_resolution(7))
_MISSING: Final = (errno.ENOENT, errno.ENOTDIR)
# Names in which nothing has to be looked at twice.
_SIMPLE: Final = re.compile(rb"(?:[^/.\0][^/\0]{0,254}/)*[^/.\0][^/\0]{0,254}/?")


def clean(name: bytes) -> str:
    """The name of an entry as a path below the root; `InvalidError` if it leads out, or is too long."""
    if len(name) <= _PATH_MAX and _SIMPLE.fullmatch(name):
        return os.fsdecode(name.rstrip(b"/"))
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part in (b"", b"."):
            continue
        if part == b"..":
            if not parts:
                raise invalid(name, "it leads out of the layer")
            parts.pop()
            continue
        _check_component(name, part)
        parts.append(part)
    path = b"/".join(parts)
    if len(path) > _PATH_MAX:
        raise invalid(name, f"it has {len(path)} bytes, and {_PATH_MAX} are the limit")
    if b"\0" in path:
        raise invalid(name, "it holds a zero byte")
    return os.fsdecode(path)


def check_length(directory: str, name: str) -> None:
    """Raise InvalidError if `name` in `directory`, a path without links, is longer than a path may be."""
    path = os.fsencode(f"{directory}/{name}")
    if len(path) > _PATH_MAX:
        raise invalid(path, f"links make it {len(path)} bytes long, and {_PATH_MAX} are the limit")


def invalid(name: bytes, why: str) -> InvalidError:
    """The error for an entry of a tar that is refused."""
    text = os.fsdecode(name)
    shown = text if len(text) <= 200 else f"{text[:200]}…"
    return InvalidError(
        f"the tar's entry {shown!r} is refused: {why}",
        code="tar-entry-refused",
        hint="do not trust where it comes from, or have it packed again",
    )


def link_target(root_fd: int, directory: str, text: str) -> str:
    """The path that a link with this text in `directory` leads to, without links, whether it exists or not.

    The directory `root_fd` counts as `/`: no link leads out of it. `InvalidError` if links lead in a circle.
    """
    path: list[str] = [] if text.startswith("/") else _parts(directory)
    pending = _parts(text)[::-1]
    links = 0
    while pending:
        name = pending.pop()
        if name == "..":
            del path[-1:]
            continue
        _check_component(os.fsencode(text), os.fsencode(name))
        path.append(name)
        further = _link_at(root_fd, "/".join(path))
        if further is not None:
            links += 1
            if links > _MAX_LINKS:
                raise invalid(os.fsencode(text), "links lead in a circle")
            path = [] if further.startswith("/") else path[:-1]
            pending += _parts(further)[::-1]
    return "/".join(path)


def _check_component(name: bytes, part: bytes) -> None:
    if len(part) > _NAME_MAX:
        raise invalid(name, f"a component has {len(part)} bytes, and {_NAME_MAX} are the limit")


def _link_at(root_fd: int, path: str) -> str | None:
    """The text of the link at `path`, whose parents are none; None if there is something else, or nothing."""
    try:
        fd = open_in_root(root_fd, path, os.O_PATH | os.O_NOFOLLOW, links=False)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise invalid(os.fsencode(path), "links make its path too long") from None
        if error.errno not in _MISSING:
            raise
        return None
    try:
        return os.readlink("", dir_fd=fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOENT):  # readlinkat(2) says ENOENT of what is no link
            raise
        return None
    finally:
        os.close(fd)


def _parts(path: str) -> list[str]:
    return [part for part in path.split("/") if part not in ("", ".")]
