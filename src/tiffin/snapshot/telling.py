"""What a layer that is being written will be: its entries as they are made, told to `layer.telling`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tiffin.layer.describe import LayerInfo
from tiffin.layer.owners import TrueOwners
from tiffin.layer.tar import read_content
from tiffin.layer.telling import Telling
from tiffin.layer.tree import Entry
from tiffin.linux.files import RootPath

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiffin.layer.owners import Owners
    from tiffin.layer.tree import Kind
    from tiffin.snapshot.writer import Meta

_PAGE: Final = 4096


class Teller:
    """Tells of the entries of one layer; each method returns what tells, to be called in their order.

    Owners that are recorded are not told of: how depends on the kind of entry.
    """

    def __init__(self, owners: Owners) -> None:
        self._telling = Telling()
        self._usage = 0
        if not isinstance(owners, TrueOwners):
            self.spoil()

    def spoil(self) -> None:
        """Something was made that was not told of, or is not what was told."""
        self._telling.spoil()

    def directory(self, path: str, meta: Meta, moment: int) -> Callable[[object], None]:
        """A directory without attributes."""

        def tell(_result: object) -> None:
            self._usage += _PAGE
            self._telling.add(_entry(path, "directory", meta, moment))

        return tell

    def link(self, path: str, target: str, meta: Meta, moment: int) -> Callable[[object], None]:
        """A symbolic link."""
        return lambda _result: self._telling.add(_entry(path, "symlink", meta, moment, link=target))

    def file(
        self, path: str, size: int, meta: Meta, moment: int, host: str
    ) -> Callable[[bytes | None], None]:
        """A file without attributes, whose content is the result, or lies at `host`."""
        telling = self._telling

        def tell(content: bytes | None) -> None:
            self._usage += -(-size // _PAGE) * _PAGE
            telling.add(_entry(path, "file", meta, moment, size))
            if content:
                telling.data(content)
            elif size and telling.orderly:
                for piece in read_content(host, size):
                    telling.data(piece)

        return tell

    def close(self) -> LayerInfo | None:
        """What the layer is, if that can be said."""
        with self._telling as telling:
            diff_id = telling.diff_id()
        return None if diff_id is None else LayerInfo(diff_id, telling.size, self._usage)


def _entry(path: str, kind: Kind, meta: Meta, moment: int, size: int = 0, link: str = "") -> Entry:
    return Entry(RootPath(path[1:]), kind, meta.mode, meta.uid, meta.gid, size, moment, link)
