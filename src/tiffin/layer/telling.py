"""The digest of a canonical tar whose entries are told while they are made: nobody has to read them again.

That works if they come in the order in which `scan` would find them: parents first, names sorted by their
bytes, each of them once. From the first that does not, there is no digest, and `describe` has to look.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from tiffin.layer.hashing import LARGE, BackgroundHash
from tiffin.layer.tar import END, entry_header, opaque_header, padding
from tiffin.layer.tree import Entry, is_plain
from tiffin.layer.whiteout import PREFIX
from tiffin.linux.files import RootPath

if TYPE_CHECKING:
    from tiffin.oci.digest import DiffID

_PLAIN: Final = 0o755
_LATEST: Final = (1 << 31) * 1_000_000_000
"""Every file system keeps the times before that, and those alone are what was told."""


class Telling:
    """A layer in the making, as its tar of `size` bytes; a context manager, for a thread may hash."""

    def __init__(self) -> None:
        self.size = 0
        self._total = BackgroundHash()
        self.orderly = True
        """There may still be a digest."""
        self._begun = False
        self._last = ""  # with zero bytes between the names: so a directory sorts before what is in it
        self._open: list[str] = []  # the directories that the last entry lies in, with a slash at the end
        self._parts: list[bytes | memoryview] = []
        self._pending = 0
        self._left = 0  # of the content of the last entry
        self._pad = b""

    def __enter__(self) -> Self:
        self._total.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self._total.__exit__(*exception)

    def spoil(self) -> None:
        """There will be no digest: what is on the disk is not, or may not be, what was told."""
        self.orderly = False

    def add(self, entry: Entry) -> None:
        """The next entry; a file's content follows by `data`. Parents that are missing are plain ones."""
        if not self.orderly:
            return
        path, kind, size = entry.path, entry.kind, entry.size
        key = path.replace("/", "\0")
        late = key <= self._last and (path or self._begun)  # the root has no name: it comes first, or never
        hiding = PREFIX in path and f"/{PREFIX}" in f"/{path}"  # which `describe` refuses by its name
        if late or hiding or self._left or not 0 <= entry.mtime_ns < _LATEST or not _is_text(key):
            self.spoil()
            return
        self._begun = True
        self._last = key
        if not path and is_plain(entry):
            return
        inside = self._open[-1] if self._open else ""
        if path.rfind("/") + 1 != len(inside) or not path.startswith(inside):
            self._enter(path)
        if kind == "directory" and path:
            self._open.append(f"{path}/")
        self._feed(entry_header(entry))
        self._left, self._pad = size, padding(size)

    def data(self, piece: bytes | memoryview) -> None:
        """The next bytes of the entry's content."""
        if not self.orderly:
            return
        self._left -= len(piece)
        if self._left == 0 and self._pad:
            self._parts.append(piece)
            self._pending += len(piece)
            piece = self._pad
        self._feed(piece)

    def opaque(self, directory: str) -> None:
        """The directory that was told last hides what lies below it."""
        key = directory.replace("/", "\0")
        if not directory or key != self._last or self._open[-1:] != [f"{directory}/"]:
            self.spoil()
        if self.orderly:
            self._last = key + "\0"
            self._feed(opaque_header(RootPath(directory)))

    def diff_id(self) -> DiffID | None:
        """The digest, if all was told in order; nothing may be told after."""
        if not self.orderly or self._left:
            return None
        self._feed(END)
        self._flush()
        return self._total.diff_id()

    def _enter(self, path: str) -> None:
        while self._open and not path.startswith(self._open[-1]):
            self._open.pop()
        at = path.find("/", len(self._open[-1]) if self._open else 0)
        while at > 0:
            self._open.append(path[: at + 1])
            self._feed(entry_header(Entry(RootPath(path[:at]), "directory", _PLAIN, 0, 0)))
            at = path.find("/", at + 1)

    def _feed(self, data: bytes | memoryview) -> None:
        self._parts.append(data)
        self._pending += len(data)
        if self._pending >= LARGE:
            self._flush()

    def _flush(self) -> None:
        self.size += self._pending
        self._total.update(b"".join(self._parts))
        self._parts, self._pending = [], 0


def _is_text(key: str) -> bool:
    """Whether it sorts as its bytes do: what is no UTF-8, and has surrogates here, does not."""
    if key.isascii():
        return True
    try:
        key.encode()
    except UnicodeEncodeError:
        return False
    return True
