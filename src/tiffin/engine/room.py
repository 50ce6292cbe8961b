"""Whether the disk has room for what is about to come: said before it begins, and not in the middle of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tiffin.errors import FailedError

if TYPE_CHECKING:
    from pathlib import Path

    from tiffin.engine.engine import Engine
    from tiffin.image.view import FetchedImage


def free_bytes(folder: Path) -> int:
    """What the disk of the folder has left for who is not root."""
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize


def check_room(folder: Path, wanted: int, what: str, hint: str) -> None:
    """Raise FailedError if `what`, of at least so many bytes, does not fit on the disk of the folder."""
    free = free_bytes(folder)
    if wanted > free:
        raise FailedError(
            f"{what} takes at least {_mega(wanted)}, and the disk of {folder} has {_mega(free)} left",
            code="no-room",
            hint=hint,
        )


def check_room_for(engine: Engine, image: FetchedImage, what: str) -> None:
    """The same for what the store lacks of an image: layers as they come, and again unpacked."""
    coming = {
        layer.descriptor.digest: layer.descriptor.size
        for layer in image.layers
        if not engine.blobs.has(layer.descriptor)
    }
    unpacked = sum(
        layer.descriptor.size for layer in image.layers if not engine.layers.path(layer.diff_id).is_dir()
    )
    if coming or unpacked:
        hint = "make room with 'tiffin system prune -a', or set TIFFIN_HOME to a folder on a larger disk"
        check_room(engine.home.root, sum(coming.values()) + unpacked, what, hint)


def _mega(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
