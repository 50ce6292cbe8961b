"""How much the build cache may take: what was used least recently goes first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from tiffin.engine.size import size_in_bytes
from tiffin.errors import InvalidError
from tiffin.linux.room import room_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from tiffin.engine.engine import Engine

VARIABLE: Final = "TIFFIN_CACHE_LIMIT"
_USUAL: Final = "20%"


class Remembered(NamedTuple):
    """A remembered step: its layer (empty for none), the bytes of its record, when it was used last."""

    key: str
    layer: str
    size: int
    used: int


class Bounds(NamedTuple):
    """What is asked for, in bytes: the cache may take `most`, `least` may stay, `free` has to be free."""

    most: int | None = None
    least: int | None = None
    free: int | None = None

    def goal(self, taken: int, available: int) -> int:
        """How much the cache, which takes `taken` now, may take in the end; `available` bytes are free."""
        if self.most is None and self.free is None:
            return 0 if self.least is None else self.least
        goal = taken if self.most is None else self.most
        if self.free is not None:
            goal = min(goal, taken - max(self.free - available, 0))
        return max(goal, self.least or 0)


def least_used(
    entries: Iterable[Remembered], sizes: Mapping[str, int], spared: Collection[str], goal: int
) -> list[str]:
    """The keys to forget, those used least recently first, until the cache takes no more than `goal` bytes.

    `sizes` are those of layers; the `spared` ones are an image's and take nothing by being remembered.
    A layer goes when nothing remembers it any more.
    """
    ordered = sorted(entries, key=lambda entry: (entry.used, entry.key))
    holders: dict[str, int] = {}
    for entry in ordered:
        holders[entry.layer] = holders.get(entry.layer, 0) + 1
    counted = {layer: sizes.get(layer, 0) for layer in holders if layer and layer not in spared}
    taken = sum(counted.values()) + sum(entry.size for entry in ordered)
    gone: list[str] = []
    for entry in ordered:
        if taken <= goal:
            break
        if entry.layer in spared:
            continue
        gone.append(entry.key)
        taken -= entry.size
        holders[entry.layer] -= 1
        if not holders[entry.layer]:
            taken -= counted.get(entry.layer, 0)
    return gone


def taken(entries: Iterable[Remembered], sizes: Mapping[str, int], spared: Collection[str]) -> int:
    """The bytes that go when all entries are forgotten."""
    layers = {entry.layer for entry in entries} - set(spared)
    return sum(sizes.get(layer, 0) for layer in layers) + sum(entry.size for entry in entries)


def limit(text: str, disk: int, variable: str = VARIABLE) -> int | None:
    """Return what the setting allows of a disk of that many bytes; None for no limit. Raises InvalidError."""
    if text == "none":
        return None
    if text.endswith("%") and text[:-1].isdecimal() and int(text[:-1]) <= 100:
        return disk * int(text[:-1]) // 100
    found = size_in_bytes(text)
    if found is None:
        raise InvalidError(
            f"{variable} is {text!r}", code="cache-limit", hint="set it to a size (20GB), to 20%, or to none"
        )
    return found


def limit_of(engine: Engine, variable: str = VARIABLE, usual: str = _USUAL) -> int | None:
    """The bytes that the build cache of the store may take; None for no limit. Raises InvalidError.

    Other parts of the store have a `variable` of their own.
    """
    text = engine.settings.environ.get(variable) or usual
    return limit(text, room_of(engine.home.root).whole, variable)


def keep_to(engine: Engine, most: int) -> None:
    """Forget the steps used least recently if the cache takes more than `most` bytes.

    Cheap where all layers together take less.
    """
    with engine.db.read() as connection:
        if connection.execute("SELECT COALESCE(SUM(usage), 0) FROM layer").fetchone()[0] <= most:
            return
    from tiffin.engine.prune import PruneRequest, prune
    from tiffin.events import Notice

    report = prune(engine, PruneRequest(cache="all", bounds=Bounds(most=most)))
    if report.cache:
        text = (
            f"forgot {len(report.cache)} steps that were not used for long, which freed "
            f"{report.reclaimed >> 20} MiB: the build cache may take {most >> 20} MiB ({VARIABLE})"
        )
        engine.emit(Notice(text, "info"))
