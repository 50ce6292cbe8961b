"""Cache mounts: directories that outlive builds, found by their id.

`home.cache/mounts/KEY/data` is what steps see, beside it `about.json` says
which mount it is for; `KEY.lock` is held while a step uses it: shared, or
alone for `sharing=locked`. Mounts with `sharing=private` have directories of
their own, `KEY-1` and so on: the first that nobody uses. A cache of another
machine may have the content of a mount that is not here yet.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

from tiffin.build.locks import patient_lock
from tiffin.build.ops.materialise import materialise
from tiffin.errors import InvalidError
from tiffin.linux.files import lock, rename_noreplace, sync_filesystem, tree_size
from tiffin.linux.remove import remove_tree

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tiffin.build.graph import CacheMount
    from tiffin.build.reading import Shown
    from tiffin.snapshot.layers import LayerStore

_FOLDER = "mounts"


class CacheFolder(NamedTuple):
    """A cache mount on disk: its key, the id it goes by, its bytes, when it was made and used (seconds)."""

    key: str
    id: str
    size: int
    created: float
    used: float


class CacheMounts:
    """The cache mounts of one home. Safe for any number of processes and threads.

    `restore` makes a directory with the content that another machine has for a key, or returns False.
    `alone`: one that is shared serves one step at a time too, because it is moved to where the step has it.
    """

    def __init__(
        self,
        layers: LayerStore,
        epoch: int,
        restore: Callable[[str, Path], bool] | None = None,
        *,
        alone: bool = False,
    ) -> None:
        self._alone = alone
        self._layers = layers
        self._epoch = epoch
        self._restore = restore
        self._root = layers.home.cache / _FOLDER

    @contextmanager
    def use(
        self, mounts: Sequence[tuple[CacheMount, Shown | None]], stop: threading.Event
    ) -> Iterator[list[Path]]:
        """Yield the directory of each of `mounts`, held until the end; beside each is what fills a new one.

        Raises Canceled if `stop` is set while a locked one is waited for.
        """
        self._root.mkdir(mode=0o700, exist_ok=True)
        keys = [key(mount, shown) for mount, shown in mounts]
        places: dict[str, Path] = {}
        with ExitStack() as held:
            # In one order for all steps, each once: so no two wait for each other, and none for itself.
            for wanted in sorted(set(keys)):
                same = [pair for each, pair in zip(keys, mounts, strict=True) if each == wanted]
                sharing = {mount.sharing for mount, _ in same}
                if "private" in sharing:
                    place = self._take_private(wanted, held)
                else:
                    place = self._root / wanted
                    exclusive = self._alone or "locked" in sharing
                    held.enter_context(patient_lock(_lock_file(place), stop, exclusive=exclusive))
                places[wanted] = self._open(place, *same[0])
            yield [places[each] for each in keys]

    def _take_private(self, wanted: str, held: ExitStack) -> Path:
        number = 0
        while True:
            number += 1
            place = self._root / f"{wanted}-{number}"
            try:
                held.enter_context(lock(_lock_file(place), blocking=False))
            except BlockingIOError:
                continue
            return place

    def _open(self, place: Path, mount: CacheMount, shown: Shown | None) -> Path:
        """Return the data directory of a folder whose lock is held, made if it is not there."""
        about = place / "about.json"
        if self._alone and not (place / "data").exists():
            remove_tree(place)  # whoever had moved it was killed
        if not about.exists():
            with self._layers.workspace() as work:
                made = self._make(work, mount, shown)
                (made / "about.json").write_text(json.dumps({"id": mount.id, "created": time.time()}))
                if any((made / "data").iterdir()):
                    sync_filesystem(work)  # it is believed to be filled from here on
                with suppress(FileExistsError):  # another step was faster
                    rename_noreplace(made, place)
        os.utime(about)
        return place / "data"

    def _make(self, work: Path, mount: CacheMount, shown: Shown | None) -> Path:
        made = work / "cache"
        made.mkdir(mode=0o700)
        data = made / "data"
        if self._restore is not None and self._restore(key(mount, shown), data):
            return made
        mode, uid, gid = 0o755, 0, 0
        if shown is None:
            data.mkdir()
        else:
            selected = shown.selected()
            if not selected.node.is_directory:
                raise InvalidError(
                    f"{selected.node.path} is a file, and a cache mount is a directory",
                    code="invalid-mount",
                    hint="name a directory with source=",
                )
            host, status = selected.node.host, selected.node.status
            mode = stat.S_IMODE(status.st_mode)
            if shown.context is None:
                uid, gid = self._layers.owners.read(host, status)
                mode = self._layers.owners.mode(host, status)
            materialise(shown, work / "seed", self._layers.owners, self._epoch).rename(data)
        uid, gid = (uid if mount.uid is None else mount.uid), (gid if mount.gid is None else mount.gid)
        self._layers.owners.change(str(data), uid, gid)
        self._layers.owners.set_mode(str(data), mode if mount.mode is None else mount.mode)
        return made

    @contextmanager
    def alone(self, mount: CacheMount, shown: Shown | None) -> Iterator[Path | None]:
        """Yield the directory of a mount while no step uses it; None if there is none, or one does."""
        private = "-1" if mount.sharing == "private" else ""
        place = self._root / (key(mount, shown) + private)
        if not (place / "about.json").exists():
            yield None
            return
        with ExitStack() as held:
            try:
                held.enter_context(lock(_lock_file(place), blocking=False))
            except BlockingIOError:
                yield None
            else:
                yield place / "data"

    def all(self) -> list[CacheFolder]:
        """Return all cache mounts there are."""
        found = []
        for about in sorted(self._root.glob("*/about.json")):
            try:
                told = json.loads(about.read_text())
                name, created, used = str(told["id"]), float(told["created"]), about.stat().st_mtime
            except (OSError, ValueError, KeyError):
                name, created, used = "", 0.0, 0.0
            found.append(CacheFolder(about.parent.name, name, tree_size(about.parent), created, used))
        return found

    def remove(self, folder: CacheFolder) -> bool:
        """Remove a cache mount, unless a step uses it; return whether it is gone."""
        place = self._root / folder.key
        try:
            with lock(_lock_file(place), blocking=False):
                remove_tree(place)
                _lock_file(place).unlink(missing_ok=True)
        except BlockingIOError:
            return False
        return True


def key(mount: CacheMount, shown: Shown | None) -> str:
    """Return what a cache mount is found by: its id, what it began with, and the owner it was made for."""
    parts = [
        mount.id,
        mount.mode,
        mount.uid,
        mount.gid,
        mount.source if shown else "",
        shown and shown.content,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def _lock_file(place: Path) -> Path:
    return place.with_name(f"{place.name}.lock")
