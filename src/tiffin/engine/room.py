"""Whether the disk has room for what is about to come: said before it begins, and not in the middle of it."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tiffin.errors import FailedError, TiffinError, UnavailableError
from tiffin.events import Notice
from tiffin.linux.room import in_words, room_of
from tiffin.store.partials import Partials

if TYPE_CHECKING:
    from tiffin.engine.engine import Engine
    from tiffin.image.view import FetchedImage
    from tiffin.linux.room import Room

_PACKED = ("gzip", "zstd")
_USUAL = 2.5
"""So many times its size a compressed layer of programs and libraries has unpacked."""
_LITTLE = 1 << 20
_ELSEWHERE = "make room there, or choose another place"
_LARGER = "set TIFFIN_HOME to a folder on a larger disk"


def free_bytes(folder: Path) -> int:
    """What the disk of the folder has left for this account."""
    return room_of(folder).size


def check_room(folder: Path, wanted: int, what: str, hint: str) -> None:
    """Raise FailedError if `what`, of at least so many bytes, does not fit on the disk of the folder."""
    room = room_of(folder)
    if wanted > room.size:
        raise _no_room(room, folder, wanted, what, hint)


def _no_room(room: Room, folder: Path, wanted: int, what: str, hint: str) -> FailedError:
    least = f"{what} takes at least {in_words(wanted)}"
    return FailedError(f"{least}, and {room.told(folder)}", code="no-room", hint=hint)


def check_room_for(engine: Engine, image: FetchedImage, what: str) -> None:
    """The same for what the store lacks of an image: layers as they come, and again unpacked."""
    coming = {
        layer.descriptor.digest: layer.descriptor.size
        for layer in image.layers
        if not engine.blobs.has(layer.descriptor)
    }
    unpacked = {
        layer.diff_id: layer.descriptor.size
        for layer in image.layers
        if not engine.layers.path(layer.diff_id).is_dir()
    }
    begun = sum(min(Partials(engine.home).size(digest), size) for digest, size in coming.items())
    blobs, trees = sum(coming.values()) - begun, sum(unpacked.values())
    room = room_of(engine.home.root)
    if blobs + trees > room.size:
        raise _no_room(room, engine.home.root, blobs + trees, what, advice(engine))
    packed = any(layer.descriptor.media_type.endswith(_PACKED) for layer in image.layers)
    _warn(engine, room, engine.home.root, blobs + int(trees * (_USUAL if packed else 1)), what)


def foresee(engine: Engine, folder: Path, wanted: int, what: str) -> None:
    """Tell that `what` will probably not fit on the disk of the folder, if it takes about so many bytes."""
    _warn(engine, room_of(folder), folder, wanted, what)


def _warn(engine: Engine, room: Room, folder: Path, wanted: int, what: str) -> None:
    if wanted > room.size:
        text = f"{what} takes about {in_words(wanted)}, and {room.told(folder)}: it will probably not fit"
        engine.emit(Notice(f"{text}; {advice(engine)}"))


def advice(engine: Engine) -> str:
    """What to do where there is no room: which command gives how much of the store back."""
    from tiffin.engine.reclaimable import reclaimable

    try:
        found = reclaimable(engine)
    except (OSError, TiffinError):
        return f"make room with 'tiffin system prune -a', or {_LARGER}"
    ways = [f"'tiffin {words}' frees about {in_words(size)}" for words, size in found if size >= 1 << 20]
    return ", ".join([*ways, f"or {_LARGER}"]) if ways else f"nothing in the store is unused: {_LARGER}"


def full(engine: Engine, error: OSError) -> UnavailableError:
    """Return what to tell of work that failed because the disk, or the account's quota on it, is full."""
    path = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    folder = _existing(Path(path or engine.home.root))
    what = f"{path}: " if path else ""
    why = "the disk quota is used up" if error.errno == errno.EDQUOT else "the disk is full"
    room = room_of(folder)
    now = "now that the unfinished work is gone, " if room.size > _LITTLE else ""
    return UnavailableError(
        f"{what}{why}: {now}{room.told(folder)}",
        code=errno.errorcode[error.errno or errno.ENOSPC].lower(),
        hint=advice(engine) if _same_disk(folder, engine.home.root) else _ELSEWHERE,
    )


def _same_disk(one: Path, other: Path) -> bool:
    return one.stat().st_dev == other.stat().st_dev


def _existing(path: Path) -> Path:
    """The folder that is there, of the path or above it."""
    return next(each for each in (path, *path.absolute().parents) if each.is_dir())
