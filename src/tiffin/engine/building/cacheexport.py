"""The cache of a build as others can use it: written into the image, a folder, or a registry.

What is written is complete before it gets its name, so whoever reads meanwhile, or after this process
was killed, finds the cache that was there before.
"""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING, BinaryIO

import msgspec

from tiffin.build import cachedocument
from tiffin.build.cachedocument import CacheDocument, Record, TreeDigest
from tiffin.engine.packing import Packer
from tiffin.errors import TiffinError
from tiffin.events import Notice, StepDone, StepStarted
from tiffin.oci import codec
from tiffin.oci.descriptor import Descriptor, MediaType
from tiffin.oci.manifest import Manifest
from tiffin.snapshot.export import layer_descriptor

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from tiffin.content.protocol import Fetcher, Pusher
    from tiffin.engine.building.cacheflags import CacheTarget
    from tiffin.engine.building.caches import Solved
    from tiffin.engine.building.mountexport import PackedMount
    from tiffin.engine.engine import Engine
    from tiffin.oci.config import ImageConfig
    from tiffin.oci.digest import DiffID, Digest


def with_cache(config: ImageConfig, solved: Solved) -> ImageConfig:
    """Return the config that carries the records of the build, for `type=inline`. Pure."""
    document = msgspec.structs.replace(_document(solved, timed=False), layers=())
    return msgspec.structs.replace(config, cache=msgspec.Raw(codec.encode(document)))


def export_caches(engine: Engine, targets: Sequence[CacheTarget], solved: Solved) -> None:
    """Write the cache to each of `targets`.

    Raises what goes wrong, unless that target's errors are to be ignored.
    """
    for target in targets:
        begun, step = time.monotonic(), f"export {target.name}"
        engine.emit(StepStarted(step, f"exporting cache to {target.name}"))
        try:
            told = _export(engine, target, solved)
        except BaseException as error:
            engine.emit(StepDone(step, "failed", time.monotonic() - begun))
            if not target.ignore_error or not isinstance(error, TiffinError | OSError):
                raise
            engine.emit(Notice(f"the cache was not written to {target.name}: {error}"))
        else:
            engine.emit(StepDone(step, "done", time.monotonic() - begun, told))


def _export(engine: Engine, target: CacheTarget, solved: Solved) -> str:
    if target.folder is not None:
        from tiffin.image.layout import Layout

        layout = Layout.create(target.folder)
        # One export at a time: each removes what only the one before it needed.
        with layout.writing(), engine.layers.workspace() as place:
            outgoing = _prepare(engine, layout, target, solved, place)
            _send(engine, outgoing, layout)
            layout.replace(target.tag, outgoing.root)
        return outgoing.told
    from tiffin.engine.sending import Persistent

    assert target.reference is not None
    with engine.registries() as registries, engine.layers.workspace() as place:
        repository = registries.to_push(target.reference)
        outgoing = _prepare(engine, repository, target, solved, place)
        _send(engine, outgoing, Persistent(outgoing, repository))
        repository.tag(target.reference, outgoing.root)
    return outgoing.told


class _Outgoing:
    """A Fetcher of a cache as it is sent: its documents, layers of the store, and layers of other caches."""

    def __init__(self, engine: Engine) -> None:
        self.root = Descriptor.of(b"", "")
        self.told = ""
        self.elsewhere: dict[Digest, Fetcher] = {}
        self._documents: dict[Digest, bytes] = {}
        self._engine = engine

    def add(self, data: bytes, media_type: str) -> Descriptor:
        """Return the descriptor of a document."""
        descriptor = Descriptor.of(data, media_type)
        self._documents[descriptor.digest] = data
        return descriptor

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """A stream of the content, as `Fetcher` says."""
        if descriptor.digest in self._documents:
            return io.BytesIO(self._documents[descriptor.digest])
        return self.elsewhere.get(descriptor.digest, self._engine.fetcher).open(descriptor)


def _prepare(engine: Engine, sink: Pusher, target: CacheTarget, solved: Solved, place: Path) -> _Outgoing:
    """Return the cache as it is sent to `sink`, compressed; what is made of cache mounts lies in `place`."""
    document = _document(solved)
    outgoing, packer = _Outgoing(engine), Packer(engine, sink, target.compression)
    made = _made(document.records)
    packed: dict[DiffID, Descriptor] = {}
    for diff_id in solved.diff_ids if target.mode == "min" else made:
        if diff_id in made and (descriptor := _pack(engine, packer, diff_id, solved, outgoing)):
            packed[diff_id] = descriptor
    steps = len(packed)
    mounts = _pack_mounts(engine, target, solved, place) if target.mounts else ()
    for mount in mounts:
        packed[mount.saved.layer] = mount.descriptor
        outgoing.elsewhere[mount.descriptor.digest] = mount
    document = msgspec.structs.replace(
        document, layers=tuple(packed), mounts=tuple(mount.saved for mount in mounts)
    )
    config = outgoing.add(codec.encode(document), cachedocument.CONFIG)
    layers = tuple(packed.values()) or (outgoing.add(b"{}", MediaType.OCI_EMPTY),)
    manifest = Manifest(config, layers, artifact_type=cachedocument.ARTIFACT)
    outgoing.root = outgoing.add(codec.encode(manifest), manifest.media_type)
    outgoing.told = f"{len(document.records)} steps, {steps} layers"
    outgoing.told += f", {len(mounts)} cache mounts" if target.mounts else ""
    return outgoing


def _pack_mounts(engine: Engine, target: CacheTarget, solved: Solved, place: Path) -> tuple[PackedMount, ...]:
    from tiffin.engine.building.mountexport import pack_mounts

    return tuple(pack_mounts(engine, solved.mounts, target.compression, place))


def _send(engine: Engine, outgoing: _Outgoing, sink: Pusher) -> None:
    from tiffin.content.copy import copy_graph

    copy_graph(outgoing, sink, outgoing.root, emit=engine.emit, group="cache")


def _pack(
    engine: Engine, packer: Packer, diff_id: DiffID, solved: Solved, outgoing: _Outgoing
) -> Descriptor | None:
    """Return the layer as a blob; None for one that is nowhere: its record goes without it."""
    if engine.layers.has(diff_id):
        return packer.pack(layer_descriptor(engine.layers, diff_id), diff_id).bare()
    found = solved.imported.place(diff_id) if solved.imported else None
    if found is None:
        return None
    descriptor, outgoing.elsewhere[found[0].digest] = found
    return descriptor


def _document(solved: Solved, *, timed: bool = True) -> CacheDocument:
    """Return the records of a build, without what differs from one build of the same to the next. Pure."""
    records = {
        result.key: Record(result.key, result.layer, round(result.seconds, 3) if timed else 0.0)
        for _, result in sorted(solved.results.items())
        if result.key
    }
    digests = [TreeDigest(*place, digest) for place, digest in sorted(solved.digests.items())]
    return CacheDocument(records=tuple(records.values()), digests=tuple(digests))


def _made(records: Iterable[Record]) -> dict[DiffID, None]:
    return {record.layer: None for record in records if record.layer is not None}
