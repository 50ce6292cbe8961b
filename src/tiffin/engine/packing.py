"""The form in which an image leaves; layers built here become compressed blobs for it, each of them once."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from tiffin.engine.room import foresee
from tiffin.errors import CorruptError
from tiffin.events import StepDone, StepProgress, StepStarted
from tiffin.oci.descriptor import FOREIGN_LAYERS, Descriptor, MediaType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tiffin.content.protocol import Pusher
    from tiffin.engine.ahead import Ahead, Sent
    from tiffin.engine.annotations import Annotated
    from tiffin.engine.engine import Engine
    from tiffin.engine.sending import BeforeTag
    from tiffin.layer.compress import Kind
    from tiffin.oci.digest import DiffID
    from tiffin.oci.platform import Platform

_LARGE: Final = 8 << 20  # bytes before compression: less is sent faster when it is known
_PLAIN: Final = (MediaType.OCI_LAYER, MediaType.DOCKER_LAYER)
_DOCKER: Final = (MediaType.DOCKER_LAYER, MediaType.DOCKER_LAYER_GZIP, MediaType.DOCKER_LAYER_ZSTD)
TYPES: Final = {
    "none": _PLAIN,
    "gzip": (MediaType.OCI_LAYER_GZIP, MediaType.DOCKER_LAYER_GZIP),
    "zstd": (MediaType.OCI_LAYER_ZSTD, MediaType.DOCKER_LAYER_ZSTD),
}
KINDS: Final[dict[str, Kind]] = {"gzip": "gzip", "zstd": "zstd", "uncompressed": "none"}
"""The words that options have for them."""


class Compression(NamedTuple):
    """How layers are compressed; with `force` also those that are compressed in another way already."""

    kind: Kind = "gzip"
    level: int | None = None
    force: bool = False


def compression(word: str, level: int | None, *, force: bool) -> Compression:
    """Return what a word of KINDS means. Raises InvalidError for a level that it has not got."""
    if level is not None:
        from tiffin.layer.compress import check_level  # few ask for a level

        check_level(KINDS[word], level)
    return Compression(KINDS[word], level, force)


class Form(NamedTuple):
    """How an image is written down: how its layers are packed, in whose words, with which annotations.

    `compression` None leaves layers as they are; `docker` writes Docker's media types.
    """

    compression: Compression | None = None
    docker: bool = False
    annotations: tuple[Annotated, ...] = ()


class PushOptions(NamedTuple):
    """How an image is sent: of an index that for `platform` alone; with big layers as several.

    `compression` None is gzip, which leaves alone what is compressed already. `before_tag` as in `send`.
    """

    platform: Platform | None = None
    split: bool = False
    compression: Compression | None = None
    before_tag: BeforeTag | None = None


_THIRD: Final = 3  # of a layer is left when it is compressed, or more
AS_IT_IS: Final = PushOptions()
"""How an image is sent if nobody asks for anything."""


class Packer:
    """Makes the blobs of layers that go to `sink`.

    A layer that was compressed before is not compressed again while the store or the sink has it. With
    `ahead` a large one is sent while it is compressed.
    """

    def __init__(
        self,
        engine: Engine,
        sink: Pusher,
        compression: Compression | None = None,
        ahead: Ahead | None = None,
    ) -> None:
        self._ahead = ahead
        self._engine = engine
        self._sink = sink
        self._compression = compression or Compression()

    def pack(self, descriptor: Descriptor, diff_id: DiffID) -> Descriptor:
        """The descriptor of the layer as it is sent; its blob is in the store, or in the sink already."""
        wanted = self._compression
        if descriptor.media_type not in _PLAIN and not wanted.force:
            return descriptor
        if descriptor.media_type in FOREIGN_LAYERS:
            return descriptor
        docker = descriptor.media_type in _DOCKER
        media_type = TYPES[wanted.kind][docker]
        if descriptor.media_type == media_type and wanted.level is None:
            return descriptor
        if wanted.kind == "none" and self._engine.layers.is_canonical(diff_id):
            return Descriptor(media_type, diff_id, self._engine.layers.size(diff_id))
        known = None if wanted.level is not None else known_blob(self._engine, diff_id, wanted.kind)
        if known is not None:
            known = Descriptor(media_type, known.digest, known.size)
            if self._engine.blobs.has(known) or self._sink.has(known):
                return known
        return self._compress(descriptor, media_type, diff_id)

    def _compress(self, descriptor: Descriptor, media_type: str, diff_id: DiffID) -> Descriptor:
        from tiffin.layer.compress import compress

        engine, wanted = self._engine, self._compression
        foresee(
            engine, engine.home.root, descriptor.size // _THIRD, f"the compressed {descriptor.digest.short}"
        )
        begun, step = time.monotonic(), f"compress {descriptor.digest}"
        engine.emit(StepStarted(step, f"compress {descriptor.digest.short}"))
        try:
            with (
                self._plain(descriptor) as plain,
                compress(plain, wanted.kind, wanted.level, named=False) as packed,
                self._sent(descriptor) as sent,
            ):
                written = engine.blobs.ingest(packed, growing=sent.growing if sent else None)
                _compare(diff_id, packed.diff_id)
                if sent is not None:
                    sent.found.set_result(written)
        except BaseException:
            engine.emit(StepDone(step, "failed", time.monotonic() - begun))
            raise
        engine.emit(StepProgress(step, descriptor.size, descriptor.size))
        engine.emit(StepDone(step, "done", time.monotonic() - begun))
        found = Descriptor(media_type, written.digest, written.size)
        # Remembered is only what is the same for everyone: another level would change what later pushes
        # send, and another form of a layer that came compressed what later builds on it are.
        if wanted.level is None and engine.layers.is_canonical(diff_id):
            engine.layers.record_blob(found, diff_id)
        return found

    @contextlib.contextmanager
    def _plain(self, descriptor: Descriptor) -> Iterator[BinaryIO]:
        """The tar of a layer: from its directory, or from its blob, which may be compressed after all."""
        from tiffin.layer.compress import decompress

        with self._engine.fetcher.open(descriptor) as stored:
            if self._engine.blobs.size(descriptor.digest) is None:
                yield stored
                return
            with decompress(stored) as plain:
                yield plain

    @contextlib.contextmanager
    def _sent(self, layer: Descriptor) -> Iterator[Sent | None]:
        """What follows the blob to where it is sent; nothing comes of it if the block fails."""
        if self._ahead is None or layer.size < _LARGE:
            yield None
            return
        sent = self._ahead.begin(layer)
        try:
            yield sent
        except BaseException:
            sent.growing.give_up()
            sent.found.cancel()
            raise


def known_blob(engine: Engine, diff_id: DiffID, kind: Kind = "gzip") -> Descriptor | None:
    """A blob of that compression that unpacks to the layer, if one was recorded."""
    types = TYPES[kind]
    return next((found for found in engine.layers.blobs_of(diff_id) if found.media_type in types), None)


def _compare(wanted: DiffID, found: DiffID) -> None:
    if found != wanted:
        raise CorruptError(
            f"the layer {wanted.short} was changed on disk: its tar is {found.short} now",
            code="layer-changed",
            hint="build the image again with --no-cache",
        )
