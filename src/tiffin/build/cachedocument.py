"""The build cache as a document: what travels to other machines. Pure.

A cache is a manifest whose config is a `CacheDocument` and whose layers are those that the document
lists, in its order. As every key is made of content, a record is true wherever the same step stands on
the same files: it says which layer the step makes. The layer itself may be left out (`mode=min` leaves
out those that the result does not have): then the record still leads past the step, as long as
nobody has to look into the layer.

An image carries the same document in its config, with the image's own layers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec

from tiffin.errors import CorruptError, NotFoundError
from tiffin.oci.codec import LIMIT, decode
from tiffin.oci.digest import DiffID

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tiffin.oci.descriptor import Descriptor

ARTIFACT = "application/vnd.tiffin.cache.v1"
CONFIG = "application/vnd.tiffin.cache.config.v1+json"
VERSION = 1


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a step with this key makes: a layer, or None if it changes nothing; `seconds` is what it took."""

    key: str
    layer: DiffID | None = None
    seconds: float = 0.0


class TreeDigest(msgspec.Struct, frozen=True):
    """The digest of what `selector` names in a stack of layers: with it nobody has to look into them."""

    chain: str
    selector: str
    digest: str


class SavedMount(msgspec.Struct, frozen=True):
    """The content of a cache mount, as a layer: the key of the mount, and the id that the user gave."""

    key: str
    id: str
    layer: DiffID


class CacheDocument(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything but the layers themselves."""

    version: Literal[1] = msgspec.field(default_factory=lambda: 1)
    layers: tuple[DiffID, ...] = ()
    records: tuple[Record, ...] = ()
    digests: tuple[TreeDigest, ...] = ()
    mounts: tuple[SavedMount, ...] = ()


class Cache(NamedTuple):
    """A cache as it was read: the parts of its document by what they are asked for."""

    records: dict[str, Record]
    digests: dict[tuple[str, str], str]
    mounts: dict[str, SavedMount]
    layers: dict[DiffID, Descriptor]


def read_document(data: bytes, layers: Sequence[Descriptor], diff_ids: Sequence[DiffID], what: str) -> Cache:
    """Return the cache in `data`, with its `layers`. Raises CorruptError if it contradicts itself.

    They unpack to `diff_ids`; without any, to those that the document lists.
    """
    document = decode(data, CacheDocument, what, limit=LIMIT)
    diff_ids = diff_ids or document.layers
    if len(diff_ids) > len(layers):
        raise CorruptError(f"{what} speaks of {len(diff_ids)} layers, but there are {len(layers)}")
    odd = [layer.media_type for layer in layers[: len(diff_ids)] if not layer.is_layer]
    if odd:
        raise CorruptError(f"{what} has a layer of the type {odd[0][:80]}")
    return Cache(
        {record.key: record for record in document.records},
        {(each.chain, each.selector): each.digest for each in document.digests},
        {mount.key: mount for mount in document.mounts},
        {diff_id: layer.bare() for diff_id, layer in zip(diff_ids, layers, strict=False)},
    )


def no_cache(what: str, found: str) -> NotFoundError:
    """Return the error for something of the type `found` in which there is no cache of ours."""
    if "buildkit.cacheconfig" in found:
        return NotFoundError(
            f"{what} is a cache of BuildKit, whose keys mean nothing here",
            code="no-cache",
            hint="write one with --cache-to, under a name of its own",
        )
    return NotFoundError(
        f"{what} carries no build cache",
        code="no-cache",
        hint="build it with --cache-to type=inline, or write a cache beside it with type=registry",
    )
