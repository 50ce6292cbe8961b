"""Volumes: folders that outlive containers, one for each name, filled from the image when they are new.

On disk a volume is `volumes/NAME/data`, beside it `volume.json`; it appears and goes by one rename.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

import msgspec

from tiffin.container.removal import USERS, leave
from tiffin.errors import InvalidError, NotFoundError
from tiffin.layer.tree import kept_xattrs
from tiffin.linux import files
from tiffin.linux.remove import remove_tree

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tiffin.layer.owners import Owners
    from tiffin.snapshot.merged import MergedTree, Node

__all__ = ["Volume", "Volumes"]

_NAME = r"[a-zA-Z0-9][a-zA-Z0-9_.-]+"


class Volume(msgspec.Struct, frozen=True):
    """A volume; `created` in nanoseconds since 1970. An anonymous one goes with its container.

    `options` are those of the driver, as given.
    """

    name: str
    created: int
    labels: dict[str, str] = {}
    anonymous: bool = False
    options: dict[str, str] = {}


class Volumes:
    """The volumes below `root`. `owners` is how owners are kept in this store."""

    def __init__(self, root: Path, owners: Owners) -> None:
        self._root = root
        self._owners = owners

    def path(self, name: str) -> Path:
        """Where the content of the volume lies."""
        return self._root / name / "data"

    def create(
        self,
        name: str,
        now: int,
        *,
        labels: Mapping[str, str] | None = None,
        anonymous: bool = False,
        options: Mapping[str, str] | None = None,
        user: str = "",
    ) -> bool:
        """Make the volume; return False if it is there already. It is to go with its last `user`, if any."""
        if not re.fullmatch(_NAME, name):
            raise InvalidError(
                f"{name!r} cannot be the name of a volume",
                code="invalid-name",
                hint="use at least two of a-z, A-Z, 0-9, _, . and -, the first a letter or digit",
            )
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = self._root / f".new-{os.urandom(8).hex()}"
        (beside / "data").mkdir(parents=True)
        if user:
            (beside / USERS).mkdir()
            (beside / USERS / user).touch()
        volume = Volume(name, now, dict(labels or {}), anonymous, dict(options or {}))
        files.atomic_write(beside / "volume.json", msgspec.json.encode(volume))
        try:
            files.rename_noreplace(beside, self._root / name)
            files.sync_directory(self._root)
        except FileExistsError:
            remove_tree(beside)
            return False
        return True

    def find(self, name: str) -> Volume:
        """Return the volume. Raises NotFoundError."""
        try:
            return msgspec.json.decode((self._root / name / "volume.json").read_bytes(), type=Volume)
        except (FileNotFoundError, NotADirectoryError):
            from difflib import get_close_matches

            near = get_close_matches(name, self._names(), 2)
            hint = f"did you mean {' or '.join(near)}?" if near else "`tiffin volume ls` lists them"
            raise NotFoundError(f"there is no volume {name}", code="no-such-volume", hint=hint) from None

    def all(self) -> list[Volume]:
        """Every volume, by name."""
        return [self.find(name) for name in self._names()]

    def _names(self) -> list[str]:
        if not self._root.is_dir():
            return []
        return sorted(path.name for path in self._root.iterdir() if not path.name.startswith("."))

    def remove(self, name: str) -> None:
        """Delete the volume and all that is in it."""
        self.find(name)
        away = self._root / f".gone-{os.urandom(8).hex()}"
        (self._root / name).rename(away)
        files.sync_directory(self._root)
        remove_tree(away)

    def share(self, name: str, user: str) -> None:
        """Have an anonymous volume stay until this container, too, has gone. Raises NotFoundError."""
        try:
            (self._root / name / USERS / user).touch()
        except FileNotFoundError:
            raise NotFoundError(f"there is no volume {name} any more", code="no-such-volume") from None

    def let_go(self, names: Iterable[str], user: str) -> list[str]:
        """Delete those anonymous volumes that no other container has, and return them."""
        there = [name for name in names if (self._root / name).is_dir()]
        gone = [name for name in there if leave(self._root / name, user)]
        for name in gone:
            self.remove(name)
        return gone

    def fill(self, name: str, tree: MergedTree, target: str | None) -> None:
        """Copy what the image has at `target` into the volume, if that is empty; without one leave it.

        Of several at once the first does it, and the others wait. Who was killed at it has left a mark, for
        the next to begin anew: nobody has had the volume since.
        """
        data = self.path(name)
        source = tree.resolve(target).node if target else None
        with files.lock(self._root / name / "filling") as mark:
            begun = bool(os.fstat(mark).st_size)
            if source is not None and source.is_directory and (begun or not any(data.iterdir())):
                os.write(mark, b"begun")
                os.fsync(mark)
                for half in data.iterdir():
                    remove_tree(half)
                self._copy_children(tree, source, data, {})
                self._settle(source, data)
                if any(data.iterdir()):  # or a power cut would leave holes, and no mark
                    files.sync_filesystem(data)
                begun = True
            if begun:
                os.ftruncate(mark, 0)
                os.fsync(mark)  # what a container writes from now on must not be taken for a half copy

    def _copy_children(
        self, tree: MergedTree, directory: Node, place: Path, seen: dict[tuple[int, int], Path]
    ) -> None:
        """`seen` are the copies of files so far, so that hard links stay links."""
        for node in tree.children(directory):
            target = place / os.path.basename(node.path)  # noqa: PTH119 - a RootPath is no Path
            mode = node.status.st_mode
            if stat.S_ISDIR(mode):
                target.mkdir()
                self._copy_children(tree, node, target, seen)
            elif node.status.st_nlink > 1 and (first := seen.get((node.status.st_dev, node.status.st_ino))):
                target.hardlink_to(first)
                continue
            elif stat.S_ISLNK(mode):
                target.symlink_to(tree.readlink(node))
            elif stat.S_ISREG(mode):
                _copy_file(node.host, target)
            elif stat.S_ISFIFO(mode):
                os.mkfifo(target)
            else:
                continue  # devices are not for a volume
            seen[node.status.st_dev, node.status.st_ino] = target
            self._settle(node, target)

    def _settle(self, node: Node, target: Path) -> None:
        """Give the copy the owner, mode, attributes and times of the original."""
        self._owners.change(str(target), *self._owners.read(node.host, node.status))
        if not node.is_link:
            self._owners.set_mode(str(target), self._owners.mode(node.host, node.status))
            for name, value in kept_xattrs(node.host).items():
                self._owners.set_attribute(str(target), name, value)
        times = (node.status.st_atime_ns, node.status.st_mtime_ns)
        os.utime(target, ns=times, follow_symlinks=False)


def _copy_file(source: str, target: Path) -> None:
    with open(source, "rb") as reader, target.open("wb") as writer:  # noqa: PTH123 - a name may not be UTF-8
        files.copy_data(reader.fileno(), writer.fileno(), os.fstat(reader.fileno()).st_size)
        os.fchmod(writer.fileno(), stat.S_IMODE(os.fstat(reader.fileno()).st_mode))
