"""Paths of instructions, as text: made absolute, and freed of what leads nowhere. Pure."""

from __future__ import annotations

import posixpath


def absolute(directory: str, path: str) -> str:
    """Return `path`, seen from `directory` if it is relative, without `.`, `..` and double slashes."""
    return "/" + posixpath.normpath(posixpath.join("/", directory, path)).lstrip("/")


def destination(directory: str, path: str) -> str:
    """Return the absolute destination; a final slash says that it is a directory, as do `.` and `..`."""
    found = absolute(directory, path)
    says_directory = path.rpartition("/")[2] in ("", ".", "..")
    return found + "/" if says_directory and found != "/" else found


def relative(source: str) -> str:
    """Return a source relative to the root that it is in: nothing leads above a root."""
    cleaned = absolute("/", source)[1:] or "."
    return cleaned + "/" if source.endswith("/") and cleaned != "." else cleaned


def pivoted(source: str) -> str:
    """Return a source of COPY --parents, relative; the first `/./` is where the path that is kept begins."""
    start, pivot, rest = source.partition("/./")
    return relative(start) + pivot + relative(rest) if pivot else relative(source)
