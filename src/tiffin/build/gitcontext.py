"""How many bytes of a copy git ignores, by the `.gitignore` files of a context and its repository."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from tiffin.build.gitignore import GitIgnore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tiffin.build.context import Context
    from tiffin.build.selection import Selected

_NAME = ".gitignore"
_LARGEST = 1 << 20  # bytes that are read of one file
_HIGHEST = 30  # folders above the context in which the repository is looked for


def ignored_bytes(context: Context, selection: Sequence[Selected], *, wild: bool) -> dict[str, int]:
    """Return the bytes of what git ignores in `selection`, by the topmost paths; a folder's ends in a slash.

    A context that was fetched has no repository around it. What a COPY names itself is meant, with all that
    is below it, unless a `wild` card did.
    """
    folder = context.folder
    root = folder if context.passing else _repository(folder)
    prefix = "" if root == folder else f"{folder.relative_to(root)}/"
    ignore = _rules(root, folder, selection)
    found: dict[str, int] = {}
    if not ignore:
        return found
    for chosen in selection:
        if not wild and _is_within_ignored(ignore, prefix + chosen.node.path[1:]):
            continue
        top = ""
        for node in (chosen.node, *chosen.below) if wild else chosen.below:
            path = node.path[1:]
            if top and path.startswith(top):
                found[top] += node.status.st_size
            elif ignore.ignores(prefix + path, folder=node.is_directory):
                key = f"{path}/" if node.is_directory else path
                top = key if node.is_directory else ""
                found[key] = 0 if node.is_directory else node.status.st_size
    return {path: size for path, size in found.items() if size}


def _repository(folder: Path) -> Path:
    """Return the folder of the repository that `folder` is in, or itself if it is in none."""
    for above in (folder, *list(folder.parents)[:_HIGHEST]):
        if (above / ".git").exists():
            return above
    return folder


def _rules(root: Path, folder: Path, selection: Sequence[Selected]) -> GitIgnore:
    """Read the files from the root of the repository down to what is copied."""
    way = [place for place in (folder, *folder.parents) if place.is_relative_to(root)][::-1]
    for chosen in selection:
        for node in chosen.below:
            if node.path.endswith(f"/{_NAME}") and node.path != f"/{_NAME}":
                way.append((folder / node.path[1:]).parent)
    ignore = GitIgnore()
    for place in dict.fromkeys(way):
        relative = place.relative_to(root)
        ignore = ignore.with_file(_read(place / _NAME), "" if place == root else str(relative))
    return ignore


def _read(path: Path) -> str:
    """Return the text of a file; of what is none, a link or a pipe for example, nothing."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        data = os.read(fd, _LARGEST) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
    finally:
        os.close(fd)
    return data.decode("utf-8", "surrogateescape")


def _is_within_ignored(ignore: GitIgnore, path: str) -> bool:
    parts = path.split("/")
    ways = ("/".join(parts[: number + 1]) for number in range(len(parts)))
    return any(way and ignore.ignores(way, folder=True) for way in ways)
