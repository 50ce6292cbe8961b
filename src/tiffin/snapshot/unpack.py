"""An image in the store → committed layers: what is not unpacked yet is applied, several at once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from tiffin.errors import CorruptError, UnsupportedError
from tiffin.linux.files import lock

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiffin.content.protocol import Fetcher
    from tiffin.oci.config import ImageConfig
    from tiffin.oci.descriptor import Descriptor
    from tiffin.oci.digest import DiffID
    from tiffin.oci.manifest import Manifest
    from tiffin.snapshot.layers import LayerStore

_CHUNK: Final = 1 << 20


def unpack_image(fetcher: Fetcher, manifest: Manifest, config: ImageConfig, layers: LayerStore) -> None:
    """Make every layer of the image a committed one, and what had to be unpacked survive a crash.

    Raises CorruptError where the image contradicts itself: another number of
    layers than its config says, or a layer that is not what its diff id says.
    """
    diff_ids = config.rootfs.diff_ids
    if len(diff_ids) != len(manifest.layers):
        raise CorruptError(
            f"the image has {len(manifest.layers)} layers, but its config speaks of {len(diff_ids)}"
        )
    missing = [pair for pair in zip(manifest.layers, diff_ids, strict=True) if not layers.has(pair[1])]
    if not missing:
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(lambda pair: unpack_layer(fetcher, pair[0], pair[1], layers), missing):
            pass
    layers.settle()


def unpack_layer(
    fetcher: Fetcher,
    descriptor: Descriptor,
    diff_id: DiffID,
    layers: LayerStore,
    *,
    keeps_blob: bool = True,
    arrived: Callable[[], None] = lambda: None,
) -> None:
    """Apply the blob `descriptor` and commit it as the layer `diff_id`; once, also across processes.

    `arrived` is called when all of the blob was read, before anything is committed. Of a layer whose blob
    is not kept, the directory has to give the very same tar: CorruptError if not.
    """
    # Most images are unpacked already: `run` does not pay for what unpacking needs.
    from tiffin.layer.apply import apply
    from tiffin.layer.compress import decompress
    from tiffin.layer.describe import LayerInfo
    from tiffin.snapshot.roomwatch import RoomWatch

    if not descriptor.is_layer:
        raise UnsupportedError(f"{descriptor.media_type} is not a layer that can be unpacked")
    with lock(layers.home.locks / f"layer-{diff_id.encoded}"):
        if layers.has(diff_id):
            return
        with layers.workspace() as place, fetcher.open(descriptor) as blob:
            tree = place / "tree"
            tree.mkdir()
            with decompress(blob) as stream:
                what = f"the layer {descriptor.digest.short}"
                watched = RoomWatch(stream, tree, what, layers.write_out)
                applied = apply(watched, tree, layers.owners, tell=keeps_blob)
            # What is verified while it is read is verified when it was read to its end.
            while blob.read(_CHUNK):
                pass
            if applied.diff_id != diff_id:
                raise CorruptError(
                    f"the layer {descriptor.digest.short} unpacks to {applied.diff_id.short}, "
                    f"but the image's config says {diff_id.short}"
                )
            if applied.tar is None:
                tar = layers.describe(tree).diff_id
            else:
                tar = applied.tar
                layers.write_out()  # as `describe` does
            if tar != diff_id and not keeps_blob:
                raise CorruptError(
                    f"the layer {descriptor.digest.short} is not written as tiffin writes layers"
                )
            arrived()
            layers.record_blob(descriptor, diff_id)
            info = LayerInfo(diff_id, applied.size, applied.usage)
            layers.commit(tree, info, tar=tar)
