"""What keeps what in the store: the roots of the garbage collection, and what refers to what."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, Literal

import msgspec

from tiffin.container.lending import take_back
from tiffin.content.walk import links as references
from tiffin.engine.standing import LOCK
from tiffin.errors import TiffinError
from tiffin.linux.files import remove_lock
from tiffin.linux.remove import remove_tree
from tiffin.oci.codec import decode
from tiffin.oci.config import ImageConfig
from tiffin.oci.descriptor import CONFIGS, INDEXES, MANIFESTS
from tiffin.oci.digest import Digest
from tiffin.oci.manifest import LIMIT, parse_manifest
from tiffin.store import gc
from tiffin.store.gc import Node

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tiffin.engine.engine import Engine


_HOUR = 3600
BASE_LOCK = "tiffin.base.lock"
"""The label of a base image that names the blob with its lock."""
SHIFTED = "shifted"
"""Where copies of layers with other owners lie."""


class _LockedPackage(msgspec.Struct):
    sha256: str


class _Lock(msgspec.Struct):
    packages: tuple[_LockedPackage, ...] = ()


def collect(engine: Engine) -> gc.Swept:
    """Delete what no name, image, container, lease or cache entry keeps, and what dead processes left."""
    engine.enter()
    swept = gc.collect(engine.home, engine.db, lambda: roots(engine), Links(engine))
    if (engine.home.root / SHIFTED).exists():
        from tiffin.engine.shifted import sweep  # few containers need such copies

        sweep(engine)
    _sweep_locks(engine)
    return swept._replace(leftovers=swept.leftovers + _sweep_containers(engine))


def _sweep_locks(engine: Engine) -> None:
    """Remove the locks of containers that are no more; the newest may be about to be recorded."""
    with engine.db.read() as connection:
        known = {f"{LOCK}{row[0][:12]}" for row in connection.execute("SELECT id FROM container")}
    oldest = time.time() - _HOUR
    for path in engine.home.locks.glob(f"{LOCK}*"):
        with contextlib.suppress(FileNotFoundError):
            if path.name not in known and path.lstat().st_ctime < oldest:
                remove_lock(path)


def _sweep_containers(engine: Engine) -> int:
    """Remove directories of containers that were never recorded, or not wholly removed; how many."""
    with engine.db.read() as connection:
        known = {row[0] for row in connection.execute("SELECT id FROM container")}
    strays = [path for path in engine.home.containers.iterdir() if path.name not in known]
    strays += (engine.home.root / "volumes").glob(".*")  # volumes that were never wholly made, or removed
    oldest = time.time() - _HOUR  # a younger one may be about to be recorded
    count = 0
    for path in strays:
        with contextlib.suppress(FileNotFoundError):  # others sweep too
            if path.lstat().st_ctime < oldest:
                take_back(path)  # volumes that lie in it are somebody's
                remove_tree(path)
                count += 1
    return count


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
    """What a manifest, index or config refers to. Each blob is read once.

    Good for one collection: what has a name is looked up at the first question, which comes
    from within the transaction of the sweep. Earlier, a name might be given in between.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._types: dict[str, str] = {}

    def __call__(self, node: Node) -> Iterable[Node]:
        """Return what `node` keeps. What is damaged or not here keeps nothing."""
        if not self._types:
            self._types = self._named()
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

    def _named(self) -> dict[str, str]:
        """The media types of all manifests and indexes that are kept for their own sake."""
        descriptors = (
            *(tag.descriptor for tag in self._engine.tags.all()),
            *(image.descriptor for image in self._engine.images.all()),
        )
        return {str(descriptor.digest): descriptor.media_type for descriptor in descriptors}

    def _of_document(self, digest: Digest, media_type: str) -> Iterator[Node]:
        data = _read(self._engine, digest)
        for descriptor in references(parse_manifest(data, media_type, f"the manifest {digest.short}")):
            self._types[descriptor.digest] = descriptor.media_type
            yield Node("blob", descriptor.digest)

    def _of_config(self, digest: Digest) -> Iterator[Node]:
        data = _read(self._engine, digest)
        config = decode(data, ImageConfig, f"the config {digest.short}")
        for diff_id in config.rootfs.diff_ids:
            yield Node("layer", diff_id)
        for locked_blob in locked(self._engine, config.config.labels.get(BASE_LOCK, "")):
            yield Node("blob", locked_blob)


def locked(engine: Engine, label: str) -> list[Digest]:
    """The lock of a base, and the packages that it was made from: with them it can be made again offline.

    Labels are inherited and anybody can write them: what says nothing of the kind gives nothing.
    """
    try:
        digest = Digest(label)
        lock = decode(_read(engine, digest), _Lock, f"the lock {digest.short}")
        return [digest, *(Digest(f"sha256:{each.sha256}") for each in lock.packages)]
    except (TiffinError, OSError):
        return []


def _read(engine: Engine, digest: Digest) -> bytes:
    """The blob; empty if it is too large for any document, whatever a manifest or a label calls it."""
    size = engine.blobs.size(digest) or 0
    return engine.home.blob(digest).read_bytes() if size <= LIMIT else b""
