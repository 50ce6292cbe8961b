"""Layers for `--userns keep-id`: those in which files belong to the account's user are copied once.

In such a container the account and root have changed places. A layer in which nothing belongs to that user
or group is used as it is; of others there is a copy in which the owners have changed places too. A copy goes
when its layer does, and that stays as long as a container has it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tiffin.engine.collection import SHIFTED
from tiffin.engine.userns import exchanged
from tiffin.layer.apply import apply
from tiffin.layer.owners import TrueOwners
from tiffin.layer.tar import open_tar
from tiffin.layer.tree import scan
from tiffin.linux.files import lock, sync_filesystem
from tiffin.linux.remove import remove_tree

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tiffin.engine.engine import Engine

__all__ = ["Swapped", "copies_for", "sweep"]


class Swapped(TrueOwners):
    """Owners of which root's and those of `own`, user and group, are exchanged."""

    def __init__(self, own: tuple[int, int]) -> None:
        self._own = own

    def change(self, target: int | str, uid: int, gid: int) -> None:
        """Make the counterparts of `uid` and `gid` own the entry."""
        super().change(target, *self.counterparts(uid, gid))

    def counterparts(self, uid: int, gid: int) -> tuple[int, int]:
        """Return who owns on disk what belongs to `uid` and `gid` in the image."""
        return _exchanged(uid, self._own[0]), _exchanged(gid, self._own[1])


def copies_for(engine: Engine, words: tuple[tuple[str, str], ...], layers: Sequence[str]) -> tuple[str, ...]:
    """Return where these layers, hexadecimal, lie for a container with the options `words`."""
    own = exchanged(engine, words)
    if own is None:
        return tuple(str(engine.home.layers / layer) for layer in layers)
    place = engine.home.root / SHIFTED / f"{own[0]}-{own[1]}"
    with lock(engine.home.locks / SHIFTED):
        _sweep(engine)
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        return tuple(str(_copy(engine, place, layer, own)) for layer in layers)


def sweep(engine: Engine) -> None:
    """Remove the copies of layers that are gone, and those that were not finished."""
    with lock(engine.home.locks / SHIFTED):
        _sweep(engine)


def _sweep(engine: Engine) -> None:
    for path in (engine.home.root / SHIFTED).glob("*/*"):
        if path.name.startswith(".") or not (engine.home.layers / path.name).exists():
            path.unlink() if path.is_file() else remove_tree(path)


def _copy(engine: Engine, place: Path, layer: str, own: tuple[int, int]) -> Path:
    original, copy = engine.home.layers / layer, place / layer
    if copy.is_dir():
        return copy
    if copy.exists():
        return original
    uid, gid = (number or None for number in own)
    if not any(uid == entry.uid or gid == entry.gid for entry in scan(original, engine.owners)):
        copy.touch()  # so that nobody has to look again
        return original
    unfinished = place / f".{layer}.{os.getpid()}"
    unfinished.mkdir()
    with open_tar(original, engine.owners) as stream:
        apply(stream, unfinished, Swapped(own))
    sync_filesystem(place)  # whoever finds the copy believes it, also after a power cut
    unfinished.rename(copy)
    return copy


def _exchanged(number: int, own: int) -> int:
    return {0: own, own: 0}.get(number, number)
