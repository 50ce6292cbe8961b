"""What stands in for mounts where there are none: entries moved into a plain root, and out again.

An entry that is at a target is moved aside and comes back afterwards, so that it is as
it was; what was put in its place goes, or goes back to where it was lent from. Nothing of it may
stay: a step that has moved or linked it elsewhere in its root fails.
"""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, NamedTuple

from tiffin.errors import FailedError
from tiffin.linux.files import open_in_root
from tiffin.linux.remove import remove_at
from tiffin.snapshot.merged import MergedTree

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tiffin.layer.owners import Owners


class StandIn(NamedTuple):
    """The host path `source` at `target`; what was `lent` goes back there in the end.

    Both lie on one file system with the root, and nobody else uses `source` meanwhile.
    """

    target: str
    source: str
    lent: bool = False


class _Placed(NamedTuple):
    what: StandIn
    path: str
    directory: int
    """The open directory that has it, wherever that is moved."""
    entry: int
    links: int
    covered: Path | None


class StandIns:
    """Those of one root; `place` is an empty directory beside it for what is moved aside."""

    def __init__(self, root: Path, place: Path, owners: Owners) -> None:
        self._owners = owners
        self._root = root
        self._place = place
        self._placed: list[_Placed] = []
        self._made: list[str] = []

    def put(self, entries: Iterable[StandIn]) -> None:
        """Put them in, outer targets before inner ones. Links in the root are followed, and stay inside."""
        self._place.mkdir(exist_ok=True)
        for entry in sorted(entries, key=lambda each: each.target.rstrip("/").count("/")):
            self._put(entry)

    def take(self) -> list[str]:
        """Take all out again; return the paths that lie in the root again as they did.

        Raises FailedError for what is somewhere else by now.
        """
        back: list[str] = []
        lost: list[str] = []
        while self._placed:
            placed = self._placed.pop()
            try:
                self._open_up(placed)
                if not self._remove(placed):
                    lost.append(placed.what.target)
                if placed.covered is not None and self._uncover(placed):
                    back.append(placed.path)
            finally:
                os.close(placed.directory)
                os.close(placed.entry)
        self._remove_made()
        if lost:
            raise FailedError(
                f"the step has moved or linked what was mounted at {lost[0]} into its own files",
                code="mount-moved",
                hint="copy what is needed of it (cp); it may not become a part of the image",
            )
        return back

    def _put(self, entry: StandIn) -> None:
        path = MergedTree([self._root]).resolve(entry.target).path[1:]
        directory, _, name = path.rpartition("/")
        self._make(directory)
        covered = None
        with ExitStack() as undo:
            fd = os.open(self._root / directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            undo.callback(os.close, fd)
            held = os.open(entry.source, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
            undo.callback(os.close, held)
            if os.path.lexists(self._root / path):
                covered = self._place / str(len(self._placed))
                os.rename(name, covered, src_dir_fd=fd)
                undo.callback(os.rename, covered, name, dst_dir_fd=fd)
            os.rename(entry.source, name, dst_dir_fd=fd)
            undo.pop_all()
        links = os.fstat(held).st_nlink
        self._placed.append(_Placed(entry, path, fd, held, links, covered))

    def _make(self, directory: str) -> None:
        made = ""
        for name in filter(None, directory.split("/")):
            made = f"{made}/{name}" if made else name
            if not os.path.lexists(self._root / made):
                (self._root / made).mkdir()
                (self._root / made).chmod(0o755)  # whatever our umask
                self._made.append(made)

    def _remove_made(self) -> None:
        """Remove the directories that led to a place: by no link, for the step may have put one there."""
        top = os.open(self._root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for path in reversed(self._made):
                parent, _, name = path.rpartition("/")
                with suppress(OSError):  # the step has put something there, or has removed it
                    fd = open_in_root(top, parent, os.O_PATH | os.O_DIRECTORY, links=False)
                    try:
                        os.rmdir(name, dir_fd=fd)
                    finally:
                        os.close(fd)
        finally:
            os.close(top)
        self._made.clear()

    def _remove(self, placed: _Placed) -> bool:
        """Clear the place; whether what was put there is in no other one."""
        name = placed.path.rpartition("/")[2]
        ours = os.fstat(placed.entry)
        try:
            there = os.stat(name, dir_fd=placed.directory, follow_symlinks=False)
        except FileNotFoundError:
            return ours.st_nlink == 0
        same = os.path.samestat(ours, there)
        if same and placed.what.lent:
            os.rename(name, placed.what.source, src_dir_fd=placed.directory)
            return True
        remove_at(placed.directory, name)
        left = os.fstat(placed.entry).st_nlink
        return left == 0 or (not stat.S_ISDIR(ours.st_mode) and left < placed.links)

    def _open_up(self, placed: _Placed) -> None:
        """The step may have shut the directory or what was put there, wherever they are by now."""
        for fd in (placed.directory, placed.entry):
            with suppress(FileNotFoundError):
                self._owners.open_up(os.readlink(f"/proc/self/fd/{fd}"))

    def _uncover(self, placed: _Placed) -> bool:
        assert placed.covered is not None
        try:
            os.rename(placed.covered, placed.path.rpartition("/")[2], dst_dir_fd=placed.directory)
        except FileNotFoundError:
            return False  # the step has removed the directory
        return True
