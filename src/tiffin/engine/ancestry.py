"""Which images others stand on: told by their layers, since a build keeps no names of its bases."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tiffin.engine.lookup import find_image

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tiffin.engine.engine import Engine


class Ancestor(NamedTuple):
    """An image that others may stand on; layers by their diff ids, the lowest first."""

    image_id: str
    layers: tuple[str, ...]


def ancestors(engine: Engine, names: Iterable[str]) -> dict[str, Ancestor]:
    """The images of those names or ids that there are."""
    found = ((name, find_image(engine, name)) for name in names)
    return {
        name: Ancestor(str(image.image_id), tuple(str(layer) for layer in image.config.rootfs.diff_ids))
        for name, image in found
        if image is not None
    }
