"""Images whose big layers are several, so that what changes often is small: `--split-layers`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tiffin.image.edit import exchange_layers
from tiffin.snapshot.split import Part, split_layer

if TYPE_CHECKING:
    from collections.abc import Collection

    from tiffin.engine.engine import Engine
    from tiffin.oci.config import ImageConfig
    from tiffin.oci.digest import DiffID
    from tiffin.store.leases import Lease

_MOST: Final = 16
"""Parts of one layer."""
_LAYERS: Final = 100
"""Layers of an image: Docker takes 125, and images are built upon."""


class Splitter:
    """Splits layers that were made here, each of them once: its parts are remembered. `lease` holds them."""

    def __init__(self, engine: Engine, lease: Lease) -> None:
        self._engine = engine
        self._lease = lease

    def split(self, config: ImageConfig, spared: Collection[DiffID] = ()) -> ImageConfig:
        """Return the config with the parts of its layers, but for those that are `spared`."""
        whole = config.rootfs.diff_ids
        room = _LAYERS - len(whole)
        parts: dict[DiffID, tuple[Part, ...]] = {}
        for diff_id in whole:
            if diff_id not in spared and diff_id not in parts and room > 0:
                found = self._parts(diff_id, min(_MOST, room + 1))
                room -= len(found) - 1
                if len(found) > 1:
                    parts[diff_id] = found
        return exchange_layers(config, parts)

    def _parts(self, diff_id: DiffID, most: int) -> tuple[Part, ...]:
        layers = self._engine.layers
        known = tuple(Part(*row) for row in layers.parts_of(diff_id))
        self._lease.add_all([("layer", part.diff_id) for part in known])
        if known and len(known) <= most and all(layers.has(part.diff_id) for part in known):
            return known
        found = split_layer(layers, diff_id, most)
        if most == _MOST:
            layers.record_parts(diff_id, found)
        return found
