"""The directory that becomes the layer, written as packages come; links are followed inside it only.

The tree starts empty and nobody else writes into it, so it knows all that it
holds: where a path leads is decided from that record, without asking the disk.
Paths are relative to the root, without a leading slash.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final, NamedTuple

from tiffin.errors import CorruptError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    from tiffin.base.request import NewLayer

_CHUNK: Final = 1 << 20
_DEEPEST: Final = 40


class Owner(NamedTuple):
    """The ids of a file's owner."""

    uid: int = 0
    gid: int = 0


ROOT: Final = Owner()


class Tree:
    """What is in the layer's directory: `None` for a directory, the text of a link, or `True` for a file."""

    def __init__(self, layer: NewLayer) -> None:
        self.layer = layer
        self._root = layer.path
        self._entries: dict[str, str | bool | None] = {"": None}
        self._root.chmod(0o755)

    def __contains__(self, path: str) -> bool:
        """Whether there is something at `path`, links followed."""
        return self.resolve(path) in self._entries

    def paths(self) -> list[str]:
        """Every path, sorted, without the root itself."""
        return sorted(path for path in self._entries if path)

    def children(self, path: str) -> list[str]:
        """The names in the directory at `path`, sorted."""
        prefix = self.resolve(path) + "/"
        own = (known[len(prefix) :] for known in self._entries if known.startswith(prefix))
        return sorted(name for name in own if "/" not in name)

    def is_directory(self, path: str) -> bool:
        """Whether a directory is at `path`, links followed."""
        return self._entries.get(self.resolve(path), True) is None

    def is_file(self, path: str) -> bool:
        """Whether a regular file is at `path`, links followed."""
        return self._entries.get(self.resolve(path)) is True

    def link_target(self, path: str) -> str | None:
        """The text of the link at `path`."""
        entry = self._entries.get(self.resolve(path, follow=False))
        return entry if isinstance(entry, str) else None

    def host(self, path: str) -> Path:
        """Where the file at `path` lies on the machine, links followed."""
        return self._host(self.resolve(path))

    def read(self, path: str) -> bytes:
        """The content of the file at `path`, links followed."""
        return self.host(path).read_bytes()

    def resolve(self, path: str, *, follow: bool = True) -> str:
        """Where `path` leads inside the tree, be there something or not; a final link only if `follow`."""
        return self._walk(path, follow=follow, depth=0)

    def make_directory(self, path: str, mode: int = 0o755, owner: Owner = ROOT) -> None:
        """Have a directory at `path`; one that is there, or a link to one, stays as it is."""
        real = self.resolve(path)
        entry = self._entries.get(real, False)
        if entry is None:
            return
        if entry is not False:
            self._forget(real)
        self._have_parent(real)
        self._host(real).mkdir()
        self._entries[real] = None
        self._dress(real, mode, owner)

    def set_directory(self, path: str, mode: int, owner: Owner = ROOT) -> None:
        """Have a directory with that mode and owner at `path`."""
        self.make_directory(path, mode, owner)
        self._dress(self.resolve(path), mode, owner)

    def write(self, path: str, content: bytes | BinaryIO, mode: int = 0o644, owner: Owner = ROOT) -> None:
        """Put a file at `path`, in the place of a file or link that is there."""
        real = self._claim(path)
        fd = os.open(
            self._host(real), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        with os.fdopen(fd, "wb", buffering=0) as out:
            if isinstance(content, bytes):
                out.write(content)
            else:
                while data := content.read(_CHUNK):
                    out.write(data)
        self._entries[real] = True
        self._dress(real, mode, owner)

    def link(self, path: str, target: str) -> None:
        """Put a symbolic link at `path`; a directory that is there stays, as dpkg has it."""
        real = self.resolve(path, follow=False)
        if self._entries.get(real, False) is None or self._entries.get(real) == target:
            return
        real = self._claim(path)
        os.symlink(target, self._host(real))  # noqa: PTH211  # Path changes it
        self._entries[real] = target

    def hard_link(self, path: str, existing: str) -> None:
        """Put another name for the file `existing` at `path`."""
        source = self.resolve(existing, follow=False)
        if self._entries.get(source) is None:
            raise CorruptError(f"{path} is a hard link to {existing}, which is not there", code="deb")
        real = self._claim(path)
        os.link(self._host(source), self._host(real), follow_symlinks=False)
        self._entries[real] = self._entries[source]

    def remove(self, path: str) -> None:
        """Remove the file or link at `path`, or the directory with all below it, if there is one."""
        real = self.resolve(path, follow=False)
        below = [known for known in self._entries if known.startswith(real + "/")]
        for known in sorted(below, reverse=True) + ([real] if real in self._entries else []):
            self._forget(known)

    def reload(self) -> None:
        """Learn anew what is in the directory, after somebody else has worked in it."""
        self._entries = {"": None}
        self._learn("")

    def finish(self, epoch: int) -> None:
        """Give everything in the directory the one time, what commands have put there included."""
        set_times(self._root, epoch)

    def _walk(self, path: str, *, follow: bool, depth: int) -> str:
        if depth > _DEEPEST:
            raise CorruptError(f"{path} leads through more than {_DEEPEST} links", code="deb")
        done = ""
        parts = [part for part in path.split("/") if part not in ("", ".")]
        for position, part in enumerate(parts):
            if part == "..":
                done = done.rpartition("/")[0]
                continue
            done = f"{done}/{part}" if done else part
            entry = self._entries.get(done)
            if isinstance(entry, str) and (follow or position < len(parts) - 1):
                start = "" if entry.startswith("/") else done.rpartition("/")[0]
                done = self._walk(f"{start}/{entry}", follow=True, depth=depth + 1)
        return done

    def _learn(self, directory: str) -> None:
        with os.scandir(self._host(directory)) as entries:
            for entry in entries:
                path = f"{directory}/{entry.name}" if directory else entry.name
                if entry.is_symlink():
                    self._entries[path] = os.readlink(entry.path)  # noqa: PTH115  # Path changes it
                elif entry.is_dir(follow_symlinks=False):
                    self._entries[path] = None
                    self._learn(path)
                else:
                    self._entries[path] = True

    def _claim(self, path: str) -> str:
        """Make room for something that is no directory; return where."""
        real = self.resolve(path, follow=False)
        entry = self._entries.get(real, False)
        if entry is None:
            raise CorruptError(f"{path} is a directory, and a file or link was to be put there", code="deb")
        if entry is not False:
            self._forget(real)
        self._have_parent(real)
        return real

    def _have_parent(self, real: str) -> None:
        parent = real.rpartition("/")[0]
        if self._entries.get(parent, False) is not None:
            self.make_directory(parent)

    def _forget(self, real: str) -> None:
        host = self._host(real)
        if self._entries.pop(real) is None:
            host.rmdir()
        else:
            host.unlink()

    def _dress(self, real: str, mode: int, owner: Owner) -> None:
        host = self._host(real)
        if owner != ROOT:
            self.layer.owners.change(str(host), owner.uid, owner.gid)
        self.layer.owners.set_mode(str(host), stat.S_IMODE(mode))

    def _host(self, real: str) -> Path:
        return self._root / real


def set_times(root: Path, epoch: int) -> None:
    """Set the times of everything below `root`, and of `root`, to `epoch` seconds."""
    moment = (epoch * 1_000_000_000, epoch * 1_000_000_000)
    for path in _all_paths(os.fspath(root)):
        os.utime(path, ns=moment, follow_symlinks=False)


def _all_paths(root: str) -> Iterator[str]:
    with os.scandir(root) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _all_paths(entry.path)
            else:
                yield entry.path
    yield root
