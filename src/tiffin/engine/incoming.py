"""The parts of a pull: look here first, and unpack each layer as soon as it has arrived."""

from __future__ import annotations

import io
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final

from tiffin.content.verify import fetch_bytes
from tiffin.errors import CorruptError, NotFoundError, UnsupportedError
from tiffin.events import StepDone, StepStarted
from tiffin.image.view import open_image
from tiffin.oci.descriptor import CONFIGS, Descriptor
from tiffin.oci.manifest import LIMIT, parse_manifest
from tiffin.snapshot.unpack import unpack_layer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiffin.content.protocol import Fetcher
    from tiffin.engine.engine import Engine
    from tiffin.image.view import FetchedImage
    from tiffin.oci.digest import DiffID, Digest
    from tiffin.oci.platform import Platform

_TURN: Final = 0.0005  # seconds


@contextmanager
def turns() -> Iterator[None]:
    """Let threads take turns more often than usual for the time of the block.

    A thread that receives gives its turn away with each piece. Beside one that unpacks it would wait the
    usual 5 ms for the next, and so the network would stand still for most of the time.
    """
    usual = sys.getswitchinterval()
    sys.setswitchinterval(_TURN)
    try:
        yield
    finally:
        sys.setswitchinterval(usual)


class LocalFirst:
    """A Fetcher of what is in the store, and else of what a registry has; documents are fetched once."""

    def __init__(self, engine: Engine, remote: Fetcher) -> None:
        self.documents: dict[Descriptor, bytes] = {}
        self._engine = engine
        self._remote = remote
        self._lock = threading.Lock()

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """A stream of the content, as `Fetcher` says."""
        document = descriptor.is_index or descriptor.is_manifest or descriptor.media_type in CONFIGS
        if self._engine.blobs.has(descriptor):
            return self._engine.blobs.open(descriptor)
        if not document:
            return self._remote.open(descriptor)
        with self._lock:
            bare = descriptor.bare()
            if bare not in self.documents:
                self.documents[bare] = fetch_bytes(self._remote, bare)
            return io.BytesIO(self.documents[bare])


class Unpacking:
    """A Pusher into the store, for one image: a layer is there when its blob is, and is unpacked too."""

    def __init__(self, engine: Engine, image: FetchedImage) -> None:
        self._engine = engine
        self._diff_ids: dict[Digest, DiffID] = {
            layer.descriptor.digest: layer.diff_id for layer in image.layers
        }

    def has(self, descriptor: Descriptor) -> bool:
        """The content is here, and so is the layer that it unpacks to."""
        diff_id = self._diff_ids.get(descriptor.digest)
        unpacked = diff_id is None or self._engine.layers.has(diff_id)
        return unpacked and self._engine.blobs.has(descriptor)

    def push(self, descriptor: Descriptor, stream: BinaryIO) -> None:
        """Take the content, verified, and then unpack it."""
        engine = self._engine
        engine.blobs.push(descriptor, stream)
        diff_id = self._diff_ids.get(descriptor.digest)
        if diff_id is None:
            return
        if engine.layers.has(diff_id):
            engine.layers.record_blob(descriptor.bare(), diff_id)
            return
        begun = time.monotonic()
        step = f"unpack {descriptor.digest}"
        engine.emit(StepStarted(step, f"unpack {descriptor.digest.short}"))
        try:
            unpack_layer(engine.fetcher, descriptor, diff_id, engine.layers)
        except BaseException:
            engine.emit(StepDone(step, "failed", time.monotonic() - begun))
            raise
        engine.emit(StepDone(step, "done", time.monotonic() - begun))


def present(engine: Engine, digest: Digest, platform: Platform) -> tuple[Descriptor, FetchedImage] | None:
    """What `digest` names, and its image for `platform`, if all of it is in the store. Asks no network."""
    size = engine.blobs.size(digest)
    if size is None or size > LIMIT:
        return None
    try:
        data = engine.blobs.read(Descriptor("", digest, size))
        media_type = parse_manifest(data, "", f"manifest {digest}").media_type
        root = Descriptor(media_type, digest, size)
        image = open_image(engine.fetcher, root, platform)
    except (NotFoundError, CorruptError, UnsupportedError):
        return None
    for layer in image.layers:
        if not engine.layers.has(layer.diff_id) and not engine.blobs.has(layer.descriptor):
            return None
    return root, image
