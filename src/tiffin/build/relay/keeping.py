"""Getting what is asked for: from the shelf if that holds, else from its origin, and onto the shelf.

What an index gives the digest of is the same for ever. All else is kept with what its server says by which it
can be asked whether it still holds (ETag, Last-Modified), and is asked so. Who wants what is just being
downloaded, in this build or in another, shares the download.
"""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from tiffin.build.relay.flight import Flight
from tiffin.build.relay.shelf import Entry, key_of
from tiffin.build.relay.upstream import Answer, Wanted
from tiffin.errors import CorruptError, UnavailableError
from tiffin.linux.files import lock, remove_lock
from tiffin.linux.room import room_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path
    from typing import BinaryIO

    from tiffin.build.relay.shelf import Shelf
    from tiffin.build.relay.upstream import Upstream
    from tiffin.errors import TiffinError

FOR_EVER: Final = float("inf")
LARGEST_PAGE: Final = 64 << 20
_PATIENCE: Final = 8.0  # seconds for another build that downloads the same
_LOOK: Final = 0.1
_MOST_PAGES: Final = 6  # in memory at a time
_KEPT_FIELDS: Final = ("Content-Encoding", "Content-Disposition")
_NEVER: Final = ("no-store", "private")


class Asked(NamedTuple):
    """What is wanted: kept answers younger than `fresh` seconds are not asked for again.

    `sha256` is the digest that the file has, if that is known; `told` are more fields to keep; `variant`
    tells apart what bears the same address.
    """

    url: str
    accept: str = ""
    sha256: str = ""
    fresh: float = 0.0
    fields: Mapping[str, str] = {}
    lends: bool = True
    follows: bool = True
    told: Mapping[str, str] = {}
    variant: str = ""

    @property
    def key(self) -> str:
        """The name of its entry on the shelf."""
        return key_of(self.url, f"{self.accept} {self.variant}".strip())

    @property
    def wanted(self) -> Wanted:
        """The request for it."""
        accept = {"Accept": self.accept} if self.accept else {}
        return Wanted("GET", self.url, {**self.fields, **accept}, follows=self.follows, lends=self.lends)


class Served(NamedTuple):
    """A file that is here, or coming: `size` is None if nobody knows. `close` when it was sent."""

    entry: Entry
    size: int | None
    file: BinaryIO | None
    blocks: Callable[[int, int | None], Iterator[bytes]]
    close: Callable[[], None]


class _Slot:
    """What goes on with one file: `guard` is held by who looks for it or asks its server."""

    def __init__(self) -> None:
        self.guard = threading.Lock()
        self.users = 0
        self.flight: tuple[Flight, Entry] | None = None


class Keeper:
    """Gets for one build. `tell` shows a notice. Safe for threads."""

    def __init__(self, shelf: Shelf, upstream: Upstream, locks: Path, tell: Callable[[str], None]) -> None:
        self._shelf = shelf
        self._upstream = upstream
        self._locks = locks
        self._tell = tell
        self._closed = threading.Event()
        self._guard = threading.Lock()
        self._slots: dict[str, _Slot] = {}
        self._told: set[str] = set()
        self._pages = threading.Semaphore(_MOST_PAGES)

    def close(self) -> None:
        """End the downloads that are under way."""
        self._closed.set()

    def page(self, asked: Asked) -> tuple[Entry, bytes] | Answer:
        """A page that is short, asked for anew each time; or what the server says instead."""
        with self._pages:
            return self._page(asked)

    def _page(self, asked: Asked) -> tuple[Entry, bytes] | Answer:
        key = asked.key
        entry = self._shelf.find(key)
        data = self._data(entry)
        more = _validators(entry) if entry is not None and data is not None else {}
        fields = {**asked.wanted.fields, "Accept-Encoding": "gzip", **more}
        try:
            answer = self._upstream.request(asked.wanted._replace(fields=fields))
            if answer.status != 304 or entry is None or data is None:
                return answer if answer.status != 200 else self._store(key, asked, answer)
        except UnavailableError as error:
            if entry is None or data is None:
                raise
            self._say(f"{error.message}: what it said on {_day(entry.validated)} is used")
            return entry, data
        answer.close()
        entry = msgspec.structs.replace(entry, validated=time.time())
        self._shelf.put(key, entry)
        return entry, data

    def get(self, asked: Asked) -> Served | Answer:
        """The file, or the answer of its server if that is not to be kept: an error, say."""
        key = asked.key
        name = asked.sha256 or key
        with self._guard:
            slot = self._slots.setdefault(name, _Slot())
            slot.users += 1
        try:
            with slot.guard:
                if (kept := self._kept(asked, key)) is not None:
                    return kept
                if slot.flight is not None and (shared := _followed(*slot.flight)) is not None:
                    return shared
                return self._start(asked, key, name, slot)
        finally:
            self._release(name, slot)

    def find(self, url: str, sha256: str = "") -> Served | None:
        """The file if it is here and needs nobody's word."""
        asked = Asked(url, sha256=sha256, fresh=FOR_EVER)
        return self._kept(asked, asked.key)

    def _start(self, asked: Asked, key: str, name: str, slot: _Slot) -> Served | Answer:
        """Download the file, and give it to who asked as it comes."""
        with ExitStack() as held:
            path = self._locks / f"package-{name[:32]}"
            waited = self._wait(path, asked, key, held)
            if isinstance(waited, Served):
                return waited
            entry = self._shelf.find(key)
            wanted = asked.wanted
            if not waited:  # somebody else downloads it, slowly
                return self._upstream.request(wanted)
            if entry is not None:
                wanted = wanted._replace(fields={**wanted.fields, **_validators(entry)})
            part = self._shelf.parts / asked.sha256 if asked.sha256 else self._shelf.new_part()
            flight = Flight(self._upstream, wanted, part, asked.sha256)
            try:
                answer = flight.begin()
            except UnavailableError as error:
                flight.leave()
                if entry is not None and (kept := self._of_shelf(key, entry)) is not None:
                    self._say(f"{error.message}: what it gave on {_day(entry.validated)} is used")
                    return kept
                raise
            except BaseException:
                flight.leave()
                raise
            if answer.status == 304 and entry is not None:
                answer.close()
                flight.leave()
                return self._confirmed(asked, key, entry)
            keepable = bool(asked.sha256) or is_keepable(answer.fields)
            if answer.status not in (200, 206) or not keepable or not flight.has_room():
                flight.leave()
                return answer if answer.status != 206 else self._upstream.request(asked.wanted)
            return self._fly(flight, answer, _entry(asked, answer), (key, name, slot, held.pop_all()))

    def _fly(
        self, flight: Flight, answer: Answer, entry: Entry, place: tuple[str, str, _Slot, ExitStack]
    ) -> Served:
        key, name, slot, held = place
        slot.flight = flight, entry
        with self._guard:
            slot.users += 1
        served = _followed(flight, entry)
        assert served is not None  # nobody has let go of it yet

        def download() -> None:
            try:
                flight.run(answer, self._closed)
                if flight.failure is None:
                    self._keep(flight, key, entry)
                    flight.finish()
                else:
                    self._tell_of(flight.failure, entry.asked)
            finally:
                slot.flight = None
                held.close()
                flight.leave()
                self._release(name, slot)

        threading.Thread(target=download, daemon=True, name="relay-download").start()
        return served

    def _tell_of(self, failure: TiffinError | OSError, url: str) -> None:
        """Tell why a download ended, if that is nothing that its client says."""
        if isinstance(failure, CorruptError):
            self.complain(failure)
        elif isinstance(failure, OSError):
            left = room_of(self._shelf.parts).told(self._shelf.parts)
            self._say(f"relay: {url} did not come to its end: {failure.strerror}: {left}")

    def _keep(self, flight: Flight, key: str, entry: Entry) -> None:
        with suppress(OSError):  # a full disk, or a prune beside us: the step has it all the same
            self._shelf.take(flight.part, flight.sha256)
            self._shelf.put(key, msgspec.structs.replace(entry, sha256=flight.sha256, size=flight.have))

    def _wait(self, path: Path, asked: Asked, key: str, held: ExitStack) -> Served | bool:
        """Take the lock of the file, or what another build has fetched meanwhile; False after some time."""
        end = time.monotonic() + _PATIENCE
        held.callback(remove_lock, path)
        while True:
            try:
                held.enter_context(lock(path, blocking=False))
            except BlockingIOError:
                if self._closed.wait(_LOOK) or time.monotonic() > end:
                    return False
                continue
            return self._kept(asked, key) or True

    def _kept(self, asked: Asked, key: str) -> Served | None:
        entry = self._shelf.find(key)
        now = time.time()
        if asked.sha256:
            size = self._shelf.size(asked.sha256)
            if size is None:
                return None
            if entry is None or entry.sha256 != asked.sha256:
                entry = Entry(asked.url, asked.url, asked.sha256, size, now, now)
                self._shelf.put(key, entry)
        elif entry is None or now - entry.validated > asked.fresh:
            return None
        return self._of_shelf(key, entry)

    def _confirmed(self, asked: Asked, key: str, entry: Entry) -> Served | Answer:
        entry = msgspec.structs.replace(entry, validated=time.time(), fields={**entry.fields, **asked.told})
        self._shelf.put(key, entry)
        served = self._of_shelf(key, entry)
        if served is not None:
            return served
        return self._upstream.request(asked.wanted)

    def _of_shelf(self, key: str, entry: Entry) -> Served | None:
        file = self._shelf.open(entry.sha256)
        if file is None:
            self._shelf.forget(key)
            return None

        def blocks(start: int, end: int | None) -> Iterator[bytes]:
            file.seek(start)
            left = (entry.size if end is None else end) - start
            while left > 0 and (data := file.read(min(left, 1 << 18))):
                left -= len(data)
                yield data

        return Served(entry, entry.size, file, blocks, file.close)

    def _store(self, key: str, asked: Asked, answer: Answer) -> tuple[Entry, bytes]:
        import hashlib

        data = answer.read(LARGEST_PAGE)
        entry = msgspec.structs.replace(
            _entry(asked, answer), sha256=hashlib.sha256(data).hexdigest(), size=len(data), fields={}
        )
        if is_keepable(answer.fields):
            part = self._shelf.new_part()
            with suppress(OSError):  # a full disk: the step has it all the same
                try:
                    part.write_bytes(data)
                    self._shelf.take(part, entry.sha256)
                    self._shelf.put(key, entry)
                finally:
                    part.unlink(missing_ok=True)
        return entry, data

    def _data(self, entry: Entry | None) -> bytes | None:
        file = self._shelf.open(entry.sha256) if entry is not None else None
        if file is None:
            return None
        with file:
            return file.read()

    def _release(self, name: str, slot: _Slot) -> None:
        with self._guard:
            slot.users -= 1
            if not slot.users:
                self._slots.pop(name, None)

    def _say(self, text: str) -> None:
        with self._guard:
            if text in self._told or self._closed.is_set():
                return
            self._told.add(text)
        self._tell(text)

    def complain(self, error: TiffinError) -> None:
        """Tell of what went wrong, once."""
        self._say(f"relay: {error.message}" + (f" ({error.hint})" if error.hint else ""))


def is_keepable(fields: Mapping[str, str]) -> bool:
    """Whether an answer with these fields may be kept, and can be asked about again (RFC 9111)."""
    words = {word.strip().lower().partition("=")[0] for word in fields.get("Cache-Control", "").split(",")}
    varies = {word.strip().lower() for word in fields.get("Vary", "").split(",") if word.strip()}
    if not words.isdisjoint(_NEVER) or "Set-Cookie" in fields or varies - {"accept", "accept-encoding"}:
        return False
    return bool(fields.get("ETag") or fields.get("Last-Modified"))


def _followed(flight: Flight, entry: Entry) -> Served | None:
    if not flight.join():
        return None
    return Served(entry, flight.total, None, flight.blocks, flight.leave)


def _entry(asked: Asked, answer: Answer) -> Entry:
    now = time.time()
    fields = {name: answer.fields[name] for name in _KEPT_FIELDS if name in answer.fields}
    return Entry(
        asked=asked.url,
        url=answer.url,
        sha256=asked.sha256,
        size=0,
        stored=now,
        validated=now,
        media_type=answer.fields.get("Content-Type", ""),
        etag=answer.fields.get("ETag", ""),
        modified=answer.fields.get("Last-Modified", ""),
        fields={**fields, **asked.told},
    )


def _validators(entry: Entry) -> dict[str, str]:
    found = {"If-None-Match": entry.etag, "If-Modified-Since": entry.modified}
    return {name: value for name, value in found.items() if value}


def _day(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))
