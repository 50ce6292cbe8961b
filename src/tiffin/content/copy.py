"""Copy an image, or an index of images, from any source to any sink.

What refers is pushed after what it refers to, so a sink never holds a manifest
whose layers are missing, whenever the copy ends.
"""

from __future__ import annotations

import io
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple, Protocol, runtime_checkable

from tiffin.content.verify import fetch_bytes
from tiffin.content.walk import check_documents, links
from tiffin.errors import CorruptError, FailedError
from tiffin.events import Emit, StepDone, StepProgress, StepStarted, ignore
from tiffin.oci.descriptor import CONFIGS, FOREIGN_LAYERS, Descriptor
from tiffin.oci.manifest import parse_manifest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tiffin.content.protocol import Fetcher, Pusher

THREADS: Final = 4
_BUFFER: Final = 1 << 20
_DEPTH: Final = 16


class Copied(NamedTuple):
    """What a copy did: blobs that went over, blobs that were there already, bytes that went over."""

    copied: int
    present: int
    size: int


@runtime_checkable
class Taker(Protocol):
    """A Pusher that fetches blobs by itself: in parts, or from the middle."""

    def take(self, source: Fetcher, descriptor: Descriptor, told: Callable[[int], None]) -> bool:
        """Have the content; whether it had to be fetched. `told` hears how much has come, and may raise."""
        ...


class _Graph(NamedTuple):
    blobs: list[Descriptor]
    documents: list[tuple[Descriptor, bytes]]  # each after those that it refers to


def copy_graph(
    source: Fetcher,
    sink: Pusher,
    root: Descriptor,
    *,
    emit: Emit = ignore,
    threads: int = THREADS,
    group: str = "",
) -> Copied:
    """Copy everything that `root` refers to, and then itself; several blobs at a time.

    Events tell of each as one of `group`, which is the root's digest if there is no name for it.

    What the sink has is not read. Layers that may only be had from elsewhere (foreign ones with
    URLs) stay behind. The first failure stops the rest; what was pushed whole stays in the sink.
    """
    from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

    graph = _survey(source, root)
    work = _Work(source, sink, emit, group or str(root.digest))
    with ThreadPoolExecutor(threads, thread_name_prefix="copy") as pool:
        try:
            futures = [pool.submit(work.blob, descriptor) for descriptor in graph.blobs]
            done, _ = wait(futures, return_when=FIRST_EXCEPTION)
            failures = [error for future in done if (error := future.exception()) is not None]
        finally:
            work.stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
    if failures:
        raise next((error for error in failures if not isinstance(error, _StoppedError)), failures[0])
    results = [future.result() for future in futures]
    work.stop.clear()
    results += [work.document(descriptor, data) for descriptor, data in graph.documents]
    sizes = [size for size in results if size is not None]
    return Copied(len(sizes), len(results) - len(sizes), sum(sizes))


def _survey(source: Fetcher, root: Descriptor) -> _Graph:
    """All blobs, and all manifests and indexes with their bytes, in the order in which to push them."""
    graph = _Graph([], [])
    seen: set[tuple[str, bool]] = set()

    size = 0

    def visit(descriptor: Descriptor, depth: int) -> None:
        nonlocal size
        document = descriptor.is_index or descriptor.is_manifest
        if (descriptor.digest, document) in seen:
            return
        seen.add((descriptor.digest, document))
        if depth > _DEPTH:
            raise CorruptError(f"index {root.digest} is nested more than {_DEPTH} deep")
        if not document:
            if not (descriptor.media_type in FOREIGN_LAYERS and descriptor.urls):
                graph.blobs.append(descriptor)
            return
        data = fetch_bytes(source, descriptor)
        size += len(data)
        check_documents(size, root)
        parsed = parse_manifest(data, descriptor.media_type, f"manifest {descriptor.digest}")
        for child in links(parsed):
            visit(child, depth + 1)
        graph.documents.append((descriptor, data))

    visit(root, 0)
    return graph


class _Work:
    """One copy under way: source, sink, and the flag that stops it."""

    def __init__(self, source: Fetcher, sink: Pusher, emit: Emit, group: str) -> None:
        self._source = source
        self._sink = sink
        self._emit = emit
        self._group = group
        self.stop = threading.Event()

    def blob(self, descriptor: Descriptor) -> int | None:
        """Copy one blob; its size, or None when it was there."""
        if isinstance(self._sink, Taker):
            taker = self._sink
            return self._step(
                descriptor, lambda: taker.take(self._source, descriptor, self._teller(descriptor))
            )
        return self._step(descriptor, lambda: self._push(descriptor, self._source.open(descriptor)))

    def document(self, descriptor: Descriptor, data: bytes) -> int | None:
        """Push one manifest or index; its size, or None when it was there."""
        return self._step(descriptor, lambda: self._push(descriptor, io.BytesIO(data)))

    def _push(self, descriptor: Descriptor, opened: BinaryIO) -> bool:
        with closing(opened) as stream, closing(self._watch(stream, descriptor)) as watched:
            self._sink.push(descriptor, watched)
        return True

    def _step(self, descriptor: Descriptor, send: Callable[[], bool]) -> int | None:
        step = str(descriptor.digest)
        begun = time.monotonic()
        self._emit(StepStarted(step, _title(descriptor), self._group))
        try:
            present = self._sink.has(descriptor) or not send()
        except BaseException as error:
            status = StepDone(step, "canceled" if isinstance(error, _StoppedError) else "failed")
            self._emit(status._replace(seconds=time.monotonic() - begun))
            raise
        self._emit(StepDone(step, "cached" if present else "done", time.monotonic() - begun))
        return None if present else descriptor.size

    def _teller(self, descriptor: Descriptor) -> Callable[[int], None]:
        def told(count: int) -> None:
            if self.stop.is_set():
                raise _StoppedError(f"copy of {descriptor.digest} was stopped")
            self._emit(StepProgress(str(descriptor.digest), count, descriptor.size))

        return told

    def _watch(self, stream: BinaryIO, descriptor: Descriptor) -> BinaryIO:
        return io.BufferedReader(Watched(stream, self._teller(descriptor)), _BUFFER)


class _StoppedError(FailedError):
    """Another blob failed, so this one was given up."""


class Watched(io.RawIOBase):
    """A stream that tells how far it has been read; it does not own the stream beneath, unless told so."""

    def __init__(self, stream: BinaryIO, told: Callable[[int], None], *, owns: bool = False) -> None:
        super().__init__()
        self._stream = stream
        self._told = told
        self._owns = owns
        self._count = 0

    def close(self) -> None:
        """Close it, and what it owns."""
        if not self.closed and self._owns:
            self._stream.close()
        super().close()

    def readable(self) -> bool:
        """It can be read."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` with the next bytes, and tell how many there were so far."""
        view = memoryview(buffer).cast("B")
        data = self._stream.read(len(view))
        view[: len(data)] = data
        self._count += len(data)
        self._told(self._count)
        return len(data)


def _title(descriptor: Descriptor) -> str:
    if descriptor.is_layer:
        kind = "layer"
    elif descriptor.media_type in CONFIGS:
        kind = "config"
    elif descriptor.is_index:
        kind = "index"
    else:
        kind = "manifest" if descriptor.is_manifest else "blob"
    return f"{kind} {descriptor.digest.short}"
