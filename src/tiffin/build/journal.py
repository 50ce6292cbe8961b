"""How the steps of a build were the last time, kept in the store; and what is different now, told aloud.

A step has a place: the build (context and Dockerfile), its stage, its position among the steps of the
stage. There lies the key that it had when it was last built, and with the key goes a record. An instruction
that moved is found again by its text. A build in which everything hits writes nothing.
"""

from __future__ import annotations

import hashlib
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tiffin.build import cachekey
from tiffin.build.graph import Copy, Made, Source
from tiffin.build.stepnames import instruction_of
from tiffin.events import StepWhy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tiffin.build.cache import Hit
    from tiffin.build.graph import Graph, Vertex
    from tiffin.build.steprecord import Ground, Read, StepRecord
    from tiffin.events import Emit
    from tiffin.oci.digest import DiffID
    from tiffin.store.db import Database


class _Place(NamedTuple):
    stage: str
    position: int


class _Known(NamedTuple):
    text: str
    key: str


class Journal:
    """The journal of one build, `name` of which is the same whenever it is built. Safe for threads.

    With `aloud` it tells of each step why it hits or misses, before the step runs.
    """

    def __init__(self, db: Database, name: str, graph: Graph, epoch: int, emit: Emit, *, aloud: bool) -> None:
        self._db = db
        self._scope = hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        self._epoch = epoch
        self._emit = emit
        self._aloud = aloud
        self._guard = threading.Lock()
        self._known: dict[_Place, _Known] | None = None
        self._now: dict[_Place, _Known] = {}
        self._places: dict[int, tuple[_Place, str]] = {}
        self._causes: dict[int, str] = {}
        counts: dict[str, int] = {}
        for index, vertex in enumerate(graph.vertices):
            if isinstance(vertex.op, Made):
                position = counts[vertex.stage] = counts.get(vertex.stage, 0) + 1
                self._places[index] = (_Place(vertex.stage, position), instruction_of(vertex.name))

    def hit(self, index: int, key: str, hit: Hit) -> bool:
        """Note that a step hits; return whether it wants the record, as it had another key the last time.

        It has one already if the step was ever built here, and not if another machine built it.
        """
        self._note(index, key)
        if self._aloud:
            age = time.time() - hit.created if hit.created else None
            self._emit(StepWhy(str(index), "hit", (), max(0.0, hit.seconds), age))
        last = None if hit.created else self._load().get(self._places[index][0])
        return not hit.created and (last is None or last.key != key)

    def miss(self, index: int, ground: int, key: str, record: StepRecord, *, fresh: bool) -> None:
        """Tell why a step that stands on the vertex `ground` misses, if somebody listens."""
        if not self._aloud:
            return
        own, below = self._reasons(index, key, record, self._causes.get(ground, ""))
        if fresh:
            own, below = ["it is not looked up: --no-cache"], []
        # What only follows from an earlier step is told with the name of that one, all the way up.
        self._causes[index] = record.text if own else self._causes.get(ground, record.ground.name)
        self._emit(StepWhy(str(index), "miss", (*own, *below)))

    def size_before(self, index: int) -> int | None:
        """The bytes that the result of the step took the last time, if it is remembered still."""
        last = self._last(index)
        if last is None:
            return None
        query = "SELECT usage FROM cache JOIN layer USING (diff_id) WHERE key = ?"
        with self._db.read() as connection:
            row = connection.execute(query, (last.key,)).fetchone()
        return None if row is None else int(row[0])

    def made(self, index: int, key: str, record: StepRecord) -> None:
        """Keep the record of a step that was built."""
        from tiffin.build.steprecord import pack

        self._note(index, key)
        with self._db.transaction() as connection:
            connection.execute(
                "INSERT INTO step_record(key, record) VALUES (?, ?)"
                " ON CONFLICT(key) DO UPDATE SET record = excluded.record",
                (key, pack(record)),
            )

    def finish(self) -> None:
        """Keep which key each step had."""
        known = self._load()
        changed = {place: now for place, now in self._now.items() if known.get(place) != now}
        stages = {place.stage for place, _ in self._places.values()}
        there = {place for place, _ in self._places.values()}
        stale = [place for place in known if place.stage in stages and place not in there]
        if not changed and not stale:
            return
        used = time.time_ns()
        with self._db.transaction() as connection:
            connection.executemany(
                "DELETE FROM step_place WHERE scope = ? AND stage = ? AND position = ?",
                [(self._scope, *place) for place in stale],
            )
            connection.executemany(
                "INSERT OR REPLACE INTO step_place(scope, stage, position, text, key, used)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                [(self._scope, *place, *now, used) for place, now in changed.items()],
            )

    def record(
        self, vertex: Vertex, ground: Vertex, chain: tuple[DiffID, ...], reads: tuple[Read, ...]
    ) -> StepRecord:
        """Return the record of a step that stands on `ground`, whose root filesystem is `chain`."""
        from tiffin.build.steprecord import StepRecord

        definition = msgspec.json.decode(msgspec.json.encode(vertex.op))  # as it is read again
        return StepRecord(
            instruction_of(vertex.name),
            definition,
            self._epoch,
            _ground(vertex, ground, chain),
            reads,
            vertex.arguments,
        )

    def _note(self, index: int, key: str) -> None:
        place, text = self._places[index]
        with self._guard:
            self._now[place] = _Known(text, key)

    def _load(self) -> Mapping[_Place, _Known]:
        with self._guard:
            if self._known is None:
                with self._db.read() as connection:
                    rows = connection.execute(
                        "SELECT stage, position, text, key FROM step_place WHERE scope = ?", (self._scope,)
                    ).fetchall()
                self._known = {_Place(row[0], row[1]): _Known(row[2], row[3]) for row in rows}
            return self._known

    def _reasons(self, index: int, key: str, record: StepRecord, cause: str) -> tuple[list[str], list[str]]:
        """Return why a step misses: for reasons of its own, and because of what it stands on."""
        from tiffin.build.explain import below, reasons
        from tiffin.build.steprecord import unpack

        last = self._last(index)
        if last is None:
            return ["it was not built here before"], []
        if last.key == key:
            return ["nothing changed, but its result is not in the cache any more"], []
        with self._db.read() as connection:
            row = connection.execute("SELECT record FROM step_record WHERE key = ?", (last.key,)).fetchone()
        old = unpack(row[0]) if row else None
        if old is None:
            return ["something changed; how it was the last time is not known any more"], []
        found = reasons(old, record), below(old.ground, record.ground, cause)
        return found if any(found) else (["something changed that is not told apart"], [])

    def _last(self, index: int) -> _Known | None:
        """Return how this step was the last time: at its place, or elsewhere in its stage if it moved."""
        place, text = self._places[index]
        known = self._load()
        at_place = known.get(place)
        if at_place is not None and at_place.text == text:
            return at_place
        same = [each for at, each in known.items() if at.stage == place.stage and each.text == text]
        if same:
            return same[0]
        now = {text for at, text in self._places.values() if at.stage == place.stage}
        if at_place is None or at_place.text in now or _keyword(at_place.text) != _keyword(text):
            return None
        return at_place


def _keyword(text: str) -> str:
    return text.partition(" ")[0]


def _ground(vertex: Vertex, ground: Vertex, chain: tuple[DiffID, ...]) -> Ground:
    from tiffin.build.steprecord import Ground

    if isinstance(vertex.op, Copy) and vertex.op.link:
        return Ground("", "")  # it stands on nothing
    if isinstance(ground.op, Source):
        return Ground(ground.op.reference, cachekey.chain(chain), str(ground.op.digest or ""), image=True)
    return Ground(instruction_of(ground.name), cachekey.chain(chain))
