"""What keeps what in the store: the roots of the garbage collection, and what refers to what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from tiffin.content.walk import links as references
from tiffin.errors import TiffinError
from tiffin.oci.codec import decode
from tiffin.oci.config import ImageConfig
from tiffin.oci.descriptor import CONFIGS, INDEXES, MANIFESTS
from tiffin.oci.digest import Digest
from tiffin.oci.manifest import parse_manifest
from tiffin.store import gc
from tiffin.store.gc import Node

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tiffin.engine.engine import Engine


BASE_LOCK = "tiffin.base.lock"
"""The label of a base image that names the blob with its lock."""


class _LockedPackage(msgspec.Struct):
    sha256: str


class _Lock(msgspec.Struct):
    packages: tuple[_LockedPackage, ...] = ()


def collect(engine: Engine) -> gc.Swept:
    """Delete what no name, image, container, lease or cache entry keeps, and what dead processes left."""
    engine.enter()
    return gc.collect(engine.home, engine.db, lambda: roots(engine), Links(engine))


def roots(engine: Engine, *, cache: bool = True) -> Iterator[Node]:
    """Yield what is kept for its own sake; with `cache` the results of build steps too."""
    for tag in engine.tags.all():
        yield Node("blob", tag.descriptor.digest)
    for image in engine.images.all():
        yield Node("blob", image.descriptor.digest)
    with engine.db.read() as connection:
        if cache:
            for row in connection.execute("SELECT diff_id FROM cache WHERE diff_id IS NOT NULL"):
                yield Node("layer", row[0])
        for row in connection.execute("SELECT key, kind FROM container_item"):
            yield Node(_kind(row["kind"]), row["key"])


def _kind(text: str) -> Literal["blob", "layer"]:
    return "layer" if text == "layer" else "blob"


class Links:
    """What a manifest, index or config refers to. Each blob is read once."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._types: dict[str, str] = {}
        for descriptor in (
            *(tag.descriptor for tag in engine.tags.all()),
            *(image.descriptor for image in engine.images.all()),
        ):
            self._types[descriptor.digest] = descriptor.media_type

    def __call__(self, node: Node) -> Iterable[Node]:
        """Return what `node` keeps. What is damaged or not here keeps nothing."""
        media_type = self._types.get(node.key, "")
        if node.kind == "layer":
            return ()
        try:
            if media_type in MANIFESTS | INDEXES:
                return list(self._of_document(Digest(node.key), media_type))
            if media_type in CONFIGS:
                return list(self._of_config(Digest(node.key)))
        except (TiffinError, OSError):
            return ()
        return ()

    def _of_document(self, digest: Digest, media_type: str) -> Iterator[Node]:
        data = self._engine.home.blob(digest).read_bytes()
        for descriptor in references(parse_manifest(data, media_type, f"the manifest {digest.short}")):
            self._types[descriptor.digest] = descriptor.media_type
            yield Node("blob", descriptor.digest)

    def _of_config(self, digest: Digest) -> Iterator[Node]:
        data = self._engine.home.blob(digest).read_bytes()
        config = decode(data, ImageConfig, f"the config {digest.short}")
        for diff_id in config.rootfs.diff_ids:
            yield Node("layer", diff_id)
        lock = config.config.labels.get(BASE_LOCK)
        if lock:
            yield Node("blob", lock)
            yield from self._of_lock(Digest(lock))

    def _of_lock(self, digest: Digest) -> Iterator[Node]:
        """The packages that a base was made from: with them it can be made again offline."""
        lock = decode(self._engine.home.blob(digest).read_bytes(), _Lock, f"the lock {digest.short}")
        for package in lock.packages:
            yield Node("blob", f"sha256:{package.sha256}")
