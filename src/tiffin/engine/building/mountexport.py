"""Cache mounts on their way to another machine: the content of each as a compressed layer."""

from __future__ import annotations

import io
import shutil
import time
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from tiffin.build.cachedocument import SavedMount
from tiffin.build.ops.cachemounts import CacheMounts, key
from tiffin.engine.packing import TYPES
from tiffin.errors import TiffinError
from tiffin.events import Notice, StepDone, StepProgress, StepStarted
from tiffin.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tiffin.build.graph import CacheMount
    from tiffin.build.reading import Shown
    from tiffin.engine.engine import Engine
    from tiffin.engine.packing import Compression
    from tiffin.oci.digest import DiffID

_CHUNK = 1 << 20


class PackedMount(NamedTuple):
    """A cache mount as a layer, and a Fetcher of that: its blob lies in the file `blob`."""

    saved: SavedMount
    descriptor: Descriptor
    blob: Path

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """A stream of the content, as `Fetcher` says."""
        del descriptor  # there is one
        return self.blob.open("rb")


def pack_mounts(
    engine: Engine, mounts: Iterable[tuple[CacheMount, Shown | None]], compression: Compression, place: Path
) -> Iterator[PackedMount]:
    """Pack each of `mounts` that there is into a file in `place`.

    One that a step uses now is left out with a notice: waiting for it, or holding it up, would
    be worse. So is one that holds what no layer can.
    """
    caches = CacheMounts(engine.layers, engine.settings.epoch)
    for wanted, (mount, shown) in {key(*each): each for each in mounts}.items():
        begun, step = time.monotonic(), f"pack {wanted}"
        with caches.alone(mount, shown) as data:
            if data is None:
                engine.emit(Notice(f"the cache mount {mount.id} is in use or gone, and is not exported"))
                continue
            engine.emit(StepStarted(step, f"packing cache mount {mount.id}"))
            try:
                descriptor, diff_id = _pack(engine, data, compression, place / wanted)
            except (TiffinError, OSError) as error:
                engine.emit(StepDone(step, "done", time.monotonic() - begun, "not exported"))
                engine.emit(Notice(f"the cache mount {mount.id} is not exported: {error}"))
                continue
            engine.emit(StepProgress(step, descriptor.size, descriptor.size))
            engine.emit(StepDone(step, "done", time.monotonic() - begun))
        yield PackedMount(SavedMount(wanted, mount.id, diff_id), descriptor, place / wanted)


def _pack(engine: Engine, data: Path, compression: Compression, blob: Path) -> tuple[Descriptor, DiffID]:
    from tiffin.layer.compress import compress
    from tiffin.layer.tar import open_tar

    with (
        open_tar(data, engine.layers.owners) as plain,
        compress(plain, compression.kind, compression.level) as packed,
        blob.open("wb") as file,
    ):
        shutil.copyfileobj(io.BufferedReader(packed, _CHUNK), file, _CHUNK)
        return Descriptor(TYPES[compression.kind][0], packed.digest, packed.size), packed.diff_id
