"""The solver: walks a build graph, looks each step up, and executes what is not remembered.

One process, one build: a topological walk with a few threads. A step starts
when what it reads is there; the first failure stops the rest. A step that
another build is executing right now is waited for, not done twice: its key is
a lock. The results of finished steps stay, however the build ends.

A step may hit in a cache of another machine whose layer turns out to be lost. Then
what runs is let run to its end, and the walk begins again: all that was done is remembered.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

from tiffin.build import cachekey
from tiffin.build.canceled import Canceled, LayerLost
from tiffin.build.graph import BindMount, CacheMount, Copy, Git, Http, Local, MakeDirectory, Run, Source
from tiffin.build.locks import patient_lock
from tiffin.build.noting import Noting, Part
from tiffin.errors import TiffinError
from tiffin.events import StepDone, StepStarted, StepUnreached

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from concurrent.futures import Future

    from tiffin.build.graph import Graph, Made, Vertex
    from tiffin.build.journal import Journal
    from tiffin.build.workbench import Workbench
    from tiffin.events import Emit
    from tiffin.oci.digest import DiffID


class Result(NamedTuple):
    """What a vertex came to: its root filesystem, and the layer that it added itself, if any.

    `key` is what it is remembered by, and `seconds` what it took when it was executed. `content` is what
    was fetched: the digest of a file, or a commit.
    """

    diff_ids: tuple[DiffID, ...]
    layer: DiffID | None = None
    cached: bool = False
    key: str = ""
    seconds: float = 0.0
    content: str = ""


class Solver:
    """Solves one graph with the tools of `bench`; `fresh` says which vertices may not be remembered.

    In the `journal` it says how each step was, for the next time that it misses.
    """

    def __init__(
        self,
        graph: Graph,
        bench: Workbench,
        emit: Emit,
        fresh: Collection[int] = (),
        journal: Journal | None = None,
    ) -> None:
        self._graph = graph
        self._bench = bench
        self._emit = emit
        self._fresh = frozenset(fresh)
        self._results: dict[int, Result] = {}
        self._noting = Noting(graph, self._results, bench.reader, journal)
        self._used: list[str] = []
        self._stop = threading.Event()
        self._guard = threading.Lock()
        self._failure: Exception | None = None
        self._begun: set[int] = set()

    def solve(self, wanted: Sequence[int] = ()) -> dict[int, Result]:
        """Return the result of every vertex; all layers of those that are `wanted` are here.

        Raises what the first failing step raised.
        """
        while True:
            try:
                self._walk()
                self._bench.cache.need(layer for n in wanted for layer in self._results[n].diff_ids)
            except LayerLost:  # the cache does not speak of it again
                self._results.clear()
                self._begun.clear()
            except Exception:
                self._tell_unreached()
                raise
            else:
                return self._results
            finally:
                self._noting.finish()

    def _walk(self) -> None:
        from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

        waiting = dict(enumerate(self._graph.vertices))
        running: dict[Future[Result], int] = {}
        with ThreadPoolExecutor(max(2, os.cpu_count() or 1), "step") as pool:
            try:
                while waiting or running:
                    for index in [i for i, v in waiting.items() if all(n in self._results for n in v.inputs)]:
                        running[pool.submit(self._perform, index, waiting.pop(index))] = index
                    done, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in done:
                        self._results[running.pop(future)] = future.result()
            except LayerLost:
                self._let_end(running)
                raise
            except BaseException as error:
                self._cancel(running)
                if self._failure is None or not isinstance(error, Exception):
                    raise
                raise self._failure  # noqa: B904 - not what failed because of it
            finally:
                self._bench.cache.touch(self._used)

    def _let_end(self, running: dict[Future[Result], int]) -> None:
        """Wait for what runs, begin nothing more, and raise what fails for a reason of its own."""
        from concurrent.futures import wait

        for future in running:
            future.cancel()
        for future in wait(running).done:
            error = None if future.cancelled() else future.exception()
            if error is not None and not isinstance(error, LayerLost):
                raise error

    def _cancel(self, running: dict[Future[Result], int]) -> None:
        self._stop.set()
        for future in running:
            future.cancel()
        self._bench.stop_processes()

    def _perform(self, index: int, vertex: Vertex) -> Result:
        if self._stop.is_set():
            raise Canceled
        if _is_silent(vertex):
            return Result(())
        step, start = str(index), time.monotonic()
        self._begun.add(index)
        self._emit(StepStarted(step, vertex.name, vertex.stage))
        try:
            result = self._execute(index, vertex, step)
        except BaseException as error:
            if isinstance(error, TiffinError) and error.where is None:
                error.where = vertex.where
            first = self._is_first(error)
            self._emit(StepDone(step, "failed" if first else "canceled", time.monotonic() - start))
            raise
        seconds = time.monotonic() - start
        self._emit(StepDone(step, "cached" if result.cached else "done", seconds))
        return result

    def _is_first(self, error: BaseException) -> bool:
        """Whether `error` is the failure that ends the build: what fails later fails because of it."""
        if isinstance(error, Canceled) or not isinstance(error, Exception):
            return False
        with self._guard:
            if self._stop.is_set():
                return False
            self._stop.set()
            self._failure = error
            return True

    def _tell_unreached(self) -> None:
        for index, vertex in enumerate(self._graph.vertices):
            if index not in self._begun and not _is_silent(vertex):
                self._emit(StepUnreached(str(index), vertex.name, vertex.stage))

    def _execute(self, index: int, vertex: Vertex, step: str) -> Result:
        op = vertex.op
        match op:
            case Source():
                return Result(op.diff_ids)
            case Local():
                return Result(())
            case Http() | Git():
                layer, key, seconds, cached, content = self._bench.fetch(op, step)
                return Result(_stack((), layer), layer, cached, key, seconds, content)
            case Run():
                return self._run(index, vertex, op, step)
            case MakeDirectory():
                parent = self._parent(vertex)
                key = self._key(op, parent, "")
                return self._remember(index, vertex, key, lambda: self._bench.make_directory(op, parent))
            case Copy():
                return self._copy(index, vertex, op)

    def _run(self, index: int, vertex: Vertex, op: Run, step: str) -> Result:
        parent = self._parent(vertex)
        shown = self._bench.shown(op, [self._noting.origin(number) for number in vertex.inputs])
        content = "\n".join(each.content for each in shown if each is not None)

        def execute() -> DiffID | None:
            from tiffin.build.ops.run import Report  # with it comes all that starts containers

            self._bench.foresee_run(vertex.name, self._noting.size_before(index))
            return self._bench.run(op, parent, shown, Report(step, self._stop, self._emit))

        reads = [
            Part(vertex.inputs[mount.input or 0], each.content, each.listed)
            for mount, each in zip(op.mounts, shown, strict=True)
            if isinstance(mount, BindMount | CacheMount) and each is not None
        ]
        return self._remember(index, vertex, self._key(op, parent, content), execute, reads)

    def _copy(self, index: int, vertex: Vertex, op: Copy) -> Result:
        parent = self._parent(vertex)
        readings = self._bench.reader.copied(
            op, [self._noting.origin(number) for number in vertex.inputs[1:]]
        )
        if op.link:
            op = self._bench.detached(op, parent)
        key = self._key(op, () if op.link else parent, "\n".join(each.content for each in readings))
        numbers = [vertex.inputs[each.input] for each in op.taken] or vertex.inputs[1:]
        reads = [Part(n, each.content, each.entries) for n, each in zip(numbers, readings, strict=True)]

        def execute() -> DiffID | None:
            self._bench.look(index, readings)
            self._bench.foresee(vertex.name, readings)
            return self._bench.copy(op, readings, parent)

        return self._remember(index, vertex, key, execute, reads)

    def _parent(self, vertex: Vertex) -> tuple[DiffID, ...]:
        return self._results[vertex.inputs[0]].diff_ids

    def _key(self, op: Made, base: Sequence[DiffID], content: str) -> str:
        return cachekey.key(op, base, content, self._bench.epoch)

    def _remember(
        self,
        index: int,
        vertex: Vertex,
        key: str,
        execute: Callable[[], DiffID | None],
        reads: Sequence[Part] = (),
    ) -> Result:
        """Return the remembered result of a step, or execute it under the lock of its key.

        `reads` is what it reads besides what it stands on.
        """
        parent = self._parent(vertex)
        usable = index not in self._fresh
        hit = self._bench.cache.get(key) if usable else None
        if hit is None:
            with patient_lock(self._bench.locks / f"step-{key}", self._stop):
                hit = self._bench.cache.get(key) if usable else None
                if hit is None:
                    self._bench.cache.need(
                        layer for n in vertex.inputs for layer in self._results[n].diff_ids
                    )
                    with self._noting.executed(index, key, reads, fresh=not usable):
                        start = time.monotonic()
                        layer = execute()
                        seconds = time.monotonic() - start
                        self._bench.cache.put(key, layer, vertex.name, seconds)
                    return Result(_stack(parent, layer), layer, key=key, seconds=seconds)
        self._used.append(key)
        self._bench.keep(hit.diff_id)
        self._noting.remembered(index, key, hit, reads)
        return Result(_stack(parent, hit.diff_id), hit.diff_id, cached=True, key=key, seconds=hit.seconds)


def _stack(parent: tuple[DiffID, ...], layer: DiffID | None) -> tuple[DiffID, ...]:
    return (*parent, layer) if layer else parent


def _is_silent(vertex: Vertex) -> bool:
    """Whether nothing is to be done for `vertex`, so that progress does not speak of it: context, scratch."""
    return isinstance(vertex.op, Local) or (isinstance(vertex.op, Source) and not vertex.op.diff_ids)
