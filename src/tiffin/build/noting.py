"""What the solver tells the journal of a build: how each step was, and what it read."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tiffin.build.graph import Local

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tiffin.build.cache import Hit
    from tiffin.build.graph import Graph
    from tiffin.build.journal import Journal
    from tiffin.build.reading import Origin, Reader
    from tiffin.build.selection import Selected
    from tiffin.build.solve import Result
    from tiffin.build.steprecord import StepRecord


class Part(NamedTuple):
    """What a step reads of another vertex, by its number: the digest of it, and on demand the entries."""

    vertex: int
    content: str
    entries: Callable[[], Sequence[Selected]]


class Noting:
    """Notes the steps of `graph`, whose `results` fill up meanwhile. Safe for threads."""

    def __init__(
        self, graph: Graph, results: Mapping[int, Result], reader: Reader, journal: Journal | None
    ) -> None:
        self._graph = graph
        self._results = results
        self._reader = reader
        self._journal = journal

    def origin(self, number: int) -> Origin:
        """Return what is read of the vertex `number`: a build context by its name, or layers."""
        op = self._graph.vertices[number].op
        return op.name if isinstance(op, Local) else self._results[number].diff_ids

    @contextmanager
    def executed(self, index: int, key: str, reads: Sequence[Part], *, fresh: bool) -> Iterator[None]:
        """Tell why a step is executed, and keep how it was if that goes well. All that it reads is here."""
        if self._journal is None:
            yield
            return
        record = self._record(self._journal, index, reads, here=True)
        ground = self._graph.vertices[index].inputs[0]
        self._journal.miss(index, ground, key, record, fresh=fresh)
        yield
        self._journal.made(index, key, record)

    def remembered(self, index: int, key: str, hit: Hit, reads: Sequence[Part]) -> None:
        """Tell that a step hits; keep how it was if it was built on another machine."""
        if self._journal is not None and self._journal.hit(index, key, hit):
            self._journal.made(index, key, self._record(self._journal, index, reads, here=False))

    def size_before(self, index: int) -> int | None:
        """The bytes that the step's result took the last time that it was built, if that is known."""
        return self._journal.size_before(index) if self._journal is not None else None

    def finish(self) -> None:
        """Keep what was noted."""
        if self._journal is not None:
            self._journal.finish()

    def _record(self, journal: Journal, index: int, reads: Sequence[Part], *, here: bool) -> StepRecord:
        """Return how the step is now; without a list of layers that may not be `here`."""
        found = []
        for part in reads:
            origin = self._graph.vertices[part.vertex]
            listed = here or isinstance(origin.op, Local)
            entries = part.entries if listed else tuple
            read = self._reader.footprint(origin, self.origin(part.vertex), part.content, entries)
            found.append(read if listed else msgspec.structs.replace(read, whole=False))
        vertex = self._graph.vertices[index]
        ground = vertex.inputs[0]
        return journal.record(
            vertex, self._graph.vertices[ground], self._results[ground].diff_ids, tuple(found)
        )
