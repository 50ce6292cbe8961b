"""Layers as blobs: a place that makes a layer's tar from its directory, only when someone asks.

A manifest built here names its layers by their uncompressed tars, whose
digests are the diff ids; nothing but the directory is kept of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.digest import DiffID

if TYPE_CHECKING:
    from tiffin.snapshot.layers import LayerStore
    from tiffin.store.blobs import BlobStore


class LayerFetcher:
    """A Fetcher over the blobs of the store and, for layers that are no blobs, their directories."""

    def __init__(self, blobs: BlobStore, layers: LayerStore) -> None:
        self._blobs = blobs
        self._layers = layers

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """Return a stream of the content. Raises NotFoundError."""
        if self._blobs.size(descriptor.digest) is None and descriptor.is_layer:
            diff_id = DiffID(descriptor.digest)
            if self._layers.is_canonical(diff_id):
                from tiffin.layer.tar import open_tar  # only archives and pushes need it

                return open_tar(self._layers.path(diff_id), self._layers.owners)
        return self._blobs.open(descriptor)


def layer_descriptor(layers: LayerStore, diff_id: DiffID) -> Descriptor:
    """Return how a manifest names the layer: its blob, if it came as one, else its tar."""
    if layers.is_canonical(diff_id):
        return Descriptor(MediaType.OCI_LAYER, diff_id, layers.size(diff_id))
    return layers.blob_of(diff_id)
