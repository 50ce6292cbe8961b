"""Caches of other machines, asked for what is not remembered here.

None is opened before the first step misses. A layer is fetched when something has to look into it: a
step that runs, a digest that nobody took yet, the result. A cache that cannot be read, or that lies
about a layer, is told of once and is a miss from then on: it may cost time, never the build.
"""

from __future__ import annotations

import errno
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from tiffin.build.canceled import Canceled, LayerLost
from tiffin.errors import CorruptError, TiffinError
from tiffin.events import Notice, StepDone, StepProgress, StepStarted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from tiffin.build.cachedocument import Cache, Record
    from tiffin.content.protocol import Fetcher
    from tiffin.events import Emit
    from tiffin.oci.descriptor import Descriptor
    from tiffin.oci.digest import DiffID
    from tiffin.snapshot.layers import LayerStore

_DISK = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE))
"""What is wrong here, and not with the cache."""


class Opened(NamedTuple):
    """A cache that was read, the place that its layers are in, and whether its cache mounts are wanted."""

    cache: Cache
    fetcher: Fetcher
    mounts: bool = True


class Import(NamedTuple):
    """A cache that may be read: what to call it, and how."""

    name: str
    open: Callable[[], Opened]


class ImportedCaches:
    """The caches of one build, the first of them first. Safe for threads."""

    def __init__(self, imports: Sequence[Import], layers: LayerStore, emit: Emit) -> None:
        self._imports = imports
        self._layers = layers
        self._emit = emit
        self._guard = threading.Lock()
        self._opened: list[tuple[str, Opened]] | None = None
        self._lost: set[DiffID] = set()
        self._stop = threading.Event()

    def stop(self) -> None:
        """Break off what is being fetched."""
        self._stop.set()

    def record(self, key: str) -> Record | None:
        """Return what a cache says of the step with this key, if possible one that has the layer too."""
        found = None
        for _, opened in self._caches():
            record = opened.cache.records.get(key)
            if record is None or record.layer in self._lost:
                continue
            if record.layer is None or record.layer in opened.cache.layers:
                return record
            found = found or record
        return found

    def digest(self, chain: str, selector: str) -> str | None:
        """Return the digest of a selection of a stack of layers, if some cache knows it."""
        for _, opened in self._caches():
            if digest := opened.cache.digests.get((chain, selector)):
                return digest
        return None

    def place(self, diff_id: DiffID) -> tuple[Descriptor, Fetcher] | None:
        """Return where the layer is, as a blob; None if no cache has it."""
        for _, opened in self._caches():
            if descriptor := opened.cache.layers.get(diff_id):
                return descriptor, opened.fetcher
        return None

    def fetch(self, diff_id: DiffID) -> None:
        """Bring the layer into the store. Raises LayerLost if no cache has it, or none has it right."""
        from tiffin.snapshot.unpack import unpack_layer

        for name, opened in self._caches():
            descriptor = opened.cache.layers.get(diff_id)
            if descriptor is None or diff_id in self._lost:
                continue
            source = self._source(descriptor, opened.fetcher)
            unpack = partial(unpack_layer, source, descriptor, diff_id, self._layers, keeps_blob=False)
            if self._attempt(name, descriptor, unpack):
                return
        self._lost.add(diff_id)
        raise LayerLost(diff_id)

    def restore(self, key: str, into: Path) -> bool:
        """Make the directory `into` with what the cache mount `key` holds; False if no cache has it."""
        from tiffin.linux.remove import remove_tree

        for name, opened in self._caches():
            mount = opened.cache.mounts.get(key) if opened.mounts else None
            descriptor = opened.cache.layers.get(mount.layer) if mount else None
            if mount is None or descriptor is None:
                continue
            source = self._source(descriptor, opened.fetcher)
            into.mkdir()
            if self._attempt(name, descriptor, partial(self._apply, source, descriptor, mount.layer, into)):
                return True
            remove_tree(into)
        return False

    def _apply(self, source: Fetcher, descriptor: Descriptor, diff_id: DiffID, into: Path) -> None:
        from tiffin.layer.apply import apply
        from tiffin.layer.compress import decompress

        with source.open(descriptor) as blob, decompress(blob) as stream:
            applied = apply(stream, into, self._layers.owners)
        if applied.diff_id != diff_id:
            raise CorruptError(
                f"the content of a cache mount is {applied.diff_id.short}, not {diff_id.short}"
            )

    def _caches(self) -> list[tuple[str, Opened]]:
        with self._guard:
            if self._opened is None:
                found = [(each.name, self._open(each)) for each in self._imports]
                self._opened = [(name, opened) for name, opened in found if opened is not None]
            return self._opened

    def _open(self, wanted: Import) -> Opened | None:
        begun, step = time.monotonic(), f"import {wanted.name}"
        self._emit(StepStarted(step, f"importing cache manifest from {wanted.name}"))
        try:
            opened = wanted.open()
        except (TiffinError, OSError) as error:
            self._emit(StepDone(step, "done", time.monotonic() - begun, "not used"))
            reason = error.message if isinstance(error, TiffinError) else str(error)
            self._emit(Notice(f"the cache {wanted.name} is not used: {reason}"))
            return None
        told = f"{len(opened.cache.records)} steps, {len(opened.cache.layers)} layers"
        self._emit(StepDone(step, "done", time.monotonic() - begun, told))
        return opened

    def _attempt(self, name: str, descriptor: Descriptor, action: Callable[[], None]) -> bool:
        """Whether `action`, which takes in a blob of the cache `name`, went well."""
        begun, step = time.monotonic(), f"import {descriptor.digest}"
        self._emit(StepStarted(step, f"importing layer {descriptor.digest.short} from {name}"))
        status = StepDone(step, "canceled")
        try:
            action()
            status = StepDone(step, "done")
        except (TiffinError, OSError) as error:
            status = StepDone(step, "done", detail="not used")
            if isinstance(error, OSError) and error.errno in _DISK:
                raise
            reason = error.message if isinstance(error, TiffinError) else str(error)
            self._emit(Notice(f"a layer of the cache {name} is not used: {reason}"))
            return False
        finally:
            self._emit(status._replace(seconds=time.monotonic() - begun))
        return True

    def _source(self, descriptor: Descriptor, fetcher: Fetcher) -> Fetcher:
        def told(count: int) -> None:
            if self._stop.is_set():
                raise Canceled
            self._emit(StepProgress(f"import {descriptor.digest}", count, descriptor.size))

        return _Checking(fetcher, told)


class _Checking(NamedTuple):
    """A Fetcher that verifies what it gives, and tells how far it is."""

    fetcher: Fetcher
    told: Callable[[int], None]

    def open(self, descriptor: Descriptor) -> BinaryIO:
        """A stream of the content, as `Fetcher` says."""
        import io

        from tiffin.content.copy import Watched
        from tiffin.content.verify import VerifyingReader

        checked = VerifyingReader(self.fetcher.open(descriptor), descriptor)
        return io.BufferedReader(Watched(checked, self.told, owns=True), 1 << 20)
