"""A stack of layer directories read as the one tree that a mount of them would show.

Overlayfs semantics in user space (Documentation/filesystems/overlayfs.rst):
the topmost entry of a name wins, directories merge until one is opaque, a
whiteout hides what lies below. It needs no mount and no privilege, so steps
that only copy work on every rung, from any thread. A layer is committed and
does not change while it is read; only real directories are ever descended,
links are resolved here, inside the tree.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from tiffin.errors import InvalidError
from tiffin.layer.whiteout import is_opaque, is_whiteout
from tiffin.linux.files import RootPath

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

_MAX_LINKS = 40  # as the kernel's path walk (path_resolution(7))


class Node(NamedTuple):
    """An entry of the merged tree.

    `path` is canonical and absolute, `status` what lstat says of the topmost
    entry, `places` its host paths, topmost first: one for a file, one for
    each layer that takes part for a directory.
    """

    path: RootPath
    status: os.stat_result
    places: tuple[str, ...]

    @property
    def host(self) -> str:
        """The host path of the entry that counts."""
        return self.places[0]

    @property
    def shown(self) -> str:
        """The path for documents and people: bytes in it that are no UTF-8 are replaced."""
        return self.path.encode("utf-8", "surrogateescape").decode(errors="replace")

    @property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return stat.S_ISDIR(self.status.st_mode)

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return stat.S_ISLNK(self.status.st_mode)


class Resolved(NamedTuple):
    """Where a path leads: the canonical path, and the entry there if there is one."""

    path: RootPath
    node: Node | None


class MergedTree:
    """The view of `layers`, topmost first; no layers is an empty tree.

    An entry for which `hides` is true does not exist, nor does what is below it.
    """

    def __init__(self, layers: Sequence[Path], hides: Callable[[Node], bool] | None = None) -> None:
        places = tuple(os.fspath(layer) for layer in layers)
        self._hides = hides
        self.root: Node | None = None
        if places:
            self.root = Node(RootPath("/"), os.lstat(places[0]), places)

    def child(self, directory: Node, name: str) -> Node | None:
        """Return the entry `name` of `directory`."""
        found: os.stat_result | None = None
        places: list[str] = []
        for place in directory.places:
            host = f"{place}/{name}"
            try:
                status = os.lstat(host)
            except (FileNotFoundError, NotADirectoryError):
                continue
            if not stat.S_ISDIR(status.st_mode):
                if found is None and not is_whiteout(host, status):
                    found, places = status, [host]
                break
            found = found or status
            places.append(host)
            if len(directory.places) > 1 and is_opaque(host):
                break
        if found is None:
            return None
        node = Node(_join(directory.path, name), found, tuple(places))
        return None if self._hides and self._hides(node) else node

    def children(self, directory: Node) -> list[Node]:
        """Return the entries of `directory`, sorted by name."""
        if len(directory.places) == 1:
            return self._children_of_one(directory)
        names: set[str] = set()
        for place in directory.places:
            names.update(os.listdir(place))
        nodes = (self.child(directory, name) for name in sorted(names))
        return [node for node in nodes if node is not None]

    def _children_of_one(self, directory: Node) -> list[Node]:
        base, prefix = directory.places[0] + "/", directory.path.rstrip("/") + "/"
        nodes, look = [], os.stat
        # By a descriptor, or the kernel would walk all the way to each of them.
        fd = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in sorted(os.listdir(fd)):
                host, status = base + name, look(name, dir_fd=fd, follow_symlinks=False)
                if status.st_size or not is_whiteout(host, status):  # a whiteout has no size
                    nodes.append(Node(RootPath(prefix + name), status, (host,)))
        except FileNotFoundError as error:
            error.filename = base + str(error.filename)
            raise
        finally:
            os.close(fd)
        return [node for node in nodes if not self._hides(node)] if self._hides else nodes

    def walk(self, directory: Node) -> Iterator[Node]:
        """Yield everything below `directory`, parents first, by name."""
        pending = self.children(directory)[::-1]  # a tree may be deeper than calls may be
        while pending:
            node = pending.pop()
            yield node
            if stat.S_ISDIR(node.status.st_mode):
                pending += reversed(self.children(node))

    def resolve(self, path: str, *, follow: bool = True) -> Resolved:
        """Return where `path` leads inside the tree, its last link followed if `follow`.

        Parts that do not exist are kept as they are, so the result also says
        where something new would be made. Links out of the root stay inside
        it, as after chroot(2). Raises InvalidError for a loop of links.
        """
        pending = _parts(path)
        trail: list[Node] = [self.root] if self.root else []
        missing: list[str] = []
        links = 0
        while pending:
            name = pending.pop()
            if name == "..":
                if missing:
                    missing.pop()
                elif len(trail) > 1:
                    trail.pop()
                continue
            node = self.child(trail[-1], name) if trail and not missing else None
            if node is None:
                missing.append(name)
            elif node.is_link and (follow or pending):
                links += 1
                if links > _MAX_LINKS:
                    raise InvalidError(f"{path}: too many symbolic links, they lead in a circle")
                target = self.readlink(node)
                if target.startswith("/"):
                    del trail[1:]
                pending.extend(_parts(target))
            elif node.is_directory or not pending:
                trail.append(node)
            else:
                raise InvalidError(f"{path}: {node.path} is a file, not a directory", code="not-a-directory")
        if missing:
            base = trail[-1].path if trail else RootPath("/")
            return Resolved(_join(base, "/".join(missing)), None)
        return Resolved(trail[-1].path if trail else RootPath("/"), trail[-1] if trail else None)

    def status(self, path: RootPath) -> os.stat_result | None:
        """What lstat says of the entry at `path`, or None: for `layer.diff`, of which this is a `Lower`."""
        node = self.resolve(path, follow=False).node
        return node.status if node else None

    def host(self, path: RootPath) -> str | None:
        """The host path of the entry at `path`, or None."""
        node = self.resolve(path, follow=False).node
        return node.host if node else None

    def readlink(self, node: Node) -> str:
        """Return the text of the link `node`."""
        return os.readlink(node.host)

    def read(self, path: str) -> bytes:
        """Return the content of the file at `path`, links followed; empty if there is no file."""
        node = self.resolve(path).node
        if node is None or not stat.S_ISREG(node.status.st_mode):
            return b""
        with open(node.host, "rb") as file:  # a name may not be UTF-8
            return file.read()


def _join(directory: str, name: str) -> RootPath:
    return RootPath(f"/{name}" if directory == "/" else f"{directory}/{name}")


def _parts(path: str) -> list[str]:
    """The names of `path`, last first, without empty ones and dots."""
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]
