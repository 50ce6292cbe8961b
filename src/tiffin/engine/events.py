"""What happened in the store, and what happens: the events of its journal, by Docker's filters."""

from __future__ import annotations

import json
import os
import select
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from tiffin.linux.inotify import Watch
from tiffin.store.journal import CURRENT, PREVIOUS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from typing import Self

    from tiffin.engine.engine import Engine

__all__ = ["FILTERS", "Event", "events", "matches", "parse"]

FILTERS = ("container", "event", "image", "label", "network", "scope", "type", "volume")
_SECOND = 1_000_000_000
_RECHECK = 60.0


class Event(NamedTuple):
    """Something that happened: `time` in nanoseconds since 1970, `about` more of it by name."""

    time: int
    type: str
    action: str
    id: str
    about: Mapping[str, str]


def events(
    engine: Engine,
    filters: Mapping[str, Sequence[str]],
    since: float | None = None,
    until: float | None = None,
) -> Iterator[Event]:
    """Those from now on, with `since` those from then on; up to `until`, and for ever without.

    With `until` alone all that are known up to then. Times are seconds since 1970.
    """
    first = int(since * _SECOND) if since is not None else 0 if until is not None else time.time_ns()
    last = None if until is None else int(until * _SECOND)
    engine.home.journal.mkdir(mode=0o700, exist_ok=True)
    with Watch(engine.home.journal) as watch, _Reader(engine.home.journal) as reader:
        while True:
            watch.drain()
            for event in reader.fresh():
                if first <= event.time and (last is None or event.time <= last) and matches(event, filters):
                    yield event
            left = _RECHECK if last is None else min((last - time.time_ns()) / _SECOND, _RECHECK)
            if left <= 0:
                return
            select.select([watch], [], [], left)


def parse(line: bytes) -> Event | None:
    """Return the event of a line; None for one that was cut off, or is of another kind."""
    try:
        wire: dict[str, Any] = json.loads(line)
        about = {str(name): str(value) for name, value in wire["about"].items()}
        return Event(int(wire["time"]), str(wire["type"]), str(wire["action"]), str(wire["id"]), about)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def matches(event: Event, filters: Mapping[str, Sequence[str]]) -> bool:
    """Whether an event is wanted: by all filters, and of each by one of its values; labels by all of them."""
    return all(
        all(_labelled(event, text) for text in texts)
        if name == "label"
        else any(_matches(event, name, text) for text in texts)
        for name, texts in filters.items()
    )


def _matches(event: Event, name: str, text: str) -> bool:
    match name:
        case "type":
            return event.type == text
        case "event":
            return text in (event.action, event.action.partition(":")[0])
        case "scope":
            return text == "local"
        case "image":
            return _of_image(event, text)
        case _:
            known = event.about.get("name", "")
            return event.type == name and (event.id.startswith(text) or known.startswith(text))


def _of_image(event: Event, text: str) -> bool:
    """Events of the image, and of containers that were made from it; with or without its tag."""
    if event.type == "image" and text == event.id:
        return True
    known = event.about.get("name" if event.type == "image" else "image", "")
    bare = known.partition("@")[0]
    colon = bare.rfind(":")
    untagged = bare[:colon] if colon > bare.rfind("/") else bare
    return bool(known) and text in (known, untagged)


def _labelled(event: Event, text: str) -> bool:
    key, equals, value = text.partition("=")
    return key in event.about and (not equals or event.about[key] == value)


class _Reader:
    """Reads both files of the journal as they grow; one that goes is read to its end."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._open: dict[int, _File] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._open.values():
            file.close()

    def fresh(self) -> list[Event]:
        """Return what was written since the last time, in the order of time."""
        found: list[Event] = []
        named = self._named()
        for inode, file in [*self._open.items()]:
            found += file.read()
            if inode not in named:
                file.close()
                del self._open[inode]
        return sorted(found, key=lambda event: event.time)

    def _named(self) -> set[int]:
        """Open what is new, and return the inodes that have a name; those held open are not used again."""
        inodes = set()
        for name in (CURRENT, PREVIOUS):  # in this order, a file that is renamed meanwhile is seen twice
            try:
                fd = os.open(self._directory / name, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            inode = os.fstat(fd).st_ino
            inodes.add(inode)
            if inode in self._open:
                os.close(fd)
            else:
                self._open[inode] = _File(fd)
        return inodes


class _File:
    """One file, read line by line; the beginning of a line waits for its end."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._rest = b""

    def read(self) -> Iterator[Event]:
        """Yield the events that are complete."""
        while data := os.read(self._fd, 1 << 16):
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                if line and (event := parse(line)) is not None:
                    yield event

    def close(self) -> None:
        """Read no more."""
        os.close(self._fd)
