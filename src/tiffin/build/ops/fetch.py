"""Executes what fetches: a file of the web or a commit of a repository becomes a layer, which is remembered.

What is remembered is found by content: the digest of a file, the name of a
commit. A checksum or a whole commit in the Dockerfile says that beforehand, so
that no network is asked; else the server is asked what there is now.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from tiffin.build import cachekey
from tiffin.build.canceled import LayerLost
from tiffin.build.fetching import Fetched
from tiffin.build.giturl import is_commit, without_login
from tiffin.build.graph import Git, Http
from tiffin.build.locks import patient_lock
from tiffin.build.ops.download import Downloads, Offer, Web
from tiffin.build.ops.repository import Repositories
from tiffin.build.ops.unpack import begins_as_archive, unpack_file
from tiffin.build.remote import title
from tiffin.build.workbench import adopt
from tiffin.errors import CorruptError
from tiffin.layer.apply import apply
from tiffin.layer.compress import decompress
from tiffin.layer.owners import NoOwners
from tiffin.offline import is_offline

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tiffin.build.cache import BuildCache
    from tiffin.build.ops.urlmemory import UrlMemory
    from tiffin.events import Emit
    from tiffin.oci.digest import DiffID
    from tiffin.snapshot.layers import LayerStore
    from tiffin.store.leases import Lease

_SHA256 = "sha256:"
_HEAD = 1 << 16


class Store(NamedTuple):
    """Where what was fetched stays: layers held by `lease`, the keys they are found by, what URLs gave."""

    layers: LayerStore
    cache: BuildCache
    urls: UrlMemory
    lease: Lease
    epoch: int


class FetchedContext(NamedTuple):
    """A main context: the layer with its files, None for none, or the one file that is no archive.

    `content` is the digest of the file or the archive, or the commit.
    """

    layer: DiffID | None
    cached: bool
    content: str
    file: Path | None = None


class RemoteFetcher:
    """Fetches files and repositories for one build. `secrets` may hold logins. Safe for threads."""

    def __init__(
        self, store: Store, environ: Mapping[str, str], secrets: Mapping[str, bytes], emit: Emit
    ) -> None:
        self._store = store
        self._emit = emit
        self._offline = is_offline(environ)
        self._stop = threading.Event()
        self._web = Downloads(Web(environ, secrets), self._stop)
        self._repositories = Repositories(environ, secrets, self._stop)

    def stop(self) -> None:
        """End what is under way."""
        self._stop.set()
        self._repositories.stop()

    def close(self) -> None:
        """Close the connections that were kept open."""
        self._web.close()

    def here(self, op: Git | Http) -> bool:
        """Whether what `op` says is here, as far as it is known without asking anybody."""
        return self._remembered(op) is not None

    def fetch(self, op: Git | Http, step: str) -> Fetched:
        """Return the layer of what `op` says, fetched if it is not here. Raises what fetching does."""
        return self._fetch_file(op, step) if isinstance(op, Http) else self._fetch_commit(op)

    def context(self, op: Git | Http, step: str) -> FetchedContext:
        """Return the main context that `op` fetches, here for sure; archives are unpacked, without owners."""
        found = self._here(lambda: self.fetch(op, step))
        if isinstance(op, Git) or found.layer is None:
            return FetchedContext(found.layer, found.cached, found.content)
        file = self._store.layers.path(found.layer) / op.name
        with file.open("rb") as stream:
            if not begins_as_archive(stream.read(_HEAD)):
                return FetchedContext(found.layer, found.cached, found.content, file)
        whole = msgspec.structs.replace(op, unpack=True)
        content = f"without owners: {found.layer}"
        unpacked = self._here(lambda: self._hit(whole, content) or self._unpack(whole, content, file))
        return FetchedContext(unpacked.layer, found.cached and unpacked.cached, found.content)

    def _unpack(self, op: Http, content: str, file: Path) -> Fetched:
        start = time.monotonic()
        with self._store.layers.workspace() as place:
            upper = place / "upper"
            upper.mkdir()
            with file.open("rb") as stream, decompress(stream) as plain:
                apply(plain, upper, NoOwners(), whiteouts=False)
            return self._make(op, content, start, lambda: settle(upper, self._store.epoch))

    def _here(self, fetch: Callable[[], Fetched]) -> Fetched:
        """Return what `fetch` does with its layer here: an imported cache may only have told of it."""
        while True:
            found = fetch()
            try:
                self._store.cache.need([found.layer] if found.layer else [])
            except LayerLost:  # it will not be told of again
                continue
            return found

    def read(self, url: str, limit: int) -> bytes:
        """Return the file at `url`, of at most `limit` bytes; nothing is kept of it."""
        return self._web.read(url, limit)

    def _fetch_file(self, op: Http, step: str) -> Fetched:
        urls = self._store.urls
        hit = self._remembered(op) if op.checksum or self._offline else None
        if hit is not None:
            return hit
        with patient_lock(self._lock(op.url), self._stop):
            memory = None if op.checksum else urls.get(op.url)
            hit = self._hit(op, memory.digest) if memory else None
            offer = self._web.ask(op.url, memory.validators if memory and hit else None)
            if offer is None:
                assert hit is not None  # only of what is here the server was told
                return hit
            return self._receive(op, offer, step)

    def _receive(self, op: Http, offer: Offer, step: str) -> Fetched:
        urls = self._store.urls
        with self._store.layers.workspace() as place:
            start, body = time.monotonic(), place / "body"
            algorithm = op.checksum.partition(":")[0] if op.checksum else "sha256"
            found = self._web.receive(offer, body, algorithm, self._emit, step)
            if op.checksum not in (None, found.checksum):
                raise CorruptError(
                    f"{without_login(op.url)} is not what --checksum says: its digest is {found.checksum}",
                    code="checksum-mismatch",
                    hint="it was altered, here or there; if that is meant, write the new digest",
                )
            urls.put(op.url, found.digest, offer.validators)
            if found.checksum != found.digest:
                urls.put(found.checksum, found.digest)
            hit = self._hit(op, found.digest)
            return hit or self._make(op, found.digest, start, lambda: self._lay(op, body, place / "upper"))

    def _lay(self, op: Http, body: Path, upper: Path) -> Path:
        """Make the tree of the layer: what is in the archive `body`, or the file itself."""
        if not (op.unpack and unpack_file(os.fspath(body), upper, self._store.layers.owners)):
            upper.mkdir()
            body.chmod(0o600)
            body.rename(upper / op.name)
        return settle(upper, self._store.epoch)

    def _fetch_commit(self, op: Git) -> Fetched:
        with (
            patient_lock(self._lock(f"{op.remote} {op.ref}"), self._stop),
            self._store.layers.workspace() as place,
        ):
            hit = self._remembered(op) if self._offline else None
            if hit is not None:
                return hit
            start = time.monotonic()
            commit = self._repositories.resolve(op, place)
            if not is_commit(op.ref):
                self._store.urls.put(_ref_of(op), commit.content)

            def lay() -> Path:
                return settle(self._repositories.check_out(op, commit, place), self._store.epoch)

            return self._hit(op, commit.content) or self._make(op, commit.content, start, lay)

    def _remembered(self, op: Git | Http) -> Fetched | None:
        """What `op` gave last, or what its checksum or commit says; None if that is not here."""
        urls = self._store.urls
        if isinstance(op, Git):
            content = op.ref if is_commit(op.ref) else urls.digest(_ref_of(op))
            if content and not any(name.startswith(op.commit) for name in content.split()):
                return None
        elif op.checksum:
            content = _digest_of(op.checksum) or urls.digest(op.checksum)
        else:
            content = urls.digest(op.url)
        return self._hit(op, content) if content else None

    def _hit(self, op: Git | Http, content: str) -> Fetched | None:
        key = self._key(op, content)
        hit = self._store.cache.get(key)
        if hit is None:
            return None
        self._store.cache.touch([key])
        if hit.diff_id is not None:
            self._store.lease.add("layer", hit.diff_id)
        return Fetched(hit.diff_id, key, hit.seconds, cached=True, content=content)

    def _make(self, op: Git | Http, content: str, start: float, lay: Callable[[], Path]) -> Fetched:
        layer = adopt(self._store.layers, self._store.lease, lay())
        key, seconds = self._key(op, content), time.monotonic() - start
        self._store.cache.put(key, layer, title(op), seconds)
        return Fetched(layer, key, seconds, cached=False, content=content)

    def _key(self, op: Git | Http, content: str) -> str:
        """The cache key: where a file came from is not in it, nor how a commit was named."""
        if isinstance(op, Http):
            bare: Git | Http = msgspec.structs.replace(op, url="", checksum=None)
        else:
            # With its .git directory, a tree tells by which name it was found.
            ref = op.ref if op.keep_git_dir else ""
            bare = msgspec.structs.replace(op, remote=without_login(op.remote), ref=ref, commit="")
        return cachekey.key(bare, (), content, self._store.epoch)

    def _lock(self, subject: str) -> Path:
        name = hashlib.sha256(subject.encode("utf-8", "surrogateescape")).hexdigest()[:32]
        return self._store.layers.home.locks / f"fetch-{name}"


def _ref_of(op: Git) -> str:
    """By what it is remembered which commit a branch or tag stood for."""
    return f"git {op.keep_git_dir} {op.remote} {op.ref}"


def _digest_of(checksum: str | None) -> str | None:
    return checksum if checksum and checksum.startswith(_SHA256) else None


def settle(tree: Path, epoch: int) -> Path:
    """Give everything in the new directory `tree` the time `epoch`, and itself the usual mode; return it."""
    tree.chmod(0o755)
    pending = [os.fspath(tree)]
    while pending:
        folder = pending.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                os.utime(entry.path, (epoch, epoch), follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
    os.utime(tree, (epoch, epoch))
    return tree
