"""The parts of a pull: look here first, and unpack each layer as soon as it has arrived."""

from __future__ import annotations

import errno
import io
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO, Final

from tiffin.content.verify import VerifyingReader, fetch_bytes
from tiffin.engine.arriving import Arrival
from tiffin.errors import CorruptError, NotFoundError, UnsupportedError
from tiffin.events import StepDone, StepStarted
from tiffin.image.view import open_image
from tiffin.oci.descriptor import CONFIGS, Descriptor
from tiffin.oci.manifest import LIMIT, parse_manifest
from tiffin.snapshot.unpack import unpack_layer
from tiffin.store.partials import Partials

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from tiffin.content.protocol import Fetcher
    from tiffin.engine.arriving import Remote
    from tiffin.engine.engine import Engine
    from tiffin.image.view import FetchedImage
    from tiffin.oci.digest import DiffID, Digest
    from tiffin.oci.platform import Platform
    from tiffin.store.partials import Partial

_CHUNK: Final = 1 << 20
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
        self.fetched: set[Digest] = set()
        """The configs that came just now, and are in the store already."""
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
                self.documents[bare] = self._fetch(bare)
            return io.BytesIO(self.documents[bare])

    def _fetch(self, descriptor: Descriptor) -> bytes:
        if descriptor.media_type not in CONFIGS or descriptor.size > LIMIT:
            return fetch_bytes(self._remote, descriptor)
        with Partials(self._engine.home).claim(descriptor, lambda _received: None):
            if self._engine.blobs.has(descriptor):  # another process was faster
                return self._engine.blobs.read(descriptor)
            data = fetch_bytes(self._remote, descriptor)
            self._engine.blobs.push(descriptor, io.BytesIO(data))
            self.fetched.add(descriptor.digest)
            return data


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
        self._engine.blobs.push(descriptor, stream)
        self._unpack(descriptor)

    def _unpack(self, descriptor: Descriptor) -> None:
        """Unpack the blob, which is here, if it is a layer that is not."""
        engine = self._engine
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


class Arriving(Unpacking):
    """The same for an image of a registry: each blob is fetched once, also for several processes.

    A layer is unpacked while it comes; what a process that died had fetched is not asked for again.
    """

    def __init__(
        self, engine: Engine, image: FetchedImage, remote: Remote, fetched: Collection[Digest] = ()
    ) -> None:
        super().__init__(engine, image)
        self._remote = remote
        self._fetched = fetched  # to be told of as what this pull has fetched
        self._partials = Partials(engine.home)

    def has(self, descriptor: Descriptor) -> bool:
        """The content is here, and was before; and so is the layer that it unpacks to."""
        return descriptor.digest not in self._fetched and super().has(descriptor)

    def take(self, source: Fetcher, descriptor: Descriptor, told: Callable[[int], None]) -> bool:
        """Have the blob, verified, and the layer that it unpacks to; whether anything was fetched."""
        if descriptor.media_type in CONFIGS:  # which came with the manifest
            with source.open(descriptor) as stream:
                self.push(descriptor, stream)
            return True
        with self._partials.claim(descriptor, told) as partial:
            if self._engine.blobs.has(descriptor):  # another was faster
                self._unpack(descriptor)
                return False
            try:
                self._receive(partial, descriptor, told)
            except CorruptError:
                resumed = bool(partial.kept)
                partial.clear()
                if not resumed:
                    raise
                # What was here already may have come from a place that lies.
                self._receive(partial, descriptor, told)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EDQUOT):
                    partial.clear()
                raise
        return True

    def _receive(self, partial: Partial, descriptor: Descriptor, told: Callable[[int], None]) -> None:
        engine = self._engine
        diff_id = self._diff_ids.get(descriptor.digest)
        with Arrival(self._remote, descriptor, partial, told) as arrival:
            opened = _Once(VerifyingReader(arrival.stream(), descriptor))

            def arrived() -> None:
                self._partials.commit(partial, descriptor)

            if diff_id is not None and not engine.layers.has(diff_id):
                unpack_layer(opened, descriptor.bare(), diff_id, engine.layers, arrived=arrived)
            if opened.fresh:  # nothing was to be unpacked, or another process was faster
                with opened.open(descriptor) as stream:
                    while stream.read(_CHUNK):
                        pass
                arrived()
                if diff_id is not None:
                    engine.layers.record_blob(descriptor.bare(), diff_id)


class _Once:
    """A Fetcher of one stream, which can be had once."""

    def __init__(self, stream: BinaryIO) -> None:
        self.fresh = True
        self._stream = stream

    def open(self, descriptor: Descriptor) -> BinaryIO:  # noqa: ARG002  # there is but one
        """The stream."""
        self.fresh = False
        return self._stream


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
