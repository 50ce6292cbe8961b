"""What the relay keeps: files by digest, and for each address what it gave and when it was seen to hold.

```
packages/key             what our marks in addresses are made with, for the owner alone
packages/entries/…       one document for each address (and what was accepted there)
packages/content/…       files by their SHA-256
packages/parts/…         what has come so far of files whose digest is known
```
All of it can be had again, so nothing is synced: what a power cut damages is found when it is to be served,
because every file whose time is not `VERIFIED` is hashed before. Any number of processes may use it.
"""

from __future__ import annotations

import hashlib
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

import msgspec

from tiffin.linux.files import atomic_write, lock

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from tiffin.store.home import Home

VERIFIED: Final = 315_619_200
"""The time of a file that was hashed since it was written: whoever writes to it changes that."""

_HOUR: Final = 3600
_DAY: Final = 24 * _HOUR
_BLOCK: Final = 1 << 20


class Entry(msgspec.Struct, frozen=True):
    """What an address gave: the digest and size of the file, fields of the answer, and times in seconds.

    `url` is where it came from after redirects, `asked` what was asked for; `validated` is when the
    server last said that it holds.
    """

    asked: str
    url: str
    sha256: str
    size: int
    stored: float
    validated: float
    media_type: str = ""
    etag: str = ""
    modified: str = ""
    fields: dict[str, str] = {}


class Kept(NamedTuple):
    """A kept file for listings: its address, bytes, and when it was put here and used."""

    id: str
    asked: str
    size: int
    created: float
    used: float


class Shelf:
    """The files below `cache/packages` of a store."""

    def __init__(self, home: Home) -> None:
        self.place = home.cache / "packages"
        self._entries, self._content = self.place / "entries", self.place / "content"
        self.parts = self.place / "parts"
        self._locks = home.locks

    def create(self) -> None:
        """Make the directories, and remove what processes left half done that were killed."""
        for path in (self._entries, self._content, self.parts):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _remove_old(self.parts, _DAY, ())

    def key(self) -> bytes:
        """The key of this store, made if there is none."""
        path = self.place / "key"
        with lock(self._locks / "packages-key"):
            if not path.exists() or path.stat().st_size != 32:
                atomic_write(path, os.urandom(32), 0o600)
            return path.read_bytes()

    def find(self, key: str) -> Entry | None:
        """What is remembered under `key`, if its file is here."""
        path = self._entries / key
        try:
            entry = msgspec.json.decode(path.read_bytes(), type=Entry)
            if os.stat(self._content / entry.sha256).st_size == entry.size:
                os.utime(path)
                return entry
        except (OSError, msgspec.DecodeError):
            return None
        return None

    def put(self, key: str, entry: Entry) -> None:
        """Remember `entry`, whose file is here; on a full disk nothing is: it can be had again."""
        with suppress(OSError):
            atomic_write(self._entries / key, msgspec.json.encode(entry), 0o600, sync=False)

    def forget(self, key: str) -> None:
        """Forget what is remembered under `key`."""
        (self._entries / key).unlink(missing_ok=True)

    def size(self, sha256: str) -> int | None:
        """The size of the file with that digest, if it is here."""
        try:
            return os.stat(self._content / sha256).st_size
        except OSError:
            return None

    def open(self, sha256: str) -> BinaryIO | None:
        """The file, which is what its name says; None if it is not here. What was changed goes."""
        path = self._content / sha256
        try:
            file = open(path, "rb", buffering=0)  # noqa: SIM115  # the caller closes it
        except OSError:
            return None
        if os.fstat(file.fileno()).st_mtime == VERIFIED:
            return file
        if _sha256(file) == sha256:
            os.utime(path, (VERIFIED, VERIFIED))
            file.seek(0)
            return file
        file.close()
        path.unlink(missing_ok=True)
        return None

    def take(self, part: Path, sha256: str) -> None:
        """Take the finished file `part`, whose digest was looked at."""
        os.utime(part, (VERIFIED, VERIFIED))
        part.rename(self._content / sha256)

    def new_part(self) -> Path:
        """A name for what has no digest yet."""
        return self.parts / f"new-{os.getpid()}-{os.urandom(6).hex()}"

    def taken(self) -> int:
        """The bytes of all files."""
        return sum(self.size(path.name) or 0 for path in _files(self._content))

    def all(self) -> Iterator[Kept]:
        """What is kept, in no order; a file that several addresses gave counts for the first."""
        counted: set[str] = set()
        for name, entry, used in self._each():
            size = 0 if entry.sha256 in counted else entry.size
            counted.add(entry.sha256)
            yield Kept(name, entry.asked, size, entry.stored, used)

    def trim(self, most: int, *, before: float | None = None) -> tuple[list[str], int]:
        """Forget what was used least recently until no more than `most` bytes are kept, and leftovers.

        With `before` only what was used before that moment goes. Returns the names, and the bytes that went.
        """
        found = sorted(self._each(), key=lambda each: each[2])
        holders: dict[str, int] = {}
        sizes: dict[str, int] = {}
        for _, entry, _ in found:
            holders[entry.sha256] = holders.get(entry.sha256, 0) + 1
            sizes[entry.sha256] = entry.size
        left, gone, freed = sum(sizes.values()), [], 0
        for name, entry, used in found:
            if left <= most or (before is not None and used >= before):
                break
            self.forget(name)
            gone.append(name)
            holders[entry.sha256] -= 1
            if not holders[entry.sha256]:
                del holders[entry.sha256]
                (self._content / entry.sha256).unlink(missing_ok=True)
                left -= entry.size
                freed += entry.size
        self._sweep(holders, _HOUR if most else 0)
        return gone, freed

    def damaged(self, *, repair: bool) -> Iterator[str]:
        """The digests of files that are not what they are called; with `repair` they go."""
        for path in sorted(_files(self._content)):
            try:
                with open(path, "rb", buffering=0) as file:
                    found = _sha256(file)
            except OSError:
                found = ""
            if found != path.name and path.exists():
                if repair:
                    path.unlink(missing_ok=True)
                yield path.name

    def _each(self) -> Iterator[tuple[str, Entry, float]]:
        for path in _files(self._entries):
            try:
                used = path.stat().st_mtime
                entry = msgspec.json.decode(path.read_bytes(), type=Entry)
            except FileNotFoundError:
                continue
            except (OSError, msgspec.DecodeError):
                path.unlink(missing_ok=True)
                continue
            if self.size(entry.sha256) is None:
                path.unlink(missing_ok=True)
                continue
            yield path.name, entry, used

    def _sweep(self, held: dict[str, int], age: int) -> None:
        """Remove files that no entry names; young ones may be about to get one."""
        _remove_old(self._content, age, held)
        _remove_old(self.parts, _DAY if age else 0, held)


def key_of(url: str, accept: str = "") -> str:
    """The name of the entry for an address and what is accepted there."""
    return hashlib.sha256(f"{url}\n{accept}".encode("utf-8", "surrogatepass")).hexdigest()


def _remove_old(folder: Path, age: int, held: Collection[str]) -> None:
    """Remove the files that are as many seconds old, but for the `held` ones."""
    before = time.time() - age
    for path in _files(folder):
        try:
            if path.name not in held and path.stat().st_ctime <= before:
                path.unlink()
        except FileNotFoundError:
            continue


def _sha256(file: BinaryIO) -> str:
    state = hashlib.sha256()
    while data := file.read(_BLOCK):
        state.update(data)
    return state.hexdigest()


def _files(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_file()]
    except FileNotFoundError:
        return []
